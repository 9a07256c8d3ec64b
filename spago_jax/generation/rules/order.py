# SPDX-License-Identifier: BSD-2-Clause
"""Which rules run, in transformers' order: what is static about them, and their numbers as arrays."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from spago_jax.core import Array
from spago_jax.generation.options import Options
from spago_jax.generation.protocol import NOTHING, Written
from spago_jax.generation.rules import cutoffs, forced, ngrams, penalties

Numbers = Mapping[str, Any]
OwnRule = Callable[[Array, Array, Array], Array]
"""A user's rule: ``(scores [batch, beams, vocabulary], ids int32[batch, beams, time], length) -> scores``, traced."""


class Setting(NamedTuple):
    """What rules depend on beside the options.

    Attributes:
        vocabulary: scores per text.
        prompt: tokens that texts start with.
        longest: tokens that a text may have, the prompt included.
        sourced: whether there is a source that an encoder reads.
    """

    vocabulary: int
    prompt: int
    longest: int
    sourced: bool


class Chosen(NamedTuple):
    """A rule that runs.

    Attributes:
        name: in ``RULES``.
        static: what its program depends on: a size, say.
    """

    name: str
    static: Any = None


class Rule(NamedTuple):
    """One rule.

    Attributes:
        choose: from options and setting to ``(static, arrays)``; None where the rule does not run.
        apply: from scores, texts, ``static`` and ``arrays`` to scores.
    """

    choose: Callable[[Options, Setting], tuple[Any, Any] | None]
    apply: Callable[[Array, Written, Any, Any], Array]


def chosen_rules(options: Options, setting: Setting) -> tuple[tuple[Chosen, ...], dict[str, Any]]:
    """Returns the rules that run and their numbers by name: those of the first kind are part of a program's signature,
    those of the second its arguments.

    >>> rules, numbers = chosen_rules(Options(repetition_penalty=1.5), Setting(10, 1, 20, True))
    >>> rules, float(numbers["repetition_penalty"])
    ((Chosen(name='repetition_penalty', static=None),), 1.5)
    """
    names, numbers = [], {}
    for name, rule in RULES.items():
        found = rule.choose(options, setting)
        if found is not None:
            names.append(Chosen(name, found[0]))
            numbers[name] = found[1]
    return tuple(names), numbers


def apply_rules(
    scores: Array, written: Written, rules: tuple[Chosen, ...], numbers: Numbers, own: tuple[OwnRule, ...] = ()
) -> Array:
    """Returns the scores after all rules; a user's own ones run between those of all texts and those of sampling."""
    late = [rule for rule in rules if rule.name in LATE]
    for rule in rules:
        if rule.name not in LATE:
            scores = _applied(rule, scores, written, numbers)
    for function in own:
        scores = function(scores, written.ids, written.length)
    for rule in late:
        scores = _applied(rule, scores, written, numbers)
    return scores


def _applied(rule: Chosen, scores: Array, written: Written, numbers: Numbers) -> Array:
    with jax.named_scope(rule.name):
        return RULES[rule.name].apply(scores, written, rule.static, numbers[rule.name])


def _penalty(name: str, *, sourced: bool) -> Rule:
    def choose(options: Options, setting: Setting) -> tuple[Any, Any] | None:
        value = getattr(options, name)
        if value == 1.0 or (sourced and not setting.sourced):
            return None
        return None, np.float32(1 / value if sourced else value)

    def apply(scores: Array, written: Written, static: Any, value: Array) -> Array:
        ids = written.ids if not sourced else written.source[:, None]  # type: ignore[index]
        return penalties.penalize_seen(scores, ids, value)

    return Rule(choose, apply)


def _ngrams(name: str, *, sourced: bool) -> Rule:
    def choose(options: Options, setting: Setting) -> tuple[Any, Any] | None:
        size = getattr(options, name)
        return (size, ()) if size and (setting.sourced or not sourced) else None

    def apply(scores: Array, written: Written, size: int, numbers: Any) -> Array:
        known = None if not sourced else written.source[:, None]  # type: ignore[index]
        return ngrams.ban_ngrams(scores, written.ids, written.length, size, known=known)

    return Rule(choose, apply)


def _biased(sequences: list[tuple[tuple[int, ...], float]], setting: Setting) -> tuple[Any, Any] | None:
    """Single tokens as a vector, longer sequences as arrays."""
    if not sequences:
        return None
    single = np.zeros(setting.vocabulary, np.float32)
    for ids, bias in sequences:
        if len(ids) == 1:
            single[ids[0]] = bias
    longer = [(ids, bias) for ids, bias in sequences if len(ids) > 1]
    width = max((len(ids) - 1 for ids, _ in longer), default=0)
    prefixes = np.full((len(longer), width), NOTHING, np.int32)
    for row, (ids, _) in enumerate(longer):
        prefixes[row, width - len(ids) + 1 :] = ids[:-1]
    last, bias = np.array([ids[-1] for ids, _ in longer], np.int32), np.array([b for _, b in longer], np.float32)
    return bool(longer), (single, prefixes, last, bias)


def _apply_bias(scores: Array, written: Written, longer: bool, numbers: Any) -> Array:
    single, prefixes, last, bias = numbers
    scores = scores + single
    return penalties.bias_sequences(scores, written.ids, written.length, prefixes, last, bias) if longer else scores


def _bad_words(options: Options, setting: Setting) -> tuple[Any, Any] | None:
    ends = {(token,) for token in options.eos_token_id}
    return _biased([(ids, -np.inf) for ids in options.bad_words_ids if ids not in ends], setting)


