# SPDX-License-Identifier: BSD-2-Clause
"""Runs a trained language model on the device: many texts, and many characters of each, in one call."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import compile
from spago_jax.core import Module, Precision
from spago_jax.core.tree import PyTree
from spago_jax.generation import Choice, Generator
from spago_jax.train.task import Objective

_PIECE = 64  # characters written in one call
_ROOM = 512  # characters that a compiled loop has room for at least, so that few of them are compiled


class DeviceEngine:
    """Runs a language model on the device.

    Args:
        objective: of the task, which reads texts.
        model: its model.
        precision: that it computes in.
    """

    at_once = 64

    def __init__(self, objective: Objective, model: Any, precision: Precision):
        self._objective, self._model = objective, model

        def read(model: Module, ids: jax.Array, length: jax.Array, state: PyTree) -> tuple[jax.Array, Any]:
            batch = {"inputs": ids[None], "lengths": length[None]}
            outputs, state = objective.predict(precision.to_compute(model), batch, state)
            return outputs["logits"][0], state

        self._read = compile(read, name="read")
        self._generator = Generator(precision.to_compute(model))

    def start(self) -> Any:
        """Zeros."""
        return self._objective.initial_carry(1)

    def read(self, ids: np.ndarray, length: int, state: PyTree) -> tuple[Any, Any]:
        """Reads a piece of a text."""
        return self._read(self._model, ids, np.int32(length), state)

    def write(
        self, prompts: Sequence[np.ndarray], count: int, choice: Choice, noise: tuple[int, int], stop: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Writes texts in pieces."""
        time = max(map(len, prompts))
        ids, mask = np.zeros((len(prompts), time), np.int32), np.zeros((len(prompts), time), bool)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)], mask[row, : len(prompt)] = prompt, True
        seed, first = noise
        options = options_of(choice, seed, max(count, _ROOM), stop)
        return self._generator.stream(ids, mask, first=first, steps=_PIECE, **options)


def options_of(choice: Choice, seed: int, count: int, stop: Sequence[int] | np.ndarray = ()) -> dict[str, Any]:
    """Returns the options of the loop that choose as ``choice`` does."""
    how = {
        "max_new_tokens": count,
        "suppress_tokens": choice.never,
        "stop_sequences": (tuple(stop),) if len(stop) else (),
    }
    if choice.temperature == 0:
        return how
    drawn = {"temperature": choice.temperature, "top_k": choice.top_k or 0, "top_p": choice.top_p or 1.0}
    return {**how, "do_sample": True, "seed": seed, **drawn}
