# SPDX-License-Identifier: BSD-2-Clause
"""Where an encoder that is trained comes from: a pre-trained model, a run, or sizes in the config."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.interop.huggingface import find_model
from spago_jax.models.encoder import PretrainedConfig, config_to_huggingface
from spago_jax.models.pretrained import encoder_from_huggingface
from spago_jax.tasks.pretrained.pieces import CONFIG, load_config
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.train.schema import Experiment
from spago_jax.train.start import assets_of, is_own_folder


@dataclasses.dataclass(frozen=True)
class Origin:
    """A tokenizer and what the encoder's config says."""

    tokenizer: SubwordTokenizer
    config: PretrainedConfig


def origin_of(experiment: Experiment) -> Origin:
    """Returns the tokenizer and the config of the encoder that an experiment trains.

    Raises:
        InputError: where neither ``init.from`` nor the ``model`` section says what to train, or both do.
    """
    model, init = experiment.model, experiment.init
    given = {name: getattr(model, name) for name in ("tokenizer", "config") if getattr(model, name) is not None}
    if init is None:
        for name in ("tokenizer", "config"):
            if name not in given:
                raise InputError(
                    f"model.{name} is missing: name a pre-trained model as init.from, or give model.tokenizer and "
                    "model.config to begin from nothing"
                )
        tokenizer = load_tokenizer(model.tokenizer)
        pad = {"pad_token_id": tokenizer.special_ids["pad"]} if "pad" in tokenizer.special_ids else {}
        config = {"vocab_size": tokenizer.size, **pad, **model.config}
        return Origin(tokenizer, _adjusted(encoder_from_huggingface(config, path="model.config"), model.dropout))
    if given:
        raise InputError(f"model.{next(iter(given))} does not go with init.from, whose model has its own")
    folder = assets_of(init) if is_own_folder(init.source) else find_model(init.source)
    tokenizer = load_tokenizer(folder / "tokenizer" if is_own_folder(init.source) else folder)
    try:
        found = load_config(folder)
    except InputError as error:
        raise InputError(f"init.from names no encoder: {error}") from None
    return Origin(tokenizer, _adjusted(encoder_from_huggingface(found, path=str(folder / CONFIG)), model.dropout))


def _adjusted(config: PretrainedConfig, dropout: float | None) -> PretrainedConfig:
    if dropout is None:
        return config
    encoder = dataclasses.replace(config.encoder, dropout=dropout, attention_dropout=dropout)
    return config.with_network(encoder)


def check_origin(experiment: Experiment) -> None:
    """Refuses, before any work, a model or a tokenizer that is not there."""
    if experiment.init is not None and not is_own_folder(experiment.init.source):
        find_model(experiment.init.source)
    elif experiment.model.tokenizer is not None and not Path(experiment.model.tokenizer).exists():
        raise InputError("model.tokenizer: no such file or folder", path=experiment.model.tokenizer)


def row_length(experiment: Experiment, origin: Origin) -> int:
    """Returns the most pieces of a row: ``train.max_length``, which the encoder has to have positions for.

    Raises:
        InputError: where it has fewer.
    """
    wanted, most = experiment.train.max_length, origin.config.encoder.longest
    if wanted > most:
        raise InputError(f"train.max_length = {wanted}, and the encoder reads {most} pieces at most")
    return wanted


def saved_config(
    config: PretrainedConfig, head: str, labels: Sequence[str] = ("LABEL_0", "LABEL_1"), problem: str | None = None
) -> dict[str, Any]:
    """Returns the ``config.json`` of a model that is trained with a head, for other labels."""
    return config_to_huggingface(dataclasses.replace(config, labels=tuple(labels), problem=problem), head)
