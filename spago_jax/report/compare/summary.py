# SPDX-License-Identifier: BSD-2-Clause
"""One run in a line: its state, its size and its scores, read from its folder whatever state that is in."""

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml

from spago_jax.core.lock import holder
from spago_jax.core.show import finite
from spago_jax.errors import InputError
from spago_jax.report.compare.differences import flatten
from spago_jax.report.source import Record, RunData, read_run
from spago_jax.report.throughput import spent
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.task import Score

# A folder with two of these was written by training; one alone (a config.yaml) may come from elsewhere.
MARKS = frozenset({
    "config.yaml", "about.json", "model.json", "metrics.jsonl", "timings.jsonl", "scores.json", "checkpoints",
})  # fmt: skip


def is_run(names: Iterable[str]) -> bool:
    """Whether training wrote a folder with files and folders of these names, completely or not.

    >>> is_run(["config.yaml", "checkpoints", "notes.txt"]), is_run(["config.yaml", "main.py"])
    (True, False)
    """
    return len(MARKS.intersection(names)) >= 2


def find_runs(folders: str | Path | Iterable[str | Path]) -> list[Path]:
    """The run folders at and below some folders, by path, each once; hidden folders are skipped.

    Raises:
        InputError: for a folder that does not exist.
    """
    found: dict[Path, Path] = {}
    for folder in map(Path, [folders] if isinstance(folders, str | Path) else folders):
        if not folder.is_dir():
            raise InputError("no such folder; spago-jax train writes into runs/NAME, or where --out says", path=folder)
        for path, inner, files in os.walk(folder):
            if is_run([*inner, *files]):
                found.setdefault(Path(path).resolve(), Path(path))
                inner.clear()  # what is below belongs to the run
            inner[:] = sorted(name for name in inner if not name.startswith("."))
    return sorted(found.values())


State = Literal["finished", "running", "interrupted", "failed", "unfinished", "broken"]


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What a table says about a run.

    Attributes:
        path: its folder, as it was asked for.
        state: *finished*; *running*; *interrupted* (by Ctrl-C); *failed* (by an error); *unfinished* (it was killed);
            *broken*.
        reason: why it failed, or is broken.
        task: what it learns.
        epochs, steps: how far it got, and `epochs_asked` or `steps_asked` how far it should.
        parameters: how many numbers are trained.
        metric: the score that picks the best checkpoint, where it is known.
        dev, test: the scores of the best checkpoint; of a run that has not ended, of its best evaluation so far.
        seconds: of all epochs.
        rate, unit: what was trained on in a second, such as tokens.
        started: when its first checkpoint folder was made, seconds since 1970 by the file system.
        config: its settings by dotted key.
        data: all that is in its folder.
    """

    path: Path
    state: State
    data: RunData
    reason: str = ""
    task: str = ""
    epochs: int = 0
    epochs_asked: int | None = None
    steps_asked: int | None = None
    steps: int = 0
    parameters: int = 0
    metric: Score | None = None
    dev: dict[str, float] = dataclasses.field(default_factory=dict)
    test: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    rate: float | None = None
    unit: str = ""
    started: float | None = None
    config: dict[str, Any] = dataclasses.field(default_factory=dict)

    def mode(self, name: str) -> Literal["max", "min"]:
        """Whether more or less of a score is better."""
        if self.metric is not None and self.metric.name == name:
            return self.metric.better
        return _directions(self.data).get(name, "min")

    @property
    def score(self) -> float | None:
        """The dev score that picks the best checkpoint."""
        return None if self.metric is None else self.dev.get(self.metric.name)


def read_summary(path: str | Path) -> RunSummary:
    """Reads a run folder; one that is damaged is summed up as broken, with the reason.

    Raises:
        InputError: where there is no run at all.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError("no such run folder", path=folder)
    if not is_run(found.name for found in folder.iterdir()):
        raise InputError("not the folder of a run", path=folder)
    run = RunFolder(folder)
    data = read_run(run)
    try:
        task = _checked(run, data)
    except InputError as error:
        return RunSummary(folder, "broken", data, reason=str(error), started=_started(run))
    epochs = max((e for r in (*data.timings, *data.metrics) if isinstance(e := r.get("epoch"), int)), default=0)
    metric = _metric(data)
    dev, test = _scores(data, metric)
    units = sum(finite(r.get("units")) or 0.0 for r in data.timings)
    seconds = sum(finite(r.get("seconds")) or 0.0 for r in data.timings)
    steps_asked = _asked(data, "steps")
    epochs_asked = None if steps_asked else _asked(data, "epochs")
    state = _state(run, data, epochs, epochs_asked)
    return RunSummary(
        folder,
        state,
        data,
        reason=str(data.state.get("error") or "") if state == "failed" else "",
        task=task,
        epochs=epochs,
        epochs_asked=epochs_asked,
        steps_asked=steps_asked,
        steps=max((*(record["step"] for record in (*data.metrics, *data.timings)), *_checkpoints(run)), default=0),
        parameters=int(sum(finite(r.get("count")) or 0 for r in data.parameters if r.get("role") != "buffer")),
        metric=metric,
        dev=dev,
        test=test,
        seconds=spent(data.timings),
        rate=units / seconds if units and seconds else None,
        unit=str(data.timings[-1].get("unit", "units")) if data.timings else "",
        started=_started(run),
        config=flatten(data.config),
    )


