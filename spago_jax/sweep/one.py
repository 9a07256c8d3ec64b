# SPDX-License-Identifier: BSD-2-Clause
"""One trial: trains it into its folder, from wherever a kill left it, and says how it ended."""

import dataclasses
import shlex
import shutil
from pathlib import Path
from typing import Any

import jax
import yaml

from spago_jax.core.disk import explain_os_error
from spago_jax.core.show import finite
from spago_jax.errors import InputError, TrainingError
from spago_jax.report.compare.summary import read_summary
from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.loop import fit

Outcome = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Job:
    """What a process has to know to run a trial: nothing but texts, so that it can be sent to another.

    Attributes:
        base: the file of the experiment.
        overrides: what the trial changes of it.
        folder: of the run.
        anew: whether a run with another number of epochs is deleted; by default it goes on.
    """

    base: str
    overrides: tuple[str, ...]
    folder: str
    anew: bool = False


def run_one(job: Job) -> Outcome:
    """Trains a trial to its end, or from its last checkpoint to its end.

    Returns:
        ``state``: *finished*, with scores and sizes, or *failed*, with the reason.

    Raises:
        CheckpointError: when the disk is full or a checkpoint is damaged: no other trial would fare better.
        Interrupted: after Ctrl-C, with a checkpoint written.
        OSError, InputError: when a file of the data is gone.
    """
    experiment = load_experiment(job.base, job.overrides)
    folder = Path(job.folder)
    _clear(folder, experiment.train.epochs if job.anew else None)
    with explain_os_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["spago-jax", "train", job.base, *job.overrides, "--out", job.folder])
    try:
        result = fit(experiment, folder, resume=True, command=command, console=TrainingConsole(quiet=True))
    except (TrainingError, jax.errors.JaxRuntimeError) as error:  # of the latter kind: no memory for a large model
        return {"state": "failed", "reason": str(error).splitlines()[0]}
    except InputError as error:
        if isinstance(error.__context__, OSError):  # a file of the data, the disk: not the trial's fault
            raise
        return {"state": "failed", "reason": str(error)}
    scores = {
        split: {name: finite(value) for name, value in score.values.items()} for split, score in result.scores.items()
    }
    summary = read_summary(folder)
    return {
        "state": "finished",
        "scores": scores,
        "best_step": result.best_step,
        "epochs": summary.epochs,
        "steps": result.steps,
        "parameters": summary.parameters,
        "seconds": round(summary.seconds, 3),
    }


def _clear(folder: Path, epochs: int | None) -> None:
    """Deletes what cannot be gone on with: a run half deleted or half made, or one with other epochs than `epochs`."""
    config = folder / "config.yaml"
    if not folder.exists():
        return
    with explain_os_error(folder):
        if config.exists():
            stored = yaml.safe_load(config.read_text(encoding="utf-8"))
            if epochs is None or stored["train"]["epochs"] == epochs:
                return
            config.unlink()  # first: a folder without it is deleted whatever else a kill leaves of it
        shutil.rmtree(folder)
