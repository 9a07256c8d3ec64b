# SPDX-License-Identifier: BSD-2-Clause
"""The folder of one run: config, metrics, checkpoints, assets. Nothing else is needed to use it."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.errors import InputError
from spago_jax.train.config import dump, validate
from spago_jax.train.schema import Experiment
from spago_jax.train.yaml_source import read

# Everything that a run writes at the top of its folder; --overwrite deletes these and nothing else.
_FILES = (
    "config.yaml", "metrics.jsonl", "timings.jsonl", "details.json", "scores.json", "about.json", "programs.json",
    "model.json", "report.html", "watch.csv", "watch.log", "histograms.jsonl",
)  # fmt: skip
_FOLDERS = ("assets", "checkpoints", "tensorboard")


class RunFolder:
    """Names and writes the files of a run.

    ``config.yaml`` the resolved experiment; ``metrics.jsonl`` losses and scores (the same bytes for a run that was
    interrupted and one that was not); ``timings.jsonl`` how long things took; ``details.json`` tables for the report;
    ``about.json`` the command and the versions; ``programs.json`` what was compiled; ``model.json`` the table of
    parameters; ``watch.csv``, ``watch.log`` and ``histograms.jsonl`` what was watched, by epoch; ``assets/``
    vocabularies and labels; ``checkpoints/``; ``report.html``.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @classmethod
    def create(cls, path: str | Path, experiment: Experiment, *, overwrite: bool = False) -> "RunFolder":
        """Makes the folder and writes the config.

        Raises:
            InputError: when it holds a run already, or cannot be written.
        """
        run = cls(path)
        if not overwrite:
            run.refuse_existing()
        there = run.path.exists()
        try:
            if overwrite:
                run._clear()
            run.path.mkdir(parents=True, exist_ok=True)
            replace_file(run / "config.yaml", dump(experiment))
        except OSError as error:
            if not there:
                with suppress(OSError):
                    run.path.rmdir()
            raise InputError(f"cannot write the run folder {path}: {error.strerror}") from None
        return run

    def refuse_existing(self) -> None:
        """Raises InputError when the folder holds a run already, or is no folder."""
        if (self / "config.yaml").exists():
            raise InputError(
                f"{self.path} holds a run already; go on with it by --resume, start anew by --overwrite, "
                f"or write elsewhere by --out"
            )
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"cannot write the run folder {self.path}: a file of that name is there")

    def _clear(self) -> None:
        """Deletes what a run writes, and nothing else: the folder may hold files of the user's own."""
        if not (self / "config.yaml").exists():
            return
        if not any((self / name).exists() for name in ("about.json", "checkpoints", "assets")):
            raise InputError(
                f"{self.path} has a config.yaml, but is not the folder of a run: --overwrite would delete "
                f"a file that no run wrote; write elsewhere by --out"
            )
        for name in _FILES:
            (self / name).unlink(missing_ok=True)
        for name in _FOLDERS:
            if (self / name).exists():
                shutil.rmtree(self / name)

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """An existing run.

        Raises:
            InputError: when there is no run at that path.
        """
        run = cls(path)
        if not (run / "config.yaml").is_file():
            raise InputError(f"{path} is not the folder of a run (it has no config.yaml)")
        return run

    def experiment(self, schema: type[Experiment]) -> Experiment:
        """The experiment of this run, checked against the schema of a task; its data files need not be there any more.

        Raises:
            InputError: for a config that was changed by hand, or is of another task.
        """
        source = read(self / "config.yaml")
        if schema.task_class is not None and source.tree.get("task") != schema.task_class.name:
            found = source.tree.get("task")
            raise InputError(f"{self.path} is a run of the task {found!r}, not of {schema.task_class.name!r}")
        return validate(schema, source.tree, source, ())

    @property
    def assets(self) -> Path:
        """Vocabularies and labels."""
        return self / "assets"

    @property
    def checkpoints(self) -> Path:
        """Orbax's folder."""
        return self / "checkpoints"

    def write(self, name: str, text: str) -> None:
        """Writes a small file whole or not at all.

        Raises:
            CheckpointError: when the disk is full or the folder cannot be written.
        """
        with explain_os_error(self / name):
            replace_file(self / name, text)

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file whole or not at all."""
        self.write(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Adds one line to a JSON-lines file.

        Raises:
            CheckpointError: when the disk is full or the folder cannot be written.
        """
        with explain_os_error(self / name), open(self / name, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The records of a JSON-lines file; a last line that was cut off by a crash is passed over."""
        path = self / name
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return

    def keep_until(self, name: str, step: int) -> None:
        """Drops the records after a step: a resumed run writes them again."""
        kept = [json.dumps(r, ensure_ascii=False) + "\n" for r in self.lines(name) if r["step"] <= step]
        if (self / name).exists():
            self.write(name, "".join(kept))

    def write_about(self, command: str, scores: Mapping[str, str]) -> None:
        """Adds the command that ran, with the versions, the machine and the direction of each score, to ``about.json``.

        Args:
            command: as it was given.
            scores: ``max`` or ``min`` by name, the one that counts first.
        """
        path = self / "about.json"
        about = json.loads(path.read_text()) if path.exists() else {"commands": []}
        about["commands"].append(command)
        about |= {"versions": versions(), "machine": machine(), "scores": dict(scores)}
        self.write_json("about.json", about)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    names = ("spago_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


def machine() -> dict[str, Any]:
    """What it ran on: system, cores, devices."""
    import jax

    devices = jax.local_devices()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "argv0": Path(sys.argv[0]).name,
    }
