# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings by the states of pre-trained encoders, of words and of whole documents."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.embeddings.contextual import GIVEN
from spago_jax.embeddings.transformer_index import TransformerIndexer
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record, number_of
from spago_jax.interop.flair.file import FlairFile, a_number
from spago_jax.interop.flair.packed_tokenizer import packed_tokenizer
from spago_jax.interop.flair.part import Part
from spago_jax.interop.flair.tree import Node
from spago_jax.models.encoder import PretrainedConfig, config_to_huggingface
from spago_jax.models.pretrained import PLANS, config_from_huggingface, refuse_pair, weight_table
from spago_jax.models.weight_table import read_weights

SEPARATOR = "[FLERT]"
CONTEXT = 64  # words, where a file says only that there is some
POOLINGS = ("first", "last", "first_last", "mean")
DOCUMENTS = {"cls": "cls", "mean": "text_mean", "max": "text_max"}
# What a config says of heads and files, not of the encoder.
_OTHERS = ("architectures", "id2label", "label2id", "num_labels", "problem_type", "_name_or_path", "dtype",
           "torch_dtype", "transformers_version")  # fmt: skip


def read_transformer(node: Node, file: FlairFile) -> Part:
    """Returns the states of a pre-trained encoder, those of a word's pieces pooled."""
    if not node.get("is_token_embedding", True):
        raise _refused(node, file, "is_token_embedding = False: it has vectors of documents alone")
    pooling = node.get("subtoken_pooling", node.get("pooling_operation", "first"))
    if pooling not in POOLINGS:
        raise _refused(node, file, f"subtoken_pooling = {pooling!r}, expected {', '.join(POOLINGS)}")
    return _read(node, file, pooling, windows=bool(node.get("allow_long_sentences", True)))


def read_document(node: Node, file: FlairFile) -> Part:
    """Returns the first state of a pre-trained encoder, or the mean or maximum, as the vector of every word."""
    if not node.get("is_document_embedding", True):
        raise _refused(node, file, "is_document_embedding = False: it has vectors of words alone")
    pooling = node.get("cls_pooling", node.get("pooling", "cls"))
    if pooling not in DOCUMENTS:
        raise _refused(node, file, f"cls_pooling = {pooling!r}, expected {', '.join(DOCUMENTS)}")
    # The first state is that of the first window.
    windows = pooling != "cls" and bool(node.get("allow_long_sentences", False))
    part = _read(node, file, DOCUMENTS[pooling], windows=windows)
    if part.config["context"]:
        raise _refused(node, file, "use_context of documents is not read; of words it is")
    return part


def _read(node: Node, file: FlairFile, pooling: str, *, windows: bool) -> Part:
    config = _config(node, file)
    encoder = config.encoder
    tokenizer = packed_tokenizer(node, file)
    if tokenizer.size > encoder.vocabulary:
        raise _refused(
            node, file, f"a tokenizer of {tokenizer.size:,} tokens, and an encoder of {encoder.vocabulary:,}"
        )
    mean = bool(node.get("layer_mean", node.get("use_scalar_mix", False)))
    layers = _layers(node, file, encoder.layers)
    if pooling == "first_last" and len(layers) > 1 and not mean and node.record is not None:
        raise _refused(node, file, "first_last of several layers that are not averaged, whose order depends on the "
                       "release: save it with Flair 0.12 or later")  # fmt: skip
    context = _context(node, file)
    separator = SEPARATOR if context and node.get("use_context_separator", False) else None
    if separator and tokenizer.id(separator) is None:
        raise _refused(node, file, f"use_context_separator, and its tokenizer has no token {separator!r}")
    longest = min(encoder.longest, tokenizer.max_length or encoder.longest)
    windows = windows and tokenizer.max_length is not None  # without it Flair reads texts whole
    settings = {
        "kind": "transformer", "from": GIVEN, "layers": layers, "merge": "mean" if mean else "concat",
        "pooling": pooling, "fine_tune": bool(node.get("fine_tune", True)), "context": context, "separator": separator,
        "windows": windows,
    }  # fmt: skip
    described = config_to_huggingface(PretrainedConfig(encoder, extra=config.extra), "states")

    def indexer(name: str) -> TransformerIndexer:
        # Flair reads every piece of a word.
        return TransformerIndexer(
            name, tokenizer, described, longest, most=longest, context=context, separator=separator,
            truncate=True, windows=windows,
        )  # fmt: skip

    about = f"{encoder.architecture}: {encoder.layers} layers of {encoder.hidden}, {tokenizer.size:,} pieces"
    if context:
        about = f"{about}, {context} words of context on each side"
    if windows:
        about = f"{about}, longer texts in windows of {longest} pieces"
    read = indexer("transformer")
    most = (read.longest or longest) - read.marks
    if not windows and pooling in POOLINGS:
        most = None  # words beyond the last piece that is read have vectors of zeros, as in Flair
    return Part(settings, indexer, _arrays(node, file, config), about, longest=most)


