# SPDX-License-Identifier: BSD-2-Clause
"""A config.json of transformers to our configuration and back. What changes the computation is honored or refused."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.config_json import OF_LABELS, ConfigFile, check_extra, read_labels, read_value, write_labels
from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.encoder.keys import HARMLESS, HARMLESS_OF, KEYS, MUST_BE, NAMES
from spago_jax.models.encoder.plans import head_plan, heads_by_class
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.models.modernbert.huggingface import LAYER_KEYS, layers_from_huggingface, layers_to_huggingface

# What each architecture fixes, and no key says.
_FIXED: dict[str, dict[str, Any]] = {
    "distilbert": {"types": 0, "eps": 1e-12},
    "mpnet": {"types": 0, "count_from": 1},
    "albert": {"projects": True},
}
_COUNTS_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")


@dataclasses.dataclass(frozen=True)
class PretrainedConfig(ConfigFile[EncoderConfig | ModernBertConfig]):
    """What a config.json of an encoder says."""

    @property
    def heads(self) -> Mapping[str, str]:
        """The head of each class of transformers for this architecture."""
        return heads_by_class(self.network.architecture)

    @property
    def encoder(self) -> EncoderConfig | ModernBertConfig:
        """Its network."""
        return self.network


def config_from_huggingface(given: Mapping[str, Any], *, path: str | None = None) -> PretrainedConfig:
    """Reads the mapping of a config.json.

    Args:
        given: the mapping.
        path: of the file, for messages.

    Raises:
        InputError: for an unknown ``model_type``, a value that changes the computation in a way that is not supported
            (``position_embedding_type: relative_key``), a value of the wrong type, or an unknown key.

    >>> config = config_from_huggingface({"model_type": "bert", "hidden_size": 128, "num_attention_heads": 2})
    >>> config.encoder.hidden, config.encoder.layers, config.labels
    (128, 12, ('LABEL_0', 'LABEL_1'))
    """
    kind = given.get("model_type")
    if kind not in KEYS:
        raise InputError(f"model_type is {kind!r}: {did_you_mean(str(kind), KEYS, known='supported')}", path=path)
    given = {NAMES.get(kind, {}).get(key, key): value for key, value in given.items()}
    keys = KEYS[kind]
    fields: dict[str, Any] = {key.field: read_value(name, given, key, path) for name, key in keys.items()}
    extra: dict[str, Any] = {}
    for name, value in given.items():
        if name in keys or name in ("model_type", "architectures", *OF_LABELS):
            continue
        if kind == "modernbert" and name in LAYER_KEYS:
            continue
        harmless = HARMLESS | HARMLESS_OF.get(kind, frozenset())
        check_extra(name, value, kind, known=keys, must_be=MUST_BE, harmless=harmless, path=path)
        extra[name] = value
    labels, problem = read_labels(given, path)
    try:
        encoder = _modernbert(given, fields) if kind == "modernbert" else _encoder(kind, fields)
    except InputError as error:
        raise InputError(str(error), path=path) from None
    classes = given.get("architectures") or (None,)
    return PretrainedConfig(encoder, labels, problem, classes[0], extra)


def config_to_huggingface(config: PretrainedConfig, head: str) -> dict[str, Any]:
    """The mapping of a config.json that transformers reads.

    Raises:
        InputError: for a head that the architecture does not have.

    >>> found = config_to_huggingface(PretrainedConfig(EncoderConfig()), "masked-words")
    >>> found["architectures"], found["hidden_size"]
    (['BertForMaskedLM'], 768)
    """
    encoder = config.encoder
    kind = encoder.architecture
    found: dict[str, Any] = {"model_type": kind, "architectures": [head_plan(kind, head).class_name]}
    found |= {name: getattr(encoder, key.field) for name, key in KEYS[kind].items()}
    if isinstance(encoder, ModernBertConfig):
        found |= layers_to_huggingface(encoder)
    found |= write_labels(config.labels, config.problem)
    return {**found, **config.extra}


def _encoder(kind: str, fields: dict[str, Any]) -> EncoderConfig:
    fields = {**fields, **_FIXED.get(kind, {})}
    if kind == "electra":
        fields["projects"] = fields["embedding"] != fields["hidden"]
    if kind in _COUNTS_FROM_PADDING:
        if fields["padding"] is None:
            raise InputError(f"{kind}: pad_token_id is null, and positions are counted from it; expected a number")
        fields["count_from"] = fields["padding"]
    return EncoderConfig(architecture=kind, **fields)


def _modernbert(given: Mapping[str, Any], fields: dict[str, Any]) -> ModernBertConfig:
    return ModernBertConfig(**fields, **layers_from_huggingface(given, fields["layers"]))
