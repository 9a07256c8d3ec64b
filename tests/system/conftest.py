"""Real processes of the command, and runs to compare with."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

MAIN = "from spago_jax.cli import main; main()"
COMMAND = [sys.executable, "-c", MAIN]


def spago(
    *arguments: object, env: dict[str, str] | None = None, before: str = "pass", **options
) -> subprocess.CompletedProcess:
    """Runs the command to its end, after a line of Python."""
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{MAIN}", *map(str, arguments)],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def stop_when(ready: Callable[[], bool], number: int, *arguments: object) -> subprocess.CompletedProcess:
    """Starts the command, and sends it a signal as soon as ``ready`` says so."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        while not ready():
            if process.poll() is not None:
                pytest.fail(f"ended before it was stopped: {process.communicate()}")
            time.sleep(0.001)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def checkpoints(folder: Path) -> list[int]:
    """The steps whose checkpoints are whole."""
    found = folder / "checkpoints"
    return sorted(int(path.name) for path in found.iterdir() if path.name.isdigit()) if found.is_dir() else []


def kill_when(ready: Callable[[], bool], *arguments: object) -> None:
    """SIGKILL: nothing can be tidied up."""
    assert stop_when(ready, signal.SIGKILL, *arguments).returncode == -signal.SIGKILL


@pytest.fixture(scope="session")
def spago_system():
    """The helpers above, as a namespace."""
    from types import SimpleNamespace

    return SimpleNamespace(spago=spago, stop_when=stop_when, kill_when=kill_when, checkpoints=checkpoints)
