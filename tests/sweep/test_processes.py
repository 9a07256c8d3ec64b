"""Processes of trials: they end with the sweep that they work for, and what ends them is said."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from spago_jax.errors import CheckpointError
from spago_jax.sweep.processes import WorkerError, Workers
from spago_jax.sweep.worker import Job, line_of


@pytest.fixture
def endless(corpus, tmp_path):
    """A trial that would take hours."""
    return Job(
        str(corpus / "images.yaml"), ("train.epochs=1000000", "train.evaluate_every=1000"), str(tmp_path / "run")
    )


def under_way(folder, worker, limit=120.0):
    """Waits until the trial trains; fails at once where it has ended, and at last where it never begins."""
    deadline = time.monotonic() + limit
    while not (folder / "run" / "model.json").exists():
        assert worker.poll() is None, "the process ended"
        assert time.monotonic() < deadline, f"the trial has not begun in {limit:g} s"
        time.sleep(0.01)


def test_a_process_ends_when_its_sweep_is_gone(endless, tmp_path):
    worker = subprocess.Popen(
        [sys.executable, "-m", "spago_jax.sweep.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == '{"ready": true}\n'
    worker.stdin.write(line_of(endless, 1))
    worker.stdin.flush()
    under_way(tmp_path, worker)
    worker.stdin.close()  # as when the sweep is killed
    assert worker.wait(60) == 1
    worker.stdout.close()


def test_a_process_that_dies_and_one_that_cannot_write(endless, tmp_path):
    (tmp_path / "file").write_text("")
    with Workers(1, 1, -1) as workers:
        (worker,) = workers._all

        def kill():
            try:
                under_way(tmp_path, worker)
            finally:  # whatever happened, the test ends
                worker.send_signal(signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(WorkerError) as error:
            list(workers.run([endless]))
    assert str(error.value) == f"the process of {endless.folder} was killed by signal 9; is memory short?"
    blocked = Job(endless.base, endless.overrides, str(tmp_path / "file" / "run"))
    with Workers(1, 1, -1) as workers, pytest.raises(CheckpointError, match="cannot write .*run: Not a directory"):
        list(workers.run([blocked]))
