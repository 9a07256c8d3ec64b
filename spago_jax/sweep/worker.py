# SPDX-License-Identifier: BSD-2-Clause
"""One trial, in this process or in a process of its own, which reads jobs and answers them as lines of JSON.

Such a process exits as soon as its input ends, whatever it is doing: the sweep that it works for was killed.
"""

import dataclasses
import json
import os
import queue
import shlex
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import jax
import yaml

from spago_jax.core.devices import ask_for_cpu_devices
from spago_jax.core.disk import explain_os_error
from spago_jax.core.show import finite
from spago_jax.errors import InputError, SpagoError, TrainingError
from spago_jax.report.compare.summary import read_summary
from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.loop import fit

Outcome = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Job:
    """A trial as plain text, so that it can be sent to another process.

    Attributes:
        base: the file of the experiment.
        overrides: the settings that the trial changes.
        folder: of the run.
        anew: whether a run with another number of epochs is deleted and trained again; by default it is resumed.
    """

    base: str
    overrides: tuple[str, ...]
    folder: str
    anew: bool = False


def run_job(job: Job) -> Outcome:
    """Trains a trial to its end, from its last checkpoint if there is one.

    Returns:
        ``state``: *finished*, with scores and sizes, or *failed*, with the reason.

    Raises:
        CheckpointError: if the disk is full or a checkpoint is damaged: every other trial would fail too.
        Interrupted: after Ctrl-C, with a checkpoint written.
        OSError, InputError: if a data file is missing.
    """
    experiment = load_experiment(job.base, job.overrides)
    folder = Path(job.folder)
    _clear(folder, experiment.train.epochs if job.anew else None)
    with explain_os_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["spago-jax", "train", job.base, *job.overrides, "--out", job.folder])
    try:
        result = fit(experiment, folder, resume=True, command=command, console=TrainingConsole(quiet=True))
    except (
        TrainingError,
        jax.errors.JaxRuntimeError,
    ) as error:  # the latter: out of memory
        return {"state": "failed", "reason": str(error).splitlines()[0]}
    except InputError as error:
        if isinstance(error.__context__, OSError):  # a data file or the disk, not the trial
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
    """Deletes a run that cannot be resumed: half deleted, half created, or with other epochs than `epochs`."""
    config = folder / "config.yaml"
    if not folder.exists():
        return
    with explain_os_error(folder):
        if config.exists():
            stored = yaml.safe_load(config.read_text(encoding="utf-8"))
            if epochs is None or stored["train"]["epochs"] == epochs:
                return
            config.unlink()  # first, so that a folder that is half deleted is recognised
        shutil.rmtree(folder)


def main() -> None:
    """Answers jobs until the input ends; its first answer says that it may be interrupted."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be mistaken for an answer
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    answer: dict[str, Any] = {"ready": True}
    while True:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an answer is written whole
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            answer = _answer(json.loads(waiting.get()))
        except KeyboardInterrupt:
            answer = {"stop": "Interrupted", "message": "interrupted"}


def _read(waiting: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        waiting.put(line)
    os._exit(1)


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        ask_for_cpu_devices(job.pop("devices"))
        return {"outcome": run_job(Job(**job))}
    except (SpagoError, OSError) as error:
        return {"stop": type(error).__name__, "message": str(error)}
    except Exception:
        return {"stop": "bug", "message": traceback.format_exc()}


def line_of(job: Any, devices: int | str) -> str:
    """A job as a line for a worker."""
    return json.dumps(dataclasses.asdict(job) | {"devices": devices}) + "\n"


if __name__ == "__main__":
    main()
