# SPDX-License-Identifier: BSD-2-Clause
"""Runs an exported ONNX model on onnxruntime. Needs NumPy beside it; an exported folder carries a copy."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.generation.choice import Choice
from spago_jax.tasks.generator import write_step_by_step

_DTYPES = {"tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(uint16)": np.uint16}


class OnnxProgram:
    """``batch -> outputs`` of ``model.onnx``, by the names that the exported program gives them.

    Args:
        folder: an exported folder.
    """

    def __init__(self, folder: str | Path):
        import onnxruntime  # pyright: ignore[reportMissingImports]

        self._session = onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"))
        self._dtypes = {value.name: _DTYPES[value.type] for value in self._session.get_inputs()}
        self.inputs = {value.name: value.shape for value in self._session.get_inputs()}

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for the arrays of a batch."""
        return self.run({f"batch.{name}": array for name, array in batch.items()})

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name, for inputs by name."""
        given = {name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in self._dtypes.items()}
        names = [value.name for value in self._session.get_outputs()]
        return {name: np.asarray(out) for name, out in zip(names, self._session.run(names, given), strict=True)}


class OnnxEngine:
    """Runs an exported language model, one character per call; drawing is NumPy's."""

    at_once = 1

    def __init__(self, program: OnnxProgram):
        self._program = program
        self._state = [name for name in program.inputs if not name.startswith("batch.")]

    def start(self) -> dict[str, np.ndarray]:
        """Zeros."""
        shapes = {name: self._program.inputs[name] for name in self._state}
        return {name: np.zeros((1, *shape[1:]), np.float32) for name, shape in shapes.items()}

    def read(self, ids: np.ndarray, length: int, state: dict[str, np.ndarray]) -> tuple[np.ndarray, Any]:
        """Reads a piece of a text."""
        batch = {"batch.inputs": ids[None], "batch.lengths": np.array([length])}
        found = self._program.run(batch | state)
        after = {name: found.get(f"{name}.out", found.get(name)) for name in self._state}
        return found["logits"][0], after

    def write(
        self, prompts: Sequence[np.ndarray], count: int, choice: Choice, noise: tuple[int, int], stop: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Writes a text in pieces."""
        return write_step_by_step(self, prompts, count, choice, noise)
