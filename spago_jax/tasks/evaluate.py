# SPDX-License-Identifier: BSD-2-Clause
"""Scores a trained run on data."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from spago_jax.core import Precision
from spago_jax.core.devices import Devices
from spago_jax.data.files import find_file, new_file
from spago_jax.errors import InputError
from spago_jax.tasks.load import TrainedRun, open_run
from spago_jax.train.data_record import refuse_changed
from spago_jax.train.evaluate import evaluate
from spago_jax.train.step import evaluation_program
from spago_jax.train.task import Scores


def evaluate_run(
    path: str | Path,
    *,
    data: str | None = None,
    step: int | None = None,
    mistakes: str | Path | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> dict[str, Scores]:
    """The scores of a run's best checkpoint; vocabularies and labels are those of the run, not of the files.

    Args:
        path: the run folder.
        data: a file in the format of the run's own data, a pattern or a folder; by default the dev and test parts of
            its config.
        step: another checkpoint.
        mistakes: a JSON-lines file to write every mistake to, with the example as it was given.
        say: takes remarks about the data, such as labels that the model lacks.

    Raises:
        InputError: for a missing or bad file, where the config names neither dev nor test, or where the mistakes cannot
            be written.
        CheckpointError: where the checkpoint cannot be read.
    """
    if mistakes is not None and (os.path.isdir(mistakes) or not Path(mistakes).absolute().parent.is_dir()):
        raise InputError("cannot be written: it is a folder, or its folder does not exist", path=mistakes)
    trained = open_run(path, step=step)
    splits = _read_own(trained, path) if data is None else _read_given(trained, data)
    for line in trained.task.remarks():
        say(line)
    devices = Devices.of(1)
    precision = Precision.parse(trained.experiment.train.precision)
    program = evaluation_program(trained.task.objective, None, precision)
    keep = None if mistakes is None else sys.maxsize
    scores = {split: evaluate(trained.task, program, trained.model, split, devices, keep=keep) for split in splits}
    for split, found in scores.items():
        baseline = trained.task.baseline(split)
        if baseline is not None:
            found.details["baseline"] = baseline.values
        unseen = found.details.get("unseen", {})
        if unseen:
            listed = ", ".join(
                f"{name} ({count})" for name, count in sorted(unseen.items(), key=lambda kv: -kv[1])[:10]
            )
            more = f" and {len(unseen) - 10} more" if len(unseen) > 10 else ""
            say(f"{split}: gold labels that the model does not have, which count as missed: {listed}{more}")
    if mistakes is not None:
        _write_mistakes(Path(mistakes), scores)
    return scores


def _read_given(trained: TrainedRun, data: str) -> list[str]:
    reader = trained.experiment.data
    if not data:
        raise InputError("no data: the name of the file is empty")
    names = [data] if os.path.exists(data) else data.split(",")  # IMAGES,LABELS
    files = [file for name in names for file in reader.expand(name)]
    for path in files:
        find_file(path)
    try:
        trained.task.read("data", files)
    except InputError as error:
        if error.path is not None or data in str(error):
            raise
        raise InputError(str(error), path=data) from None
    return ["data"]


def _read_own(trained: TrainedRun, path: str | Path) -> list[str]:
    reader = trained.experiment.data
    splits = [split for split in reader.splits() if split != "train"]
    if not splits:
        raise InputError(f"{path}: its config names neither dev nor test data; give a file by --data")
    for split in splits:
        if reader.is_drawn(split):
            refuse_changed(trained.run, reader, split, "dev and test were drawn from it; give a file by --data")
        trained.task.read(split)
    return splits


def _write_mistakes(path: Path, scores: dict[str, Scores]) -> None:
    lines = [
        json.dumps({"split": split, **sample}, ensure_ascii=False) + "\n"
        for split, found in scores.items()
        for sample in found.details.get("samples", ())
        if sample.get("gold") != sample.get("predicted")
    ]
    with new_file(path) as file:
        file.write("".join(lines).encode("utf-8"))