def _mask(tokens: tuple[int, ...], setting: Setting) -> np.ndarray:
    found = np.zeros(setting.vocabulary, bool)
    found[list(tokens)] = True
    return found


def _ids(tokens: tuple[int, ...]) -> np.ndarray:
    return np.array(tokens, np.int32)


def _least_length(options: Options, setting: Setting) -> tuple[Any, Any] | None:
    least = options.min_total(setting.prompt)
    return (None, (_ids(options.eos_token_id), np.int32(least))) if least and options.eos_token_id else None


def _forced_eos(options: Options, setting: Setting) -> tuple[Any, Any] | None:
    tokens = options.forced_eos_token_id
    return (None, (_ids(tokens), np.int32(setting.longest))) if tokens else None


def _decay(options: Options, setting: Setting) -> tuple[Any, Any] | None:
    if options.exponential_decay_length_penalty is None:
        return None
    start, factor = options.exponential_decay_length_penalty
    return None, (_ids(options.eos_token_id), np.int32(start + setting.prompt), np.float32(factor))


def _begin(options: Options, setting: Setting) -> tuple[Any, Any] | None:
    if not options.begin_suppress_tokens:
        return None
    first = setting.prompt + (setting.prompt == 1 and options.forced_bos_token_id is not None)
    return None, (_mask(options.begin_suppress_tokens, setting), np.int32(first))


def _least(options: Options) -> int:
    """Tokens that sampling keeps in any case: with beams, one that does not end the text."""
    return 1 + len(options.eos_token_id or (0,)) if options.num_beams > 1 else 1


def _bound(options: Options, setting: Setting) -> int | None:
    """What ``top_k`` is at most, for one program of many values; None where it does not run."""
    if not options.do_sample or not options.top_k or options.top_k >= setting.vocabulary:
        return None
    wanted = max(options.top_k, _least(options))
    return min(1 << (wanted - 1).bit_length(), setting.vocabulary)


def _top_k(options: Options, setting: Setting) -> tuple[Any, Any] | None:
    bound = _bound(options, setting)
    return None if bound is None else (bound, np.int32(min(max(options.top_k or 0, _least(options)), bound)))


def _sampling(name: str, function: Callable[..., Array]) -> Rule:
    def choose(options: Options, setting: Setting) -> tuple[Any, Any] | None:
        value = getattr(options, name)
        if not options.do_sample or value is None or value == _OFF.get(name):
            return None
        return _least(options), np.float32(value)

    def apply(scores: Array, written: Written, least: int, value: Array) -> Array:
        return function(scores, value, least)

    return Rule(choose, apply)


_OFF = {"typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}

RULES: dict[str, Rule] = {
    "sequence_bias": Rule(lambda o, s: _biased(list(o.sequence_bias), s), _apply_bias),
    "encoder_repetition_penalty": _penalty("encoder_repetition_penalty", sourced=True),
    "repetition_penalty": _penalty("repetition_penalty", sourced=False),
    "no_repeat_ngram_size": _ngrams("no_repeat_ngram_size", sourced=False),
    "encoder_no_repeat_ngram_size": _ngrams("encoder_no_repeat_ngram_size", sourced=True),
    "bad_words_ids": Rule(_bad_words, _apply_bias),
    "min_length": Rule(
        _least_length, lambda scores, w, _, n: forced.least_length(scores, w.length, eos=n[0], least=n[1])
    ),
    "forced_bos_token_id": Rule(
        lambda o, s: None if o.forced_bos_token_id is None else (None, _ids((o.forced_bos_token_id,))),
        lambda scores, w, _, tokens: forced.force(scores, tokens, w.length == 1),
    ),
    "forced_eos_token_id": Rule(_forced_eos, lambda scores, w, _, n: forced.force(scores, n[0], w.length == n[1] - 1)),
    "remove_invalid_values": Rule(
        lambda o, s: (None, ()) if o.remove_invalid_values else None, lambda scores, w, _, n: forced.finite(scores)
    ),
    "exponential_decay_length_penalty": Rule(
        _decay, lambda scores, w, _, n: penalties.decay_length(scores, w.length, *n)
    ),
    "suppress_tokens": Rule(
        lambda o, s: (None, _mask(o.suppress_tokens, s)) if o.suppress_tokens else None,
        lambda scores, w, _, banned: forced.ban_where(scores, banned),
    ),
    "begin_suppress_tokens": Rule(_begin, lambda scores, w, _, n: forced.ban_where(scores, n[0], w.length == n[1])),
    "temperature": Rule(
        lambda o, s: (None, np.float32(o.temperature)) if o.do_sample and o.temperature != 1 else None,
        lambda scores, w, _, heat: scores / heat,
    ),
    "top_k": Rule(_top_k, lambda scores, w, most, k: cutoffs.top_k(scores, k, most)),
    "top_p": Rule(
        lambda o, s: ((_least(o), _bound(o, s)), np.float32(o.top_p)) if o.do_sample and o.top_p < 1 else None,
        lambda scores, w, known, p: cutoffs.top_p(scores, p, *known),
    ),
    "min_p": _sampling("min_p", cutoffs.min_p),
    "typical_p": _sampling("typical_p", cutoffs.typical),
    "epsilon_cutoff": _sampling("epsilon_cutoff", cutoffs.epsilon),
    "eta_cutoff": _sampling("eta_cutoff", cutoffs.eta),
    "renormalize_logits": Rule(
        lambda o, s: (None, ()) if o.renormalize_logits else None,
        lambda scores, w, _, n: jax.nn.log_softmax(scores, axis=-1),
    ),
}
LATE = frozenset(
    ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "renormalize_logits")
)
