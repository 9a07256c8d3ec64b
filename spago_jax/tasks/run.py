# SPDX-License-Identifier: BSD-2-Clause
"""Opens a run folder: its config, its vocabularies, and the weights of its best checkpoint."""

import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import jax

from spago_jax.core import Precision
from spago_jax.errors import CheckpointError
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.recipe import Recipe
from spago_jax.train.registry import recipe_class
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A model with all that it takes to use it."""

    run: RunFolder
    experiment: Experiment
    recipe: Recipe
    model: Any
    step: int


def open_run(path: str | Path, *, step: int | None = None, recipe: Recipe | None = None) -> TrainedRun:
    """Opens a run for use.

    Args:
        path: the run folder.
        step: which checkpoint; the best one by default.
        recipe: one that was prepared with data; by default one without data is opened from the run's assets.

    Raises:
        InputError: where there is no run.
        CheckpointError: where there is no checkpoint, or it cannot be read.
    """
    run = RunFolder.open(path)
    experiment = run.experiment()
    kind = recipe_class(experiment.model.kind)
    recipe = recipe or kind.open(experiment, run.assets)
    assert recipe is not None
    larger = recipe.chosen_metric().mode == "max"
    with closing(Checkpoints(run.checkpoints, larger_is_better=larger, read_only=True)) as checkpoints:
        chosen = checkpoints.best() if step is None else step
        if chosen is None:
            raise CheckpointError(f"{run.checkpoints}: there is no checkpoint yet")
        if chosen not in checkpoints.steps():
            raise CheckpointError(f"{run.checkpoints}: no checkpoint of step {chosen}; there are {checkpoints.steps()}")
        skeleton = jax.eval_shape(recipe.init_model, jax.random.key(0))
        precision = Precision.parse(experiment.train.precision)
        skeleton = jax.eval_shape(precision.to_params, skeleton)
        model, _ = checkpoints.load(chosen, skeleton, ("model", "average"))
    return TrainedRun(run, experiment, recipe, jax.device_put(model), chosen)
