# SPDX-License-Identifier: BSD-2-Clause
"""Where an encoder-decoder that is trained comes from: a pre-trained model, a run, or sizes in the config."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.interop.huggingface import find_model
from spago_jax.interop.huggingface.pretrained import read_generation
from spago_jax.tasks.pretrained.pieces import CONFIG, load_config
from spago_jax.tasks.text_to_text.config import LearnedTokenizer, TokenizerConfig
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor
from spago_jax.tasks.text_to_text.separate import separate_target
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.train import train_tokenizer
from spago_jax.train.schema import Experiment
from spago_jax.train.start import assets_of, is_own_folder

# The id that a decoder begins with, by the role of the token, where the config does not say.
STARTS = {"bart": "end", "marian": "pad", "mbart": "end", "pegasus": "pad", "t5": "pad"}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Tokenizers, and what the config of the model says.

    Attributes:
        tokenizer: of the sources.
        target_tokenizer: of the targets; None: the same.
        config: as in a ``config.json``.
        path: where it stands, for messages.
        generation: how texts are written, by transformers' names.
    """

    tokenizer: SubwordTokenizer
    target_tokenizer: SubwordTokenizer | None
    config: Mapping[str, Any]
    path: str
    generation: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def check_origin(experiment: Experiment) -> None:
    """Refuses, before any work, a model or a tokenizer that is not there, or one too many.

    Raises:
        InputError: for the first mistake.
    """
    model, init = experiment.model, experiment.init
    given = [*model.tokenizers, *(["config"] if model.config is not None else [])]
    if init is not None:
        if given:
            raise InputError(f"model.{given[0]} does not go with init.from, whose model has its own")
        if not is_own_folder(init.source):
            find_model(init.source)
        return
    for name, there in (("tokenizer", model.tokenizers), ("config", model.config)):
        if not there:
            raise InputError(
                f"model.{name} is missing: name a pre-trained model as init.from, or give model.tokenizer and "
                "model.config to begin from nothing"
            )
    for name, found in model.tokenizers.items():
        if isinstance(found, str) and not Path(found).exists():
            raise InputError(f"model.{name}: no such file or folder", path=found)


def origin_of(experiment: Experiment) -> Origin:
    """Returns the tokenizers and the config of the model that an experiment trains.

    Raises:
        InputError: for a damaged model, or texts that no tokenizer can be learned from.
    """
    if experiment.init is None:
        return _from_nothing(experiment)
    if is_own_folder(experiment.init.source):
        found = TextToTextProcessor.load(assets_of(experiment.init))
        target = None if found.target_tokenizer is found.tokenizer else found.target_tokenizer
        path = str(assets_of(experiment.init) / CONFIG)
        return Origin(found.tokenizer, target, found.config or {}, path, found.generation)
    folder = find_model(experiment.init.source)
    config = load_config(folder)
    return Origin(
        load_tokenizer(folder),
        separate_target(folder, config),
        config,
        str(folder / CONFIG),
        read_generation(folder) or {},
    )


def _from_nothing(experiment: Experiment) -> Origin:
    model = experiment.model
    if model.tokenizer is not None:
        tokenizer, target = _tokenizer(model.tokenizer, experiment, ("source", "target")), None
    else:
        tokenizer = _tokenizer(model.source_tokenizer, experiment, ("source",))
        target = _tokenizer(model.target_tokenizer, experiment, ("target",))
    written, kind = target or tokenizer, model.config.get("model_type")
    ids = {
        "pad_token_id": written.special_ids.get("pad"),
        "bos_token_id": written.special_ids.get("begin"),
        "eos_token_id": written.special_ids.get("end"),
        "decoder_start_token_id": written.special_ids.get(STARTS.get(str(kind), "pad")),
    }
    config: dict[str, Any] = {"vocab_size": tokenizer.size, **{key: id for key, id in ids.items() if id is not None}}
    if target is not None:
        if kind != "marian":
            raise InputError(
                f"model.target_tokenizer: {kind!r} has one vocabulary for sources and targets; only 'marian' may have "
                "two (model.config.model_type)"
            )
        config |= {"decoder_vocab_size": target.size, "share_encoder_decoder_embeddings": False}
    return Origin(tokenizer, target, {**config, **model.config}, "model.config")


def _tokenizer(config: TokenizerConfig, experiment: Experiment, sides: tuple[str, ...]) -> SubwordTokenizer:
    if isinstance(config, LearnedTokenizer):
        return train_tokenizer(
            _texts(experiment, sides),
            kind=config.kind,
            size=config.size,
            lowercase=config.lowercase,
            min_count=config.min_count,
            marks="end",
        )
    return load_tokenizer(config)


def _texts(experiment: Experiment, sides: tuple[str, ...]) -> Iterator[str]:
    for pair in experiment.data.read("train"):
        yield from (getattr(pair, side) or "" for side in sides)
