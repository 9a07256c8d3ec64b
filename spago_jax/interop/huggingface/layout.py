# SPDX-License-Identifier: BSD-2-Clause
"""The files of a model in Hugging Face's layout, and which of them are needed."""

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.find import CHECKPOINTS, INDEX, find_checkpoint, other_files, refuse_spago
from spago_jax.interop.checkpoints.sharded import read_index

CONFIG, GENERATION = "config.json", "generation_config.json"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "target_vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "source.spm",
    "target.spm",
    "chat_template.jinja",
)
# What sentence-transformers puts beside the model; its parts are numbered folders.
MODULES = "modules.json"
SENTENCE = (
    MODULES,
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "[0-9]_*/config.json",
)
_SENTENCE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def small_files(names: Iterable[str]) -> list[str]:
    """Returns those of the names that are config, tokenizer and pipeline, without their weights.

    >>> small_files(["config.json", "onnx/model.onnx", "README.md", "vocab.txt", "1_Pooling/config.json"])
    ['config.json', 'vocab.txt', '1_Pooling/config.json']
    """
    patterns = (CONFIG, GENERATION, *TOKENIZER, *SENTENCE)
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def sentence_weights(names: Iterable[str]) -> list[str]:
    """Returns the weights of a pipeline's own layers: one file per numbered folder, safetensors first.

    >>> sentence_weights(["2_Dense/pytorch_model.bin", "2_Dense/model.safetensors", "pytorch_model.bin"])
    ['2_Dense/model.safetensors']
    """
    found: dict[str, str] = {}
    for weights in _SENTENCE_WEIGHTS:
        for name in names:
            folder, _, last = name.rpartition("/")
            if last == weights and fnmatch.fnmatchcase(folder, "[0-9]_*") and "/" not in folder:
                found.setdefault(folder, name)
    return sorted(found.values())


def checkpoint_name(names: Iterable[str]) -> str | None:
    """Returns the file of the tensors that is read, or the index of their shards.

    >>> checkpoint_name(["pytorch_model.bin", "model.safetensors.index.json", "tf_model.h5"])
    'model.safetensors.index.json'
    """
    there = set(names)
    wanted = (f"{name}{suffix}" for name in CHECKPOINTS for suffix in ("", INDEX))
    return next((name for name in wanted if name in there), None)


def missing_files(folder: Path) -> list[str]:
    """Returns the files without which a folder is not a model; empty where all are there.

    Raises:
        InputError: for an index of shards that is damaged.
    """
    missing = [] if os.path.isfile(folder / CONFIG) else [CONFIG]
    checkpoint = find_checkpoint(folder)
    if checkpoint is None:
        return [*missing, CHECKPOINTS[0]]
    if checkpoint.name.endswith(INDEX):
        missing += sorted({name for name in read_index(checkpoint).values() if not os.path.isfile(folder / name)})
    return missing


def check_complete(folder: Path) -> Path:
    """Returns a folder that is a model.

    Raises:
        InputError: naming the files that are not there.
    """
    if missing := missing_files(folder):
        if os.path.isfile(folder / "model.bin"):
            refuse_spago(folder)
        raise InputError(
            f"not a whole model in Hugging Face's layout: it lacks {', '.join(missing[:5])}{other_files(folder)}",
            path=folder,
        )
    return folder
