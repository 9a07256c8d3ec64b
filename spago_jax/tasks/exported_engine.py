# SPDX-License-Identifier: BSD-2-Clause
"""Runs an exported language model. Needs NumPy alone beside the exported program; an exported folder carries a copy."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spago_jax.generation.choice import Choice
from spago_jax.tasks.generator import write_step_by_step


class ExportedEngine:
    """Runs an exported language model, one character per call; drawing is NumPy's."""

    at_once = 1

    def __init__(self, program: Any):
        self._program = program

    def start(self) -> Any:
        """Zeros."""
        return self._program.zeros("state", batch=1)

    def read(self, ids: np.ndarray, length: int, state: Any) -> tuple[np.ndarray, Any]:
        """Reads a piece of a text."""
        found = self._program({"inputs": ids[None], "lengths": np.array([length], np.int32)}, state)
        return np.asarray(found["logits"])[0], found["state"]

    def write(
        self, prompts: Sequence[np.ndarray], count: int, choice: Choice, noise: tuple[int, int], stop: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Writes a text in pieces."""
        return write_step_by_step(self, prompts, count, choice, noise)
