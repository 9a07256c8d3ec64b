"""What is made once for all workers of a test session: corpora, finished runs."""

import fcntl
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the session; workers of pytest-xdist have folders of their own below it."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What ``make`` returns for an empty folder of that name: the first worker that asks makes it, the others wait.

    Its result is pickled for the others, so paths in it lead to the same files; tests read what is there and do not
    change it.
    """
    folder = shared_folder(factory) / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    result = folder.with_suffix(".pickle")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed at it
            folder.mkdir()
            made = pickle.dumps(make(folder))
            result.write_bytes(made)
    return pickle.loads(result.read_bytes())