def _config(node: Node, file: FlairFile) -> PretrainedConfig:
    given = node.settings.get("config_state_dict")
    if not isinstance(given, dict):
        raise _refused(node, file, "has no config_state_dict, which Flair before 0.7 leaves out: open it there and "
                       "save it with a later release")  # fmt: skip
    facts = {key: value for key, value in _plain(given).items() if key not in _OTHERS}
    kind = facts.get("model_type")
    where = f"{file.path}: {node.name or node.kind}"
    if facts.get("auto_map"):
        raise _refused(node, file, "its encoder brings Python code of its own (auto_map), which is never run")
    refuse_pair(kind, where)
    if not isinstance(kind, str) or kind not in PLANS:
        raise _refused(node, file, f"model_type is {str(kind)[:60]!r}; supported are {', '.join(sorted(PLANS))}")
    found = config_from_huggingface(facts, path=where)
    assert isinstance(found, PretrainedConfig)
    return found


def _plain(value: Any) -> Any:
    """What JSON can say of a value; objects are left out."""
    value = number_of(value)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items() if not isinstance(number_of(each), Record)}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool) else None


def _layers(node: Node, file: FlairFile, count: int) -> list[int]:
    given = node.get("layers", node.get("layer_indexes", "-1"))
    if given == "all":
        return list(range(count + 1))
    try:
        found = [int(each) for each in (given.split(",") if isinstance(given, str) else given)]
    except (TypeError, ValueError):
        raise _refused(node, file, f"layers = {str(given)[:60]!r}, expected numbers") from None
    if not found or not all(-count - 1 <= layer <= count for layer in found):
        raise _refused(node, file, f"layers = {str(given)[:60]!r} of an encoder of {count} layers")
    return found


def _context(node: Node, file: FlairFile) -> int:
    given = node.get("context_length", node.get("use_context", 0))
    if isinstance(given, bool) or given is None:
        return CONTEXT if given else 0
    return max(int(a_number(given, "context_length", file.path)), 0)


def _arrays(node: Node, file: FlairFile, config: PretrainedConfig) -> Mapping[str, np.ndarray]:
    prefix = f"{node.prefix}model."
    names = [name.removeprefix(prefix) for name in file.names(prefix)]
    if not names:
        raise _refused(node, file, f"the file lacks its weights, {prefix}*")
    table = weight_table(config.network, "states")
    found = read_weights(table, names, lambda name: file.array(f"{prefix}{name}"), path=str(file.path))
    if found.missing:
        raise _refused(
            node, file, f"the file lacks {len(found.missing)} of its tensors: {', '.join(found.missing[:5])}"
        )
    return found.arrays


def _refused(node: Node, file: FlairFile, message: str) -> InputError:
    return InputError(f"{node.name or node.kind}: {message}", path=file.path)
