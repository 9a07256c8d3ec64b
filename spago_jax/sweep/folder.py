# SPDX-License-Identifier: BSD-2-Clause
"""The folder of a sweep: what was asked for, and what every trial ended with; whole after a kill at any moment."""

import dataclasses
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.core.lock import locked
from spago_jax.errors import InputError
from spago_jax.report.compare.differences import flatten, setting
from spago_jax.sweep.halving import ranked
from spago_jax.sweep.schema import Sweep
from spago_jax.sweep.source import SweepFile
from spago_jax.sweep.trials import Trial
from spago_jax.train.task import Score
from spago_jax.train.yaml_source import read

Record = dict[str, Any]

PATIENCE = 10.0  # seconds for the processes of a sweep that was killed to notice it


class SweepFolder:
    """Names and writes the files of a sweep.

    ``sweep.yaml`` the resolved sweep and ``base.yaml`` the experiment that it varies, which together are a sweep of
    their own; ``trials.jsonl`` a line for each trial (of successive halving: and rung) that ended; ``report.html``;
    a run folder for each trial.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def begin(self, file: SweepFile, *, resume: bool) -> None:
        """Makes the folder, or checks that the one that is there is of the same sweep.

        Raises:
            InputError: when it holds another sweep or a run, or cannot be written; on a resume, when a key differs.
        """
        resolved, base = _resolved(file), read(file.base).tree
        if resume and (self / "sweep.yaml").exists():
            self._refuse_other(resolved, base)
            return
        if (self / "sweep.yaml").exists():
            raise InputError(
                f"{self.path} holds a sweep already; go on with it by --resume, or write elsewhere by --out"
            )
        if (self / "config.yaml").exists():
            raise InputError(f"{self.path} is the folder of a run; write the sweep elsewhere by --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(self / "base.yaml", _yaml(base))
            replace_file(self / "sweep.yaml", _yaml(resolved))  # last: a folder with it is one to resume
        except OSError as error:
            raise InputError(f"cannot write the folder {self.path}: {error.strerror}") from None

    def refuse_runs(self, names: list[str]) -> None:
        """Raises InputError where a trial's run folder is there before the sweep has begun."""
        for name in names:
            if (self / name).exists() and not (self / "sweep.yaml").exists():
                raise InputError(f"{self / name} is there already; write the sweep elsewhere by --out")

    def _refuse_other(self, resolved: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        stored = _flat(read(self / "sweep.yaml").tree, read(self / "base.yaml").tree)
        wanted = _flat(resolved, base)
        for key in dict.fromkeys([*stored, *wanted]):
            if stored.get(key) != wanted.get(key):
                before, now = (setting(tree[key]) if key in tree else "not set" for tree in (stored, wanted))
                raise InputError(
                    f"cannot resume: {key} was {before}, now {now}. Resume with the same sweep "
                    f"(jobs may change), or start another with --out"
                )

    def records(self) -> list[Record]:
        """What has ended so far, in the order of the ends.

        Raises:
            InputError: when the file was damaged; the sweep itself leaves it whole.
        """
        path = self / "trials.jsonl"
        if not path.exists():
            return []
        try:
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise InputError(f"not JSON lines any more: {error}", path=path) from None

    def add(self, record: Record) -> None:
        """Adds a line to ``trials.jsonl``: all of it is written, or nothing.

        Raises:
            CheckpointError: when the disk is full or the folder cannot be written.
        """
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in (*self.records(), record)]
        with explain_os_error(self / "trials.jsonl"):
            replace_file(self / "trials.jsonl", "".join(lines))

    def locked(self) -> AbstractContextManager[int]:
        """Holds the folder for one sweep at a time; gives the descriptor, which the processes of its trials inherit.

        Raises:
            InputError: when another sweep holds it, after a while.
        """
        return locked(self.path, "sweep", patience=PATIENCE)


def _resolved(file: SweepFile) -> dict[str, Any]:
    return file.sweep.model_dump(mode="json") | {"base": "base.yaml"}


def _flat(sweep: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the numbers of a sweep depend on, by dotted key."""
    kept = {key: value for key, value in sweep.items() if key not in ("base", "jobs", "description")}
    return flatten(kept) | {f"base: {key}": value for key, value in flatten(base).items()}


def _yaml(tree: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True)


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """The state of a sweep.

    Attributes:
        sweep: the settings.
        folder: with all of its files.
        metric: the dev score that ranks the trials.
        trials: all of them, by number.
        records: the lines of ``trials.jsonl``.
    """

    sweep: Sweep
    folder: SweepFolder
    metric: Score
    trials: tuple[Trial, ...]
    records: list[Record]

    def best_first(self) -> list[Record]:
        """The last record of each trial, best first; records of a later rung come before those of an earlier one.

        Ties go to the earlier trial; failed trials come last, by number.
        """
        last: dict[int, Record] = {}
        for record in sorted(self.records, key=lambda r: r["rung"]):
            last[record["trial"]] = record
        found: list[Record] = []
        for rung in sorted({record["rung"] for record in last.values()}, reverse=True):
            scores = {number: record["score"] for number, record in last.items() if record["rung"] == rung}
            found += [last[number] for number in ranked(scores, self.metric)]
        failed = [record for _, record in sorted(last.items()) if record["state"] == "failed"]
        return found + failed

    @property
    def keys(self) -> list[str]:
        """The parameters, in the order of the file."""
        return list(self.sweep.parameters)


def label(record: Record) -> str:
    """The number of a trial, its label in tables and curves.

    >>> label({"folder": "012-hidden-64"})
    '012'
    """
    return record["folder"].partition("-")[0]
