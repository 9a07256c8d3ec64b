# SPDX-License-Identifier: BSD-2-Clause
"""Scores a trained run on data."""

from pathlib import Path

from spago_jax.core import Precision
from spago_jax.core.devices import Devices
from spago_jax.data.files import find_file
from spago_jax.errors import InputError
from spago_jax.tasks.experiment import run_experiment
from spago_jax.tasks.load import open_run
from spago_jax.train.evaluate import evaluate
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.step import evaluation_program
from spago_jax.train.task import Scores


def evaluate_run(path: str | Path, *, data: str | None = None, step: int | None = None) -> dict[str, Scores]:
    """The scores of a run's best checkpoint.

    Args:
        path: the run folder.
        data: a file in the format of the run's own data; by default the dev and test parts of its config.
        step: another checkpoint.

    Raises:
        InputError: for a missing or bad file, or where the config names neither dev nor test.
        CheckpointError: where the checkpoint cannot be read.
    """
    if data is not None:
        if "," not in data:
            find_file(data)
        trained = open_run(path, step=step)
        try:
            trained.task.load_split("data", data)
        except InputError as error:
            if error.path is not None or data in str(error):
                raise
            raise InputError(str(error), path=data) from None
        splits = ["data"]
    else:
        run = RunFolder.open(path)
        experiment = run_experiment(run)
        task_class = experiment.task_class
        task_class.check(experiment)
        start = task_class.processor_class.load(run.assets) if experiment.init is not None else None
        task = task_class.prepare(experiment, start=start)
        trained = open_run(path, step=step, task=task)
        splits = [name for name in task.splits() if name != "train"]
        if not splits:
            raise InputError(f"{path}: its config names neither dev nor test data; give a file by --data")
    devices = Devices.of(1)
    precision = Precision.parse(trained.experiment.train.precision)
    program = evaluation_program(trained.task.objective, devices, precision)
    return {split: evaluate(trained.task, program, trained.model, split, devices) for split in splits}
