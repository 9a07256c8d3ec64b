# SPDX-License-Identifier: BSD-2-Clause
"""Generator: texts from a language model, by one compiled loop on the device."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import Program, compile
from spago_jax.core import Array
from spago_jax.errors import InputError
from spago_jax.generation import programs
from spago_jax.generation.generated import Call, Generated
from spago_jax.generation.limits import Limits
from spago_jax.generation.loop import Numbers, Plan
from spago_jax.generation.options import Options
from spago_jax.generation.protocol import NOTHING, Decoder, continues
from spago_jax.generation.rules.order import OwnRule, Setting, chosen_rules
from spago_jax.generation.sizes import coarse, leftmost, padded, read_ids, rectangle, rightmost, rung

SEGMENT = 16
"""Tokens that are written in one call of the device where something waits for them."""


class Generator:
    """Writes texts with a language model.

    The loop runs on the device, and is compiled once for each kind of options and each size of batch, input and text
    (padded to few of them); temperatures, penalties, lengths, ids of bad words and the like are its arguments.

    Args:
        model: an encoder-decoder, or a model that writes on from a text (``continues``).
        options: what holds where a call says nothing else.
        rules: functions ``(scores [batch, beams, vocabulary], ids int32[batch, beams, time], length) -> scores`` that
            run after those of the options and before sampling; in ``ids``, -1 stands where nothing is written.
        longest: tokens that the model reads or writes at most, if there is a limit.
        source_vocabulary: ids that an encoder knows; None: it is not checked.

    >>> from spago_jax.models.character_lm import CharacterLM
    >>> model = CharacterLM.init(jax.random.key(0), alphabet=5, embedding=4, hidden=4)
    >>> Generator(model).generate([[1, 2, 3]], max_new_tokens=4).ids.shape
    (1, 7)
    """

    def __init__(
        self,
        model: Decoder,
        options: Options | None = None,
        *,
        rules: Sequence[OwnRule] = (),
        longest: int | None = None,
        source_vocabulary: int | None = None,
    ):
        self.model, self.options, self.rules, self.longest = model, options or Options(), tuple(rules), longest
        self._source_vocabulary = source_vocabulary
        self._continues = continues(model)
        self._whole = compile(programs.whole, static="plan", name="generate")
        self._begin = compile(programs.begin, static="plan", name="begin generation")
        self._advance = compile(programs.advance, static="plan", donate="at", name="go on with generation")
        self._segment = compile(programs.segment, static=("plan", "steps"), donate="at", name="stream")

    @property
    def compiled(self) -> tuple[Program, ...]:
        """The compiled loops: one from beginning to end, and its parts, for limits and for streams."""
        return self._whole, self._begin, self._advance, self._segment

    def freeze(self) -> "Generator":
        """From now on what is not compiled yet raises ``RetraceError``."""
        for program in self.compiled:
            program.freeze()
        return self

    @cached_property
    def vocabulary(self) -> int:
        """Scores per text."""
        one = jax.ShapeDtypeStruct((1, 1), jnp.int32)

        def logits(model: Decoder, ids: Array) -> Array:
            return model.step(ids, model.start(ids, jnp.ones(ids.shape, bool), beams=1, length=2))[0]

        return jax.eval_shape(logits, self.model, one).shape[-1]

    def generate(
        self,
        ids: Any,
        mask: Any = None,
        *,
        prefix: Any = None,
        first: int = 0,
        cancelled: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Generated:
        """Returns texts for the items of a batch.

        Args:
            ids: int[batch, time], what an encoder reads, or texts to write on from.
            mask: bool[batch, time], which of them are there; texts to write on from are padded on either side.
            prefix: int[batch, tokens], what the texts of an encoder-decoder begin with instead of the start token.
            first: the number of the first item: a text is drawn by its number and the seed, whatever else is drawn.
            cancelled: is asked now and then; texts end where they are when it says true.
            options: those of ``Options``, for this call.

        Raises:
            InputError: for ids outside the vocabulary, an unknown option, or options that do not go together.
        """
        call = self._call(ids, mask, prefix, first, self.options.updated(**options))
        limits = Limits(call.options.max_time, cancelled)
        if not limits.any:
            at = self._whole(self.model, call.ids, call.mask, call.prompt, call.numbers, plan=call.plan)
            return call.found(at)
        at = self._begin(self.model, call.ids, call.mask, call.prompt, call.numbers, plan=call.plan)
        until, numbers = call.plan.prompt, call.numbers
        while bool(at.open):
            if limits.reached():  # the next token is the last one, as at the longest length
                numbers = numbers._replace(longest=np.int32(int(at.length) + 1))
            until += SEGMENT
            at = self._advance(self.model, at, numbers, np.int32(until), plan=call.plan)
        return call.found(at)

    def stream(
        self,
        ids: Any,
        mask: Any = None,
        *,
        prefix: Any = None,
        first: int = 0,
        steps: int = SEGMENT,
        cancelled: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Iterator[np.ndarray]:
        """Yields new tokens as they come, int32[batch * num_return_sequences, up to ``steps``], padded after the end.

        Args:
            ids: as for ``generate``.
            mask: as for ``generate``.
            prefix: as for ``generate``.
            first: as for ``generate``.
            steps: tokens that are written in one call of the device.
            cancelled: as for ``generate``; to close the iterator does the same.
            options: those of ``Options``, for this call.

        Raises:
            InputError: as ``generate``; and for beams, whose texts are known at their end alone.
        """
        chosen = self.options.updated(**options)
        if chosen.num_beams > 1:
            raise InputError(f"num_beams = {chosen.num_beams}: which beam is best is known at the end; stream with 1")
        if steps < 1:
            raise InputError(f"steps = {steps}: expected at least 1")
        return self._stream(self._call(ids, mask, prefix, first, chosen), steps, cancelled)

    def _stream(self, call: Call, steps: int, cancelled: Callable[[], bool] | None) -> Iterator[np.ndarray]:
        limits = Limits(call.options.max_time, cancelled)
        at = self._begin(self.model, call.ids, call.mask, call.prompt, call.numbers, plan=call.plan)
        length = call.plan.prompt
        while bool(at.open) and not limits.reached():
            begin = min(length, call.plan.room - steps) if steps < call.plan.room else 0
            at, new = self._segment(self.model, at, call.numbers, np.int32(length), plan=call.plan, steps=steps)
            before, length = length, int(at.length)
            rows = np.asarray(new)[: call.items]
            yield rows.reshape(-1, rows.shape[-1])[:, before - begin : length - begin]

    def _call(self, ids: Any, mask: Any, prefix: Any, first: int, options: Options) -> Call:
        known = self.vocabulary if self._continues else self._source_vocabulary
        found, there = read_ids(ids, mask, known, "ids")
        if self.longest is not None and not self._continues and found.shape[1] > self.longest:
            raise InputError(f"ids: {found.shape[1]} tokens, and the model reads at most {self.longest}")
        prompt = self._prompt(found, there, prefix, options)
        self._check(options)
        size, shift, before = prompt.shape[1], 0, prompt[:, :0]
        if self._continues:
            # Prompts of many lengths meet few loops: padded on the left where rules look at them, else left outside.
            if options.sees_texts or self.rules:
                shift = rung(size) - size
                prompt = np.pad(prompt, ((0, 0), (shift, 0)), constant_values=NOTHING)
            else:
                shift, before, prompt = 1 - size, prompt[:, :-1], prompt[:, -1:]
            options = dataclasses.replace(
                options,
                max_new_tokens=options.max_new(size),
                max_length=None,
                min_length=max(options.min_length + shift, 0) if options.min_length else 0,
                forced_bos_token_id=options.forced_bos_token_id if size == 1 else None,
            )
            size += shift
        longest = size + options.max_new(size)
        if options.max_length is None and options.max_new_tokens is None and self.longest is not None:
            longest = min(longest, self.longest)
        if self.longest is not None and longest > self.longest:
            raise InputError(f"texts of {longest} tokens: the model writes at most {self.longest}; set max_length")
        if (least := options.min_total(size)) > longest:
            raise InputError(f"texts of at least {least - shift} tokens and of at most {longest - shift}")
        items, batch = len(found), rung(len(found))
        if self._continues:
            found, there = leftmost(found, there)
        time = rung(found.shape[1], 8, self.longest) if not self._continues else coarse(found.shape[1])
        found, there = padded(found, there, batch, time)
        setting = Setting(self.vocabulary, size, longest, not self._continues)
        rules, numbers = chosen_rules(options, setting)
        search = options.num_beams > 1
        plan = Plan(
            beams=options.num_beams if search else options.num_return_sequences,
            search=search,
            sample=options.do_sample,
            room=rung(longest, 8, self.longest),
            prompt=size,
            early=options.early_stopping if search else False,
            grows=options.length_penalty > 0,
            scores=options.output_scores,
            rules=rules,
            own=self.rules,
        )
        powers = np.arange(plan.room + 1, dtype=np.float64)
        powers[1:] **= options.length_penalty
        arguments = Numbers(
            rules=numbers,
            eos=np.array(options.eos_token_id, np.int32),
            stop=rectangle(options.stop_sequences),
            pad=np.int32(options.pad),
            longest=np.int32(longest),
            powers=np.minimum(powers, np.finfo(np.float32).max).astype(np.float32),
            key=jax.random.key(options.seed),
            items=np.int32(items),
            first=np.int32(first),
        )
        prompt = np.pad(prompt, ((0, batch - items), (0, 0)))
        return Call(options, plan, arguments, found, there, prompt, items, shift, before)

    def _prompt(self, ids: np.ndarray, mask: np.ndarray, prefix: Any, options: Options) -> np.ndarray:
        """What the texts begin with, int32[batch, tokens]."""
        if self._continues:
            if prefix is not None:
                raise InputError("prefix: this model writes on from ids; put the prefix at their end")
            return rightmost(np.where(mask, ids, NOTHING), mask)
        if prefix is not None:
            found, _ = read_ids(prefix, None, self.vocabulary, "prefix")
            if len(found) != len(ids):
                raise InputError(f"prefix: {len(found)} rows for {len(ids)} of ids")
            return found
        if options.start is None:
            raise InputError("no decoder_start_token_id, and no bos_token_id: nothing says what a text begins with")
        return np.full((len(ids), 1), options.start, np.int32)

    def _check(self, options: Options) -> None:
        vocabulary = self.vocabulary
        for name, token in options.tokens():
            if token >= vocabulary:
                raise InputError(f"{name}: {token} is not the id of a token; the vocabulary has {vocabulary}")
        if options.num_beams > vocabulary:
            raise InputError(f"num_beams = {options.num_beams}: more than the {vocabulary} tokens of the vocabulary")
        allowed = set(range(vocabulary)) - options.banned() if options.banned() else {0}
        if not allowed - (set(options.eos_token_id) if options.min_total(1) > 1 else set()):
            raise InputError("bad_words_ids and suppress_tokens forbid every token that could come next")
