# SPDX-License-Identifier: BSD-2-Clause
"""Which folders are runs."""

import os
from collections.abc import Iterable
from pathlib import Path

from spago_jax.errors import InputError

# A folder with two of these was written by training; one alone (a config.yaml) may be anybody's.
MARKS = frozenset({
    "config.yaml", "about.json", "model.json", "metrics.jsonl", "timings.jsonl", "scores.json", "checkpoints",
})  # fmt: skip


def is_run(names: Iterable[str]) -> bool:
    """Whether a folder with files and folders of these names was written by training, whole or not.

    >>> is_run(["config.yaml", "checkpoints", "notes.txt"]), is_run(["config.yaml", "main.py"])
    (True, False)
    """
    return len(MARKS.intersection(names)) >= 2


def find_runs(folders: Iterable[str | Path]) -> list[Path]:
    """The run folders at and below some folders, by path, each once; hidden folders are passed over.

    Raises:
        InputError: for a folder that does not exist.
    """
    found: dict[Path, Path] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError("no such folder; spago-jax train writes into runs/NAME, or where --out says", path=folder)
        for path, inner, files in os.walk(folder):
            if is_run([*inner, *files]):
                found.setdefault(Path(path).resolve(), Path(path))
                inner.clear()  # what is below belongs to the run
            inner[:] = sorted(name for name in inner if not name.startswith("."))
    return sorted(found.values())
