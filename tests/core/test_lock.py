"""The lock of a folder: one holder at a time, named; it goes with the process, and its file with it."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from spago_jax.core.lock import LOCK, holder, locked
from spago_jax.errors import CheckpointError, InputError

HOLD = """
import sys, time
from spago_jax.core.lock import locked
with locked(sys.argv[1], "run"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_at_a_time_by_name(tmp_path):
    assert holder(tmp_path) is None
    with locked(tmp_path, "run"):
        assert holder(tmp_path)["pid"] == os.getpid()
        with (
            pytest.raises(
                InputError, match=rf"another process \({os.getpid()}\) is at work on the sweep in {tmp_path}"
            ),
            locked(tmp_path, "sweep", patience=0.1),
        ):
            pass
        assert holder(tmp_path)["pid"] == os.getpid()
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_many_that_want_it_take_turns(tmp_path):
    """Each reads a number and writes the next one; two at once would lose one."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def work():
        for _ in range(10):
            with locked(tmp_path, "run", patience=60):
                number = int(counter.read_text())
                time.sleep(0.001)
                counter.write_text(str(number + 1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "60"
    assert not (tmp_path / LOCK).exists()


def test_it_ends_with_a_process_that_is_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert holder(tmp_path)["pid"] == process.pid
    with pytest.raises(InputError, match=rf"another process \({process.pid}\)"), locked(tmp_path, "run", patience=0.1):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    assert (tmp_path / LOCK).exists()
    assert holder(tmp_path) is None
    with locked(tmp_path, "run"):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="cannot write .*/no/lock: No such file"), locked(tmp_path / "no", "run"):
        pass


def test_a_file_system_that_cannot_lock_holds_nobody_up(tmp_path, monkeypatch):
    from spago_jax.core import lock

    def cannot(handle, what):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", cannot)
    with locked(tmp_path, "run") as held:
        assert held == -1
    assert list(tmp_path.iterdir()) == []
