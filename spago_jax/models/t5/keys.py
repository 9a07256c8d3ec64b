# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a config.json of T5, Flan-T5 and mT5."""

from collections.abc import Mapping
from typing import Any

from spago_jax.errors import InputError
from spago_jax.models.config_json import Key
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig, StackConfig
from spago_jax.models.encoder_decoder.keys import COMMON_MUST_BE
from spago_jax.models.encoder_decoder.keys import HARMLESS as _HARMLESS

_T5 = {
    "vocab_size": Key("vocabulary", 32128),
    "d_model": Key("hidden", 512),
    "d_kv": Key("head_size", 64),
    "d_ff": Key("intermediate", 2048),
    "num_layers": Key("layers", 6),
    "num_decoder_layers": Key("decoder_layers", None),
    "num_heads": Key("heads", 8),
    "relative_attention_num_buckets": Key("relative", 32),
    "relative_attention_max_distance": Key("farthest", 128),
    "dropout_rate": Key("dropout", 0.1),
    "classifier_dropout": Key("classifier_dropout", 0.0),
    "layer_norm_epsilon": Key("eps", 1e-6),
    "initializer_factor": Key("initializer_range", 1.0),
    "feed_forward_proj": Key("feed_forward", "relu"),
    "pad_token_id": Key("padding", 0),
    "decoder_start_token_id": Key("start", 0),
}
KEYS: dict[str, dict[str, Key]] = {
    "t5": _T5,
    "mt5": {
        **_T5,
        "vocab_size": Key("vocabulary", 250112),
        "d_ff": Key("intermediate", 1024),
        "num_layers": Key("layers", 8),
        "num_heads": Key("heads", 6),
        "feed_forward_proj": Key("feed_forward", "gated-gelu"),
    },
}
"""The keys of each that our configuration holds."""

DERIVED = ("tie_word_embeddings", "scale_decoder_outputs", "dense_act_fn", "is_gated_act")
"""Keys that follow from others, or that decide whether the decoder's states are divided by the root of their size."""

NAMES = {"hidden_size": "d_model", "num_attention_heads": "num_heads", "num_hidden_layers": "num_layers",
         "head_dim": "d_kv"}  # fmt: skip
"""Other names that transformers takes for the same keys."""

MUST_BE: dict[str, tuple[Any, ...]] = COMMON_MUST_BE
HARMLESS = _HARMLESS | {"n_positions", "max_position_embeddings", "output_past"}
"""Keys that change nothing that is computed here; they are kept and written back."""


def fields_from_huggingface(kind: str, given: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of ``EncoderDecoderConfig`` from the values of ``KEYS``.

    The product with the vocabulary is tied until the file of the tensors has a table of its own for it: published
    configs of T5 1.1, Flan-T5 and mT5 have a ``tie_word_embeddings`` of false, by which transformers decides whether
    the states are scaled (never in mT5).

    Raises:
        InputError: for a feed-forward block, or a switch, that is not known.
    """
    found = dict(fields)
    gated, found["activation"] = _feed_forward(found.pop("feed_forward"))
    for name, value in (("dense_act_fn", found["activation"]), ("is_gated_act", gated)):
        if given.get(name, value) != value:
            raise InputError(f"{name} is {given[name]!r}, and feed_forward_proj says {value!r}")
    heads, intermediate = found.pop("heads"), found.pop("intermediate")
    layers, decoder_layers = found.pop("layers"), found.pop("decoder_layers")
    tied = _switch(given, "tie_word_embeddings", True)
    scales = _switch(given, "scale_decoder_outputs", tied) and kind == "t5"
    dropout = found["dropout"]
    return {
        **found,
        "encoder": StackConfig(layers, heads, intermediate),
        "decoder": StackConfig(layers if decoder_layers is None else decoder_layers, heads, intermediate),
        "gated": gated,
        "attention_dropout": dropout,
        "activation_dropout": dropout,
        "scales_words": scales,
        "words_bias": False,
        "positions": 0,
    }


def fields_to_huggingface(network: EncoderDecoderConfig) -> dict[str, Any]:
    """Returns the keys that ``fields_from_huggingface`` reads."""
    values = {
        **{name: getattr(network.encoder, name) for name in ("layers", "heads", "intermediate")},
        "decoder_layers": network.decoder.layers,
        "feed_forward": _projection(network),
    }
    kind = network.architecture
    found = {name: values.get(key.field, getattr(network, key.field, None)) for name, key in KEYS[kind].items()}
    tied = network.tied if kind == "mt5" else network.scales_words
    return {**found, "tie_word_embeddings": tied, **({"scale_decoder_outputs": tied} if kind == "t5" else {})}


def _feed_forward(name: str) -> tuple[bool, str]:
    kind, _, function = name.rpartition("-")
    if kind not in ("", "gated"):
        raise InputError(f"feed_forward_proj is {name!r}, expected an activation, or 'gated-' before one")
    return bool(kind), "gelu_new" if name == "gated-gelu" else function


def _projection(network: EncoderDecoderConfig) -> str:
    if not network.gated:
        return network.activation
    return "gated-gelu" if network.activation == "gelu_new" else f"gated-{network.activation}"


def _switch(given: Mapping[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}, expected true or false")
    return value
