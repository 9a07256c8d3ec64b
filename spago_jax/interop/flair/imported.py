# SPDX-License-Identifier: BSD-2-Clause
"""A model of Flair's as one of this library: an experiment, a processor and arrays, ready to be used or written."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.core import unflat
from spago_jax.core.disk import new_folder, refuse_taken
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.stacked import names_of
from spago_jax.interop.flair.file import FlairFile
from spago_jax.interop.flair.part import Part
from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.config import dump
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment
from spago_jax.train.start import IMPORTED
from spago_jax.train.task import Task

ABOUT = "imported.json"
_OPTIMIZER = {"name": "adam", "learning_rate": 0.001}  # which every experiment has


@dataclass(frozen=True)
class Imported:
    """A model that was read from a file of another library's.

    Attributes:
        settings: of its experiment, as a config has them.
        processor: from the experiment to the processor of its task.
        arrays: of the model, by path.
        facts: what was in the file, as plain JSON.
    """

    settings: Mapping[str, Any]
    processor: Callable[[Experiment], Any]
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        file: FlairFile,
        settings: Mapping[str, Any],
        processor: Callable[[Experiment], Any],
        arrays: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
    ) -> "Imported":
        """Returns what was made of a file, with the facts that every file has."""
        arrays = {path: np.ascontiguousarray(array) for path, array in arrays.items()}
        sizes = {
            "parameters": sum(array.size for array in arrays.values()),
            "bytes": sum(array.nbytes for array in arrays.values()),
        }
        common = {"file": str(file.path), "library": "flair", "kind": file.kind, "task": settings["task"]}
        return cls({**settings, "name": file.path.stem, "optimizer": _OPTIMIZER}, processor, arrays,
                   {**common, **facts, **sizes})  # fmt: skip

    def open(self) -> tuple[Task, Any]:
        """Returns the task, without data, and the model.

        Raises:
            InputError: for arrays that do not fit the settings.
        """
        experiment = load_experiment(dict(self.settings), files=False)
        task = experiment.task_class(experiment, self.processor(experiment))
        skeleton = jax.eval_shape(task.objective.init, jax.random.key(0))
        return task, unflat(skeleton, {path: jnp.asarray(array) for path, array in self.arrays.items()})

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Writes a folder that ``load_task``, ``init.from`` and the command line take like that of a run.

        It has ``config.yaml``, ``assets/``, ``model.safetensors``, and ``imported.json``, which says where it is from;
        it appears complete or not at all.

        Raises:
            InputError: for a folder that is in the way; an imported model is only replaced with ``overwrite``.
            OSError: where the folder cannot be written.
        """
        refuse_taken(folder, "an imported model", ABOUT, overwrite=overwrite)
        task, _ = self.open()
        with new_folder(folder, replace=overwrite) as part:
            run = RunFolder(part)
            run.assets.mkdir()
            task.processor.save(run.assets)
            write_safetensors(part / IMPORTED, self.arrays)
            (part / "config.yaml").write_text(dump(task.experiment), encoding="utf-8")
            (part / ABOUT).write_text(json.dumps(self.facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return folder


def indexers_of(parts: Sequence[Part], experiment: Experiment) -> list[TokenIndexer]:
    """Returns the host halves of stacked embeddings, under the names that their configs have."""
    names = names_of(experiment.model.embeddings)
    return [part.indexer(name) for part, name in zip(parts, names, strict=True)]


def most_words(parts: Sequence[Part], most: int) -> int:
    """Returns how many words of a sentence are read at most, by all of some embeddings."""
    return min([most, *(part.longest for part in parts if part.longest is not None)])


def stacked_arrays(parts: Sequence[Part]) -> dict[str, np.ndarray]:
    """Returns the arrays of stacked embeddings, by their paths in a model."""
    return {
        f"embeddings.parts.{number}.{path}": array
        for number, part in enumerate(parts)
        for path, array in part.arrays.items()
    }
