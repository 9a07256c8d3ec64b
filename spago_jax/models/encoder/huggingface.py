# SPDX-License-Identifier: BSD-2-Clause
"""A config.json of transformers to our configuration and back. What changes the computation is honored or refused."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.encoder.keys import HARMLESS, HARMLESS_OF, KEYS, MUST_BE, NAMES, Key
from spago_jax.models.encoder.plans import head_plan, heads_by_class
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.models.modernbert.huggingface import LAYER_KEYS, layers_from_huggingface, layers_to_huggingface

PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")

# What each architecture fixes, and no key says.
_FIXED: dict[str, dict[str, Any]] = {
    "distilbert": {"types": 0, "eps": 1e-12},
    "mpnet": {"types": 0, "count_from": 1},
    "albert": {"projects": True},
}
_COUNTS_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")
_OF_LABELS = ("id2label", "label2id", "num_labels", "problem_type")


@dataclasses.dataclass(frozen=True)
class PretrainedConfig:
    """What a config.json says.

    Attributes:
        encoder: of the encoder, which is all that a model needs.
        labels: of a classifier, in the order of its outputs.
        problem: ``regression``, ``single_label_classification``, ``multi_label_classification``, or None: not said.
        class_name: the class that ``architectures`` names; None where it names none.
        extra: the keys that change nothing, as they were read; they are written back.
    """

    encoder: EncoderConfig | ModernBertConfig
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    problem: str | None = None
    class_name: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def head(self) -> str | None:
        """The head that ``class_name`` has; None for a class of somebody's own, which may have any."""
        return heads_by_class(self.encoder.architecture).get(self.class_name or "")


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
    fields: dict[str, Any] = {key.field: _value(name, given, key, path) for name, key in keys.items()}
    extra: dict[str, Any] = {}
    for name, value in given.items():
        if name in keys or name in ("model_type", "architectures", *_OF_LABELS):
            continue
        if kind == "modernbert" and name in LAYER_KEYS:
            continue
        _check_extra(name, value, kind, path)
        extra[name] = value
    labels, problem = _labels(given, path)
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
    found["id2label"] = {str(number): label for number, label in enumerate(config.labels)}
    found["label2id"] = {label: number for number, label in enumerate(config.labels)}
    if config.problem is not None:
        found["problem_type"] = config.problem
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


def _value(name: str, given: Mapping[str, Any], key: Key, path: str | None) -> Any:
    value, default = given.get(name, key.default), key.default
    nullable = default is None or name in ("pad_token_id", "classifier_dropout", "summary_activation")
    if value is None and nullable:
        return None
    kind = bool if isinstance(default, bool) else int if isinstance(default, int) else type(default)
    if default is None or kind is float:
        kind = (int, float)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = {bool: "true or false", int: "a whole number", str: "a name"}.get(kind, "a number")  # type: ignore
        raise InputError(f"{name} is {value!r}, expected {expected}", path=path)
    return value


def _check_extra(name: str, value: Any, kind: str, path: str | None) -> None:
    if name in MUST_BE:
        if value not in MUST_BE[name]:
            allowed = " or ".join(repr(one) for one in MUST_BE[name] if one is not None) or "null"
            raise InputError(
                f"{name} is {value!r}, which changes what the model computes and is not supported; expected {allowed}",
                path=path,
            )
        return
    if name in ("auto_map", "trust_remote_code"):
        raise InputError(f"{name}: the model runs code of its own, which is not supported", path=path)
    if name not in HARMLESS and name not in HARMLESS_OF.get(kind, ()):
        known = {*KEYS[kind], *MUST_BE, *HARMLESS, *_OF_LABELS}
        hint = did_you_mean(name, known)
        raise InputError(
            f"unknown key {name!r} of a {kind} config, which may change what the model computes"
            + (f": {hint}" if hint.startswith("did") else "; take it out if it changes nothing"),
            path=path,
        )


def _labels(given: Mapping[str, Any], path: str | None) -> tuple[tuple[str, ...], str | None]:
    problem = given.get("problem_type")
    if problem is not None and problem not in PROBLEMS:
        raise InputError(f"problem_type is {problem!r}, {did_you_mean(str(problem), PROBLEMS)}", path=path)
    named = given.get("id2label")
    if named is None:
        count = given.get("num_labels", given.get("_num_labels"))
        return tuple(f"LABEL_{number}" for number in range(2 if count is None else int(count))), problem
    try:
        by_number = {int(number): str(label) for number, label in named.items()}
    except (AttributeError, ValueError):
        raise InputError(f"id2label is {named!r}, expected a mapping of numbers to labels", path=path) from None
    if sorted(by_number) != list(range(len(by_number))):
        raise InputError(f"id2label has the numbers {sorted(by_number)}, expected 0 to {len(named) - 1}", path=path)
    return tuple(by_number[number] for number in range(len(by_number))), problem
