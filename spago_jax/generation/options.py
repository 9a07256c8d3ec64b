# SPDX-License-Identifier: BSD-2-Clause
"""How texts are generated: the names, meanings and defaults of transformers' ``generate``."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, Self

from spago_jax.errors import InputError, did_you_mean
from spago_jax.generation.option_values import READERS, Sequences

DEFAULT_NEW_TOKENS = 20
"""Tokens that are written where nothing says how many."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How texts are generated. Lengths are in tokens; ``max_length`` and ``min_length`` count the prompt, which for an
    encoder-decoder is its start token.

    Attributes:
        max_length: of a text; by default 20 more than the prompt.
        max_new_tokens: beyond the prompt; goes before ``max_length``.
        min_length: shorter texts do not end.
        min_new_tokens: the same beyond the prompt.
        num_beams: 1 is greedy choice, or sampling; more are searched (with ``do_sample``, sampled) together.
        num_return_sequences: texts per input: samples, or the best of the beams.
        length_penalty: a beam's score is the sum of its log-probabilities over ``(new tokens) ** length_penalty``.
        early_stopping: True ends with the first ``num_beams`` finished texts; False when a better one is unlikely;
            ``never`` when it is impossible.
        do_sample: draw tokens instead of taking the most probable one.
        temperature: above 1 wilder, below 1 tamer.
        top_k: draw among so many most probable tokens; 0 or None: among all.
        top_p: draw among the fewest tokens that have this probability together.
        min_p: leave out what is less probable than this share of the most probable token.
        typical_p: draw among the tokens nearest to the expected surprise that have this probability together.
        epsilon_cutoff: leave out less probable tokens.
        eta_cutoff: the same, lower where the distribution is flat.
        seed: of the drawing; each text draws by itself, whatever else is in its batch.
        repetition_penalty: above 1 makes tokens of the text less probable.
        encoder_repetition_penalty: above 1 makes tokens of the input more probable.
        no_repeat_ngram_size: n-grams of so many tokens do not occur twice; 0: they may.
        encoder_no_repeat_ngram_size: those of the input do not occur.
        bad_words_ids: sequences of tokens that do not occur.
        sequence_bias: ``(tokens, bias)``: the bias is added to the score of the last token where the others precede it.
        suppress_tokens: tokens that do not occur.
        begin_suppress_tokens: tokens that do not begin a text.
        forced_bos_token_id: what a text begins with, after the start token.
        forced_eos_token_id: what a text that reaches ``max_length`` ends with.
        exponential_decay_length_penalty: ``(start, factor)``: the end becomes ever more probable after ``start``.
        remove_invalid_values: replace NaN and infinite scores.
        renormalize_logits: make the scores log-probabilities again after all rules.
        decoder_start_token_id: what an encoder-decoder reads first; by default ``bos_token_id``.
        bos_token_id: see there.
        eos_token_id: each of these tokens ends a text.
        pad_token_id: what follows the end; by default the first of ``eos_token_id``, else 0.
        stop_sequences: a text ends with each of these too (they are part of it).
        output_scores: whether token scores are wanted (and, without beams, the texts' scores).
        max_time: seconds after which texts end where they are.

    >>> Options(num_beams=4, length_penalty=2.0).max_new(prompt=1)
    20
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int = 0
    min_new_tokens: int | None = None
    num_beams: int = 1
    num_return_sequences: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int | None = 50
    top_p: float = 1.0
    min_p: float | None = None
    typical_p: float = 1.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.0
    encoder_repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    encoder_no_repeat_ngram_size: int = 0
    bad_words_ids: Sequences = ()
    sequence_bias: tuple[tuple[tuple[int, ...], float], ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    forced_bos_token_id: int | None = None
    forced_eos_token_id: tuple[int, ...] = ()
    exponential_decay_length_penalty: tuple[int, float] | None = None
    remove_invalid_values: bool = False
    renormalize_logits: bool = False
    decoder_start_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: tuple[int, ...] = ()
    pad_token_id: int | None = None
    stop_sequences: Sequences = ()
    output_scores: bool = False
    max_time: float | None = None

    def __post_init__(self) -> None:
        for name, read in READERS.items():
            value = getattr(self, name)
            if value is None and name in _DEFAULTS:
                value = _DEFAULTS[name]
            object.__setattr__(self, name, None if value is None else read(name, value))
        if (found := _contradiction(self)) is not None:
            raise InputError(found)

    def updated(self, **given: Any) -> Self:
        """Returns these options with some changed.

        Raises:
            InputError: for an unknown name, a value out of range, or one that has no effect beside the others.

        >>> Options().updated(num_beam=2)
        Traceback (most recent call last):
        ...
        spago_jax.errors.InputError: num_beam is not an option of generation: did you mean 'num_beams'?
        """
        for name in given:
            if name not in NAMES:
                raise InputError(f"{name} is not an option of generation: {did_you_mean(name, NAMES)}")
        if given.get("max_length") is not None and "max_new_tokens" not in given:
            given["max_new_tokens"] = None  # that of the defaults would go before it
        made = dataclasses.replace(self, **given)
        for names, needed, has in (
            (_OF_SAMPLING, "do_sample=True", made.do_sample),
            (("early_stopping",), "num_beams above 1", made.num_beams > 1),
        ):
            for name in names:
                if not has and given.get(name) is not None and getattr(made, name) != _DEFAULTS.get(name):
                    raise InputError(f"{name} = {given[name]!r} has no effect without {needed}")
        return made

    def max_new(self, prompt: int) -> int:
        """Returns how many tokens may follow a prompt of some length.

        Raises:
            InputError: where the prompt is as long as a text may be.
        """
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        if self.max_length is None:
            return DEFAULT_NEW_TOKENS
        if self.max_length <= prompt:
            raise InputError(
                f"max_length = {self.max_length}, which counts the {prompt} token(s) that texts start with: expected "
                f"more than that; max_new_tokens counts what comes after them"
            )
        return self.max_length - prompt

    def min_total(self, prompt: int) -> int:
        """Returns the shortest length of a text that may end, the prompt included."""
        return max(self.min_length, 0 if self.min_new_tokens is None else self.min_new_tokens + prompt)

    @property
    def pad(self) -> int:
        """What follows the end of a text."""
        if self.pad_token_id is not None:
            return self.pad_token_id
        return self.eos_token_id[0] if self.eos_token_id else 0

    @property
    def start(self) -> int | None:
        """What an encoder-decoder reads first."""
        return self.bos_token_id if self.decoder_start_token_id is None else self.decoder_start_token_id

    @property
    def sees_texts(self) -> bool:
        """Whether the score of a token depends on more of its text than the model does."""
        sequences = [*self.bad_words_ids, *(ids for ids, _ in self.sequence_bias)]
        return self.repetition_penalty != 1 or self.no_repeat_ngram_size > 0 or any(len(ids) > 1 for ids in sequences)

    def tokens(self) -> Iterable[tuple[str, int]]:
        """Yields every token that is named, with the name of its option."""
        for name in ("decoder_start_token_id", "pad_token_id", "forced_bos_token_id"):
            if (value := getattr(self, name)) is not None:
                yield name, value
        for name in ("eos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens"):
            yield from ((name, token) for token in getattr(self, name))
        for name in ("bad_words_ids", "stop_sequences"):
            yield from ((name, token) for sequence in getattr(self, name) for token in sequence)
        yield from (("sequence_bias", token) for sequence, _ in self.sequence_bias for token in sequence)

    def banned(self) -> frozenset[int]:
        """Returns the tokens that never occur."""
        single = {sequence[0] for sequence in self.bad_words_ids if len(sequence) == 1}
        return frozenset((single - set(self.eos_token_id)) | set(self.suppress_tokens))


NAMES = tuple(field.name for field in dataclasses.fields(Options))
"""Of all options."""
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Options) if field.default is not None}
_OF_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def _contradiction(options: Options) -> str | None:
    """What does not go together, in one message."""
    o = options
    if o.num_beams == 1 and o.num_return_sequences > 1 and not o.do_sample:
        return (
            f"num_return_sequences = {o.num_return_sequences} without beams and without sampling: there is one most "
            f"probable text; set num_beams or do_sample=True"
        )
    if 1 < o.num_beams < o.num_return_sequences:
        return f"num_return_sequences = {o.num_return_sequences} of num_beams = {o.num_beams}: expected at most as many"
    if o.max_new_tokens is not None and o.min_new_tokens is not None and o.min_new_tokens > o.max_new_tokens:
        return f"min_new_tokens = {o.min_new_tokens} is above max_new_tokens = {o.max_new_tokens}"
    if o.max_new_tokens is None and o.max_length is not None:
        for name in ("min_length", "min_new_tokens"):
            if (getattr(o, name) or 0) > o.max_length:
                return f"{name} = {getattr(o, name)} is above max_length = {o.max_length}"
    if not o.eos_token_id:
        for name in ("min_new_tokens", "min_length", "exponential_decay_length_penalty"):
            if getattr(o, name):
                return f"{name} = {getattr(o, name)!r} says when texts end, but no eos_token_id ends one"
    first = () if o.forced_bos_token_id is None else (o.forced_bos_token_id,)
    for name, forced in (("forced_bos_token_id", first), ("forced_eos_token_id", o.forced_eos_token_id)):
        if forced and set(forced) <= set(o.suppress_tokens):
            return f"{name} = {getattr(o, name)!r} forces what suppress_tokens forbids: take it out of one of them"
    return None
