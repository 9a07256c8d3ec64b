# SPDX-License-Identifier: BSD-2-Clause
"""A config.json of BART, mBART, Marian, Pegasus, T5 or mT5 to our configuration and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.config_json import OF_LABELS, ConfigFile, check_extra, read_labels, read_value, write_labels
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig, StackConfig
from spago_jax.models.encoder_decoder.keys import END, HARMLESS, KEYS, MUST_BE, NAMES, STACK_KEYS, STACKS
from spago_jax.models.encoder_decoder.plans import PLANS
from spago_jax.models.t5 import keys as t5

_LABELS = 3
_END = "eos_token_id"


@dataclasses.dataclass(frozen=True)
class EncoderDecoderFile(ConfigFile[EncoderDecoderConfig]):
    """What a config.json of an encoder-decoder says."""

    labels: tuple[str, ...] = tuple(f"LABEL_{number}" for number in range(_LABELS))

    @property
    def heads(self) -> Mapping[str, str]:
        """The head of each class of transformers for this architecture."""
        return {plan.class_name: head for head, plan in PLANS[self.network.architecture].items()}


def config_from_huggingface(given: Mapping[str, Any], *, path: str | None = None) -> EncoderDecoderFile:
    """Reads the mapping of a config.json.

    Args:
        given: the mapping.
        path: of the file, for messages.

    Raises:
        InputError: for an unknown ``model_type``, a value that changes the computation in a way that is not supported,
            a value of the wrong type, or an unknown key.

    >>> config = config_from_huggingface({"model_type": "marian", "d_model": 512, "encoder_attention_heads": 8})
    >>> config.network.hidden, config.network.encoder.heads, config.network.decoder.heads, config.network.end
    (512, 8, 16, (0,))
    """
    kind = given.get("model_type")
    if kind not in PLANS:
        raise InputError(f"model_type is {kind!r}: {did_you_mean(str(kind), PLANS, known='supported')}", path=path)
    is_t5 = kind in t5.KEYS
    keys, other = (t5.KEYS if is_t5 else KEYS)[kind], t5.NAMES if is_t5 else NAMES
    stacks = {} if is_t5 else {f"{side}_{name}": key for side in STACKS for name, key in STACK_KEYS.items()}
    given = _renamed(given, other, path)
    fields = {key.field: read_value(name, given, key, path) for name, key in keys.items()}
    values = {name: read_value(name, given, key, path) for name, key in stacks.items()}
    extra: dict[str, Any] = {}
    known = {*keys, *stacks, _END, *(t5.DERIVED if is_t5 else ())}
    for name, value in given.items():
        if name in known or name in ("model_type", "architectures", *OF_LABELS):
            continue
        must_be, harmless = (t5.MUST_BE, t5.HARMLESS) if is_t5 else (MUST_BE[kind], HARMLESS)
        check_extra(name, value, kind, known=known, must_be=must_be, harmless=harmless, path=path)
        extra[name] = value
    labels, problem = read_labels(given, path, count=_LABELS if kind == "bart" else 2)
    try:
        if is_t5:
            fields = t5.fields_from_huggingface(kind, given, fields)
        else:
            for side in STACKS:
                of = {key.field: values[f"{side}_{name}"] for name, key in STACK_KEYS.items()}
                fields[side] = StackConfig(**of)
            fields["target_vocabulary"] = 0 if fields.get("shared", True) else fields["target_vocabulary"] or 0
            if kind != "marian":
                fields["shared"] = fields["tied"]  # transformers ties the stacks' words with the vocabulary's product
        network = EncoderDecoderConfig(architecture=kind, end=_end(given, kind), **fields)
    except InputError as error:
        raise InputError(str(error), path=path) from None
    classes = given.get("architectures") or (None,)
    return EncoderDecoderFile(network, labels, problem, classes[0], extra)


def config_to_huggingface(config: EncoderDecoderFile, head: str) -> dict[str, Any]:
    """The mapping of a config.json that transformers reads.

    Raises:
        InputError: for a head that the architecture does not have.

    >>> found = config_to_huggingface(EncoderDecoderFile(EncoderDecoderConfig()), "words")
    >>> found["architectures"], found["d_model"], found["decoder_layers"]
    (['BartForConditionalGeneration'], 1024, 12)
    """
    network = config.network
    kind = network.architecture
    plans = PLANS[kind]
    if head not in plans:
        raise InputError(f"{kind} has no head {head!r}: {did_you_mean(head, plans)}")
    found: dict[str, Any] = {"model_type": kind, "architectures": [plans[head].class_name], "is_encoder_decoder": True}
    if kind in t5.KEYS:
        found |= t5.fields_to_huggingface(network)
    else:
        found |= {name: getattr(network, key.field) for name, key in KEYS[kind].items()}
        if kind == "marian":
            found["decoder_vocab_size"] = network.target_words
        for side in STACKS:
            of = getattr(network, side)
            found |= {f"{side}_{name}": getattr(of, key.field) for name, key in STACK_KEYS.items()}
    found[_END] = network.end[0] if len(network.end) == 1 else list(network.end) or None
    if kind in ("bart", "mbart"):
        found |= write_labels(config.labels, config.problem)
    return {**found, **config.extra}


def _renamed(given: Mapping[str, Any], names: Mapping[str, str], path: str | None) -> dict[str, Any]:
    """With one name for each key; published files have two of some, with the same value."""
    found = dict(given)
    for name, taken in names.items():
        if name not in found:
            continue
        value = found.pop(name)
        if found.setdefault(taken, value) != value:
            raise InputError(f"{name} is {value!r} and {taken} {found[taken]!r}: they are one thing", path=path)
    return found


def _end(given: Mapping[str, Any], kind: str) -> tuple[int, ...]:
    value = given.get(_END, END[kind])
    ids = () if value is None else tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in ids):
        raise InputError(f"{_END} is {value!r}, expected a token id, or a list of them")
    return ids
