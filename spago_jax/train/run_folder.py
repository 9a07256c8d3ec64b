# SPDX-License-Identifier: BSD-2-Clause
"""The folder of one run: config, metrics, checkpoints, assets. It is all that is needed to use the model."""

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.core.lock import locked
from spago_jax.errors import CheckpointError, InputError
from spago_jax.train.config import dump, validate
from spago_jax.train.schema import Experiment
from spago_jax.train.yaml_source import read

# Everything that a run writes at the top of its folder; --overwrite deletes these and nothing else.
_FILES = (
    "config.yaml", "metrics.jsonl", "timings.jsonl", "details.json", "scores.json", "about.json", "programs.json",
    "model.json", "data.json", "report.html", "state.json", "watch.csv", "watch.log", "histograms.jsonl",
)  # fmt: skip
_FOLDERS = ("assets", "checkpoints", "tensorboard")


class RunFolder:
    """Names and writes the files of a run.

    ``config.yaml`` the resolved experiment; ``metrics.jsonl`` losses and scores (the same bytes for a run that was
    interrupted and one that was not); ``timings.jsonl`` durations; ``details.json`` tables for the report;
    ``about.json`` the command and the versions; ``programs.json`` what was compiled; ``model.json`` the table of
    parameters; ``data.json`` the files it was trained on, by their contents; ``state.json`` whether it is running or
    how it ended; ``watch.csv``, ``watch.log`` and
    ``histograms.jsonl`` the watched values by epoch; ``assets/`` vocabularies and labels; ``checkpoints/``;
    ``report.html``.

    Args:
        path: the folder.
        writes: whether it may be changed; of several processes that train together, one does. Where not, what writes
            does nothing.
    """

    def __init__(self, path: str | Path, *, writes: bool = True):
        self.path, self.writes = Path(path), writes

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @classmethod
    def create(cls, path: str | Path, experiment: Experiment, *, overwrite: bool = False) -> "RunFolder":
        """Makes the folder and writes the config.

        Raises:
            InputError: when it already holds a run, or cannot be written.
        """
        run = cls(path)
        if not overwrite:
            run.refuse_existing()
        try:
            if overwrite:
                run._clear()
            run.path.mkdir(parents=True, exist_ok=True)
            replace_file(run / "config.yaml", dump(experiment))
        except OSError as error:
            raise InputError(f"cannot write the run folder {path}: {error.strerror}") from None
        return run

    @classmethod
    @contextmanager
    def held(cls, path: str | Path, *, make: bool = False) -> Iterator[None]:
        """Holds the folder of a run for one training at a time; others may read it meanwhile.

        Args:
            path: the folder. Nothing is held if it does not exist.
            make: makes the folder where it does not exist; if nothing is in it in the end, it goes again.

        Raises:
            InputError: when another process trains in it, or it cannot be made or written.
        """
        folder = Path(path)
        there = folder.exists()
        with ExitStack() as stack:
            if make and not there:
                stack.callback(_remove_empty, folder)
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise InputError(f"cannot write the run folder {path}: {error.strerror}") from None
            if folder.is_dir():
                try:
                    stack.enter_context(locked(folder, "run"))
                except CheckpointError as error:
                    raise InputError(f"cannot write the run folder {path}: {error}") from None
            yield

    def refuse_existing(self) -> None:
        """Raises InputError when the folder already holds a run, or is not a folder."""
        if (self / "config.yaml").exists():
            raise InputError(
                f"{self.path} already holds a run; continue it with --resume, start anew with --overwrite, "
                f"or write elsewhere with --out"
            )
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"cannot write the run folder {self.path}: a file of that name exists")

    def _clear(self) -> None:
        """Deletes what a run writes, and nothing else: the folder may hold the user's own files."""
        if not (self / "config.yaml").exists():
            return
        if not any((self / name).exists() for name in ("about.json", "checkpoints", "assets")):
            raise InputError(
                f"{self.path} has a config.yaml, but is not the folder of a run: --overwrite would delete "
                f"a file that no run wrote; write elsewhere with --out"
            )
        for name in _FILES:
            (self / name).unlink(missing_ok=True)
        for name in _FOLDERS:
            if (self / name).exists():
                shutil.rmtree(self / name)

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Opens an existing run.

        Raises:
            InputError: when there is no run at that path.
        """
        run = cls(path)
        if not os.path.isfile(run / "config.yaml"):  # unlike is_file() also for names that no file can have
            raise InputError(f"{path} is not the folder of a run (it has no config.yaml)")
        return run

    def experiment(self, schema: type[Experiment]) -> Experiment:
        """Returns the experiment of this run, checked against a task's schema; its data files need not exist any more.

        Raises:
            InputError: for a config that was edited by hand, or belongs to another task.
        """
        source = read(self / "config.yaml")
        if schema.task_class is not None and source.tree.get("task") != schema.task_class.name:
            found = source.tree.get("task")
            raise InputError(f"{self.path} is a run of the task {found!r}, not of {schema.task_class.name!r}")
        return validate(schema, source.tree, source, ())

    @property
    def assets(self) -> Path:
        """The folder of vocabularies and labels."""
        return self / "assets"

    @property
    def checkpoints(self) -> Path:
        """The folder of Orbax's checkpoints."""
        return self / "checkpoints"

    def write(self, name: str, text: str) -> None:
        """Writes a small file whole or not at all.

        Raises:
            CheckpointError: when the disk is full or the folder cannot be written.
        """
        if not self.writes:
            return
        with explain_os_error(self / name):
            replace_file(self / name, text)

    def write_json(self, name: str, value: object) -> None:
        """Writes a JSON file whole or not at all."""
        self.write(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, name: str, default: object) -> Any:
        """Reads a JSON file; ``default`` where it is missing or damaged."""
        try:
            return json.loads((self / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return default

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Adds one line to a JSON-lines file.

        Raises:
            CheckpointError: when the disk is full or the folder cannot be written.
        """
        if not self.writes:
            return
        with explain_os_error(self / name), open(self / name, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yields the records of a JSON-lines file, each with its ``step``, up to a line that a crash cut off."""
        path = self / name
        if not path.is_file():
            return
        for line in path.read_bytes().split(b"\n"):  # not at all the ends of lines that a text may have
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                return
            if not isinstance(record, dict) or not isinstance(record.get("step"), int):
                return
            yield record

    def keep_until(self, name: str, step: int) -> None:
        """Drops the records after a step, which a resumed run writes again."""
        kept = [json.dumps(r, ensure_ascii=False) + "\n" for r in self.lines(name) if r["step"] <= step]
        if (self / name).exists():
            self.write(name, "".join(kept))

    def drop(self, name: str) -> None:
        """Deletes a file, if it is there."""
        if self.writes:
            (self / name).unlink(missing_ok=True)

    def write_state(
        self, state: Literal["running", "finished", "interrupted", "failed"], error: BaseException | None = None
    ) -> None:
        """Writes ``state.json``: how the run stands, since when, and the first line of the error that ended it.

        A run that is killed cannot say so: it stays *running*, and nobody holds its folder.
        """
        lines = "" if error is None or isinstance(error, KeyboardInterrupt) else str(error).strip()
        if error is not None and state == "failed" and not lines:
            lines = type(error).__name__
        self.write_json("state.json", {"state": state, "error": lines.partition("\n")[0] or None, "since": time.time()})

    def write_about(self, command: str, scores: Mapping[str, str]) -> None:
        """Adds the command to ``about.json``, with the versions, the machine and the direction of each score.

        Args:
            command: the command line as it was given.
            scores: ``max`` or ``min`` by name of the score, the deciding one first.
        """
        about = self.read_json("about.json", {})
        before = about.get("commands") if isinstance(about, dict) else None
        about = about if isinstance(about, dict) else {}
        about["commands"] = [*(before if isinstance(before, list) else ()), command]
        about |= {"versions": versions(), "machine": machine(), "scores": dict(scores)}
        self.write_json("about.json", about)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not empty, as it should be
        folder.rmdir()


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    names = ("spago_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


def machine() -> dict[str, Any]:
    """Describes the machine: system, cores, devices."""
    import jax

    devices = jax.local_devices()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "argv0": Path(sys.argv[0]).name,
    }