# -- parts ---------------------------------------------------------------------------------------------------------


def _checked(run: RunFolder, data: RunData) -> str:
    """The task. Raises InputError with what is broken."""
    if not (run / "config.yaml").exists():
        raise InputError("it has no config.yaml")
    if not data.config:
        try:
            yaml.safe_load(data.config_text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            raise InputError(f"its config.yaml is not valid YAML{line}") from None
        raise InputError("its config.yaml is not a mapping with data, model and optimizer")
    task = data.config.get("task")
    if not isinstance(task, str):
        raise InputError("its config.yaml does not name a task")
    for name in data.missing:
        if name.endswith(".json") and (run / name).exists():
            raise InputError(f"its {name} is damaged")
    for name in ("metrics.jsonl", "timings.jsonl"):
        line = _damaged_line(run / name)
        if line is not None:
            raise InputError(f"its {name} is damaged at line {line}")
    return task


def _asked(data: RunData, key: str) -> int | None:
    """A number of the `train` section."""
    train = data.config.get("train")
    asked = train.get(key) if isinstance(train, dict) else None
    return asked if isinstance(asked, int) else None


def _checkpoints(run: RunFolder) -> list[int]:
    """The steps of the checkpoints; the log may lag behind them."""
    try:
        return [int(path.name) for path in run.checkpoints.iterdir() if path.name.isdecimal()]
    except OSError:
        return []


def _damaged_line(path: Path) -> int | None:
    """The first line that is not JSON; a last one that was cut off is what a kill leaves, and no damage."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return None
    for i, line in enumerate(lines[:-1]):
        try:
            json.loads(line)
        except ValueError:
            return i + 1
    return None


def _state(run: RunFolder, data: RunData, epochs: int, asked: int | None) -> State:
    said = data.state.get("state")
    if said in ("interrupted", "failed") or (said == "finished" and data.finished):
        return said
    if said == "running":
        return "unfinished" if holder(run.path) is None else "running"
    # A run of a version up to 0.1, which did not say.
    train = data.config.get("train")
    may_stop = isinstance(train, dict) and train.get("early_stopping")
    if data.finished and (asked is None or epochs >= asked or may_stop):
        return "finished"
    # The config is written anew when training starts or goes on, the report when it ends in whatever way.
    try:
        ended = (run / "report.html").stat().st_mtime >= (run / "config.yaml").stat().st_mtime
    except OSError:
        ended = False
    return "interrupted" if ended else "unfinished"


def _metric(data: RunData) -> Score | None:
    said = data.scores.get("metric")
    if isinstance(said, dict) and said.get("mode") in ("max", "min"):
        return Score(str(said.get("name")), said["mode"])
    measured = [name for record in data.records("dev")[-1:] for name in record if name not in ("step", "kind", "epoch")]
    train = data.config.get("train")
    wanted = train.get("metric") if isinstance(train, dict) else None
    name = wanted if wanted in measured else next(iter(measured), None)  # the score that counts is written first
    return None if name is None else Score(name, _directions(data).get(name, "min"))


def _directions(data: RunData) -> dict[str, Literal["max", "min"]]:
    """Whether more or less of each score is better, as the run wrote it down."""
    said = data.about.get("scores")
    if not isinstance(said, dict):
        return {}
    return {name: mode for name, mode in said.items() if mode in ("max", "min")}


def _scores(data: RunData, metric: Score | None) -> tuple[dict[str, float], dict[str, float]]:
    if data.finished:
        scores = data.scores["scores"]
        return _numbers(scores.get("dev")), _numbers(scores.get("test"))
    best: Record = {}
    for record in data.records("dev"):
        value = finite(record.get(metric.name)) if metric else None
        if metric and value is not None and metric.improves(value, best.get(metric.name)):
            best = record
    return _numbers(best), {}


def _numbers(record: object) -> dict[str, float]:
    if not isinstance(record, dict):
        return {}
    found = {name: finite(value) for name, value in record.items() if name not in ("step", "kind", "epoch")}
    return {name: value for name, value in found.items() if value is not None}


def _started(run: RunFolder) -> float | None:
    # The vocabularies are written once, before the first step; the config and others are written again on a resume.
    for path in (run.assets, run / "config.yaml", run.path):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return None
