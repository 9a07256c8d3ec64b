# SPDX-License-Identifier: BSD-2-Clause
"""What a call asks of a compiled loop, and the texts that it finds."""

import dataclasses
from typing import Any

import numpy as np

from spago_jax.generation.beams import Beams
from spago_jax.generation.loop import Numbers, Plan
from spago_jax.generation.options import Options
from spago_jax.generation.protocol import NOTHING
from spago_jax.generation.rows import Rows


@dataclasses.dataclass(frozen=True)
class Generated:
    """Texts, as transformers lays them out: those of one item follow each other, best first.

    Attributes:
        ids: int32[batch * num_return_sequences, time], padded; they begin with the prompt (an encoder-decoder's start
            token), and are as long as the longest one.
        lengths: int32[batch * num_return_sequences], where the texts end in ``ids``, the end included.
        scores: float32[batch * num_return_sequences], the sum of a text's ``token_scores`` over
            ``(new tokens) ** length_penalty``; None without beams, unless ``output_scores`` asks for it.
        token_scores: float32[batch * num_return_sequences, time - prompt], 0 after the end; None unless
            ``output_scores`` asks for them. With beams, the log-probability ``log_softmax(logits)`` after the rules
            (of a forced token 0), which is not normalized again; without, ``log_softmax`` of the logits after the
            rules.
        prompt: tokens of the prompt.
    """

    ids: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray | None
    token_scores: np.ndarray | None
    prompt: int

    def texts(self) -> list[np.ndarray]:
        """Returns the new tokens of each text, the end included."""
        return [row[self.prompt : length] for row, length in zip(self.ids, self.lengths, strict=True)]


@dataclasses.dataclass(frozen=True)
class Call:
    """What one call runs on: the arguments, padded to the sizes of a compiled loop.

    Attributes:
        options: of the call, as the loop counts tokens.
        plan: of the loop.
        numbers: of the loop.
        ids: what the model begins with.
        mask: of these.
        prompt: what the texts of the loop begin with.
        items: of the batch, without the padding.
        shift: how many tokens longer the loop's prompt is than the caller's; below 0 where it begins later.
        before: the tokens of the caller's prompt that the loop does not have.
    """

    options: Options
    plan: Plan
    numbers: Numbers
    ids: np.ndarray
    mask: np.ndarray
    prompt: np.ndarray
    items: int
    shift: int
    before: np.ndarray

    def found(self, at: Rows | Beams) -> Generated:
        """Returns the texts where a loop has ended."""
        plan, count = self.plan, self.options.num_return_sequences
        if isinstance(at, Beams):
            best = at.finished
            texts, ends, scores, tokens = best.ids, at.ends, best.scores, best.token_scores
        else:
            texts, ends, scores, tokens = at.ids, None, None, at.token_scores

        def rows(leaf: Any) -> np.ndarray:
            cut = np.asarray(leaf)[: self.items, :count]
            return cut.reshape(-1, *cut.shape[2:])

        ids = rows(texts)
        lengths = self._lengths(ids, int(at.length)) if ends is None else rows(ends)
        width = int(lengths.max())
        there = (np.arange(width) < lengths[:, None]) & (ids[:, :width] != NOTHING)
        ids = np.where(there, ids[:, :width], self.options.pad).astype(np.int32)
        each = None if tokens is None else rows(tokens)[:, plan.prompt : width]
        if each is not None:
            each = np.where(np.arange(plan.prompt, width) < lengths[:, None], each, 0.0)
        if scores is not None:
            scores = rows(scores)
        elif each is not None:
            scores = (each.sum(-1) / np.asarray(self.numbers.powers)[lengths - plan.prompt]).astype(np.float32)
        kept = np.repeat(np.where(self.before == NOTHING, self.options.pad, self.before), count, axis=0)
        whole = np.concatenate([kept.astype(np.int32), ids[:, max(self.shift, 0) :]], axis=1)
        return Generated(whole, (lengths - self.shift).astype(np.int32), scores, each, plan.prompt - self.shift)

    def _lengths(self, ids: np.ndarray, length: int) -> np.ndarray:
        """Up to the first end of each text."""
        new = ids[:, self.plan.prompt : length]
        ends = np.isin(new, np.asarray(self.numbers.eos))
        for sequence in self.options.stop_sequences:
            size = len(sequence)
            if length >= size:
                windows = np.lib.stride_tricks.sliding_window_view(ids[:, :length], size, axis=1)
                hits = np.zeros((len(ids), length), bool)
                hits[:, size - 1 :] = (windows == np.array(sequence)).all(-1)
                ends |= hits[:, self.plan.prompt :]
        first = np.where(ends.any(1), ends.argmax(1) + 1, new.shape[1])
        return first + self.plan.prompt
