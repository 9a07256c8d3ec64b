# SPDX-License-Identifier: BSD-2-Clause
"""Encoders and encoder-decoders alike: from a config.json to a network, its heads, its names, and fresh weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import spago_jax.models.encoder as _encoder
import spago_jax.models.encoder_decoder as _pair
from spago_jax.core import Array
from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.encoder import EncoderConfig, EncoderModel, PretrainedConfig
from spago_jax.models.encoder.plans import PLANS as _ENCODERS
from spago_jax.models.encoder.plans import HeadPlan
from spago_jax.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig, EncoderDecoderFile
from spago_jax.models.encoder_decoder.plans import PLANS as _PAIRS
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.models.weight_table import WeightTable

Network = EncoderConfig | ModernBertConfig | EncoderDecoderConfig
File = PretrainedConfig | EncoderDecoderFile
Model = EncoderModel | EncoderDecoder

PLANS: dict[str, dict[str, HeadPlan]] = {**_ENCODERS, **_PAIRS}
"""Every head by architecture and name."""


def config_from_huggingface(given: Mapping[str, Any], *, path: str | None = None) -> File:
    """Reads the mapping of a config.json.

    Raises:
        InputError: for an architecture, or a setting, that is not supported, naming it.

    >>> type(config_from_huggingface({"model_type": "marian"})).__name__
    'EncoderDecoderFile'
    """
    kind = given.get("model_type")
    if kind not in PLANS:
        raise InputError(f"model_type is {kind!r}: {did_you_mean(str(kind), PLANS, known='supported')}", path=path)
    return (_pair if kind in _PAIRS else _encoder).config_from_huggingface(given, path=path)


def encoder_from_huggingface(given: Mapping[str, Any], *, path: str | None = None) -> PretrainedConfig:
    """The same of a model that has to be an encoder.

    Raises:
        InputError: see ``config_from_huggingface``; and for an encoder-decoder.
    """
    refuse_pair(given.get("model_type"), path)
    return _encoder.config_from_huggingface(given, path=path)


def refuse_pair(kind: object, path: str | None = None) -> None:
    """Refuses a ``model_type`` that is an encoder-decoder.

    Raises:
        InputError: naming it, and the encoders.
    """
    if kind in _PAIRS:
        raise InputError(
            f"model_type is {kind!r}, an encoder-decoder, and an encoder is needed here: "
            f"{', '.join(sorted(_ENCODERS))}",
            path=path,
        )


def config_to_huggingface(config: File, head: str) -> dict[str, Any]:
    """The mapping of a config.json that transformers reads.

    Raises:
        InputError: for a head that the architecture does not have.
    """
    if isinstance(config, EncoderDecoderFile):
        return _pair.config_to_huggingface(config, head)
    return _encoder.config_to_huggingface(config, head)


def weight_table(network: Network, head: str, *, classifiers: Sequence[str] | None = None) -> WeightTable:
    """The weights of a network with a head; ``classifiers`` as of ``models.encoder.weight_table``."""
    if isinstance(network, EncoderDecoderConfig):
        return _pair.weight_table(network, head)
    return _encoder.weight_table(network, head, classifiers=classifiers)


def init_model(
    key: Array,
    network: Network,
    *,
    head: str,
    labels: int,
    classifiers: Mapping[str, int] | None = None,
) -> Model:
    """Fresh weights; see ``EncoderModel.init`` and ``EncoderDecoder.init``."""
    if isinstance(network, EncoderDecoderConfig):
        return EncoderDecoder.init(key, network, head=head, labels=labels)
    return EncoderModel.init(key, network, head=head, labels=labels, classifiers=classifiers)


def untied(network: Network, paths: Sequence[str]) -> Network:
    """The network with tables of its own where a file has them; ``paths`` as ``Weights.untied`` has them."""
    changes = {"tied": False} if any(path.endswith(".decoder") for path in paths) else {}
    return dataclasses.replace(network, **changes, **({"shared": False} if "target_words" in paths else {}))
