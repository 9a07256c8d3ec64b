# SPDX-License-Identifier: BSD-2-Clause
"""Values of options: from what a caller or a JSON file gives to what the loops take, or an error that says why not."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from spago_jax.errors import InputError

Sequences = tuple[tuple[int, ...], ...]


def _whole(least: int):
    def read(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value or value < least:
            raise InputError(f"{name} = {value!r}: expected a whole number of at least {least}")
        return int(value)

    return read


def _number(expected: str, holds):
    def read(name: str, value: Any) -> float:
        fits = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value) and holds(value)
        if not fits:
            raise InputError(f"{name} = {value!r}: expected {expected}")
        return float(value)

    return read


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} = {value!r}: expected true or false")
    return value


def _token(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 0:
        raise InputError(f"{name}: {value!r} is not the id of a token, a whole number of at least 0")
    return int(value)


def _tokens(name: str, value: Any) -> tuple[int, ...]:
    values = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    return tuple(dict.fromkeys(_token(name, one) for one in values))


def _sequence(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, Iterable) or isinstance(value, str) or not (found := tuple(value)):
        raise InputError(f"{name}: {value!r} is not a sequence of ids; expected a list of lists of ids")
    return tuple(_token(name, one) for one in found)


def _sequences(name: str, value: Any) -> Sequences:
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise InputError(f"{name} = {value!r}: expected a list of lists of ids")
    return tuple(dict.fromkeys(_sequence(name, one) for one in value))


def _biases(name: str, value: Any) -> tuple[tuple[tuple[int, ...], float], ...]:
    pairs = list(value.items()) if isinstance(value, Mapping) else list(value)
    if not all(isinstance(pair, Iterable) and len(tuple(pair)) == 2 for pair in pairs):
        raise InputError(f"{name} = {value!r}: expected a list of [ids, bias]")
    found = {}
    for ids, bias in pairs:
        if isinstance(bias, bool) or not isinstance(bias, int | float) or math.isnan(bias):
            raise InputError(f"{name}: the bias of {ids!r} is {bias!r}; expected a number")
        found[_sequence(name, ids)] = float(bias)
    return tuple(found.items())


def _decay(name: str, value: Any) -> tuple[int, float]:
    if not isinstance(value, Iterable) or len(found := tuple(value)) != 2:
        raise InputError(f"{name} = {value!r}: expected [start, factor]")
    return _whole(0)(f"{name}[0]", found[0]), _number("a number above 0", lambda v: v > 0)(f"{name}[1]", found[1])


def _stopping(name: str, value: Any) -> bool | str:
    if not isinstance(value, bool) and value != "never":
        raise InputError(f"{name} = {value!r}: expected true, false or 'never'")
    return value


_above_zero = _number("a number above 0", lambda v: v > 0)
_share = _number("a probability above 0, at most 1", lambda v: 0 < v <= 1)
_cutoff = _number("a probability of at least 0, below 1", lambda v: 0 <= v < 1)
READERS: dict[str, Any] = {
    "max_length": _whole(1),
    "max_new_tokens": _whole(1),
    "min_length": _whole(0),
    "min_new_tokens": _whole(0),
    "num_beams": _whole(1),
    "num_return_sequences": _whole(1),
    "length_penalty": _number("a number", lambda v: True),
    "early_stopping": _stopping,
    "do_sample": _flag,
    "temperature": _number("a number above 0 (do_sample=False takes the most probable token)", lambda v: v > 0),
    "top_k": _whole(0),
    "top_p": _share,
    "min_p": _number("a share of 0 to 1", lambda v: 0 <= v <= 1),
    "typical_p": _share,
    "epsilon_cutoff": _cutoff,
    "eta_cutoff": _cutoff,
    "seed": _whole(0),
    "repetition_penalty": _above_zero,
    "encoder_repetition_penalty": _above_zero,
    "no_repeat_ngram_size": _whole(0),
    "encoder_no_repeat_ngram_size": _whole(0),
    "bad_words_ids": _sequences,
    "sequence_bias": _biases,
    "suppress_tokens": _tokens,
    "begin_suppress_tokens": _tokens,
    "forced_bos_token_id": _token,
    "forced_eos_token_id": _tokens,
    "exponential_decay_length_penalty": _decay,
    "remove_invalid_values": _flag,
    "renormalize_logits": _flag,
    "decoder_start_token_id": _token,
    "bos_token_id": _token,
    "eos_token_id": _tokens,
    "pad_token_id": _token,
    "stop_sequences": _sequences,
    "output_scores": _flag,
    "max_time": _above_zero,
}
"""How the value of each option is read, by its name: ``(name, value) -> value``."""
