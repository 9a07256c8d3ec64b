# SPDX-License-Identifier: BSD-2-Clause
"""Runs trials one after the other in this process, or several at once in processes of their own."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any

from spago_jax.errors import CheckpointError, InputError, SpagoError
from spago_jax.sweep.worker import Job, Outcome, line_of, run_job
from spago_jax.train.interrupt import Interrupted, StopSignal

POLL = 0.1  # seconds between looks at whether Ctrl-C was pressed

Worker = subprocess.Popen[str]


class WorkerError(SpagoError, RuntimeError):
    """A process of a sweep ended without an answer. Exit code 1."""


def one_by_one(jobs: Sequence[Job]) -> Generator[tuple[int, Outcome]]:
    """Runs jobs in this process; yields each job's index and its outcome.

    Raises:
        Interrupted: after Ctrl-C, naming the run that was interrupted.
        SpagoError, OSError: from `run_job`, if no trial can continue.
    """
    for i, job in enumerate(jobs):
        try:
            outcome = run_job(job)
        except (Interrupted, KeyboardInterrupt):
            raise Interrupted(job.folder) from None
        yield i, outcome


class Workers:
    """Processes that run trials side by side; while they are open, Ctrl-C is passed on to them once.

    Args:
        size: how many.
        devices: of each trial, when the CPU appears as several.
        lock: a descriptor that the processes inherit, so the lock is held until the last worker exits.
    """

    def __init__(self, size: int, devices: int | str, lock: int):
        self._size, self._devices, self._lock = size, devices, lock
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._all: list[Worker] = []
        self._ready: set[Worker] = set()  # those that answered once: earlier, a signal would kill them
        self._busy: set[Worker] = set()
        self._ending = False
        self._mutex = threading.Lock()
        self._stop = StopSignal()

    def __enter__(self) -> "Workers":
        self._stop.__enter__()
        for _ in range(self._size):
            worker = subprocess.Popen(
                [sys.executable, "-m", "spago_jax.sweep.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C in a terminal goes to this process alone, which passes it on
                pass_fds=() if self._lock < 0 else (self._lock,),
            )
            self._all.append(worker)
            self._idle.put(worker)
        return self

    def __exit__(self, *exc: Any) -> None:
        for worker in self._all:
            worker.communicate()  # which closes its input, so that it exits
        self._stop.__exit__()

    def run(self, jobs: Sequence[Job]) -> Generator[tuple[int, Outcome]]:
        """Runs jobs as processes become free; yields each job's index and its outcome as they end.

        Raises:
            Interrupted: after Ctrl-C, once every running trial has written its checkpoint.
            SpagoError: if no trial can continue, or a process died; the other trials have written their checkpoints.
        """
        failure: Exception | None = None
        with ThreadPoolExecutor(self._size) as pool:
            pending = {pool.submit(self._one, job): i for i, job in enumerate(jobs)}
            try:
                while pending:
                    done, _ = wait(pending, timeout=POLL, return_when=FIRST_COMPLETED)
                    if self._stop.asked:
                        self._end(pending)
                    for future in done:
                        i = pending.pop(future)
                        try:
                            outcome = future.result()
                        except CancelledError:
                            continue
                        except Exception as error:
                            failure = failure or error
                            self._end(pending)
                            continue
                        yield i, outcome
            finally:
                self._end(pending)
        if self._stop.asked:
            raise Interrupted("the trials under way")
        if failure is not None:
            raise failure

    def _end(self, pending: "dict[Future[Outcome], int]") -> None:
        """Asks running trials to checkpoint and stop; starts no new ones."""
        with self._mutex:
            if self._ending or not pending:
                return
            self._ending = True
            for worker in self._busy:
                worker.send_signal(signal.SIGINT)
        for future in pending:
            future.cancel()

    def _one(self, job: Job) -> Outcome:
        worker = self._idle.get()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            if worker not in self._ready:
                self._ready.add(worker)
                worker.stdout.readline()
            with self._mutex:
                if self._ending:
                    raise Interrupted("interrupted")
                self._busy.add(worker)
                worker.stdin.write(line_of(job, self._devices))
                worker.stdin.flush()
            line = worker.stdout.readline()
        except OSError:
            line = ""
        finally:
            self._busy.discard(worker)
            self._idle.put(worker)
        if not line:
            code = worker.wait()
            what = f"was killed by signal {-code}; is memory short?" if code < 0 else f"ended with code {code}"
            raise WorkerError(f"the process of {job.folder} {what}")
        answer = json.loads(line)
        if "outcome" in answer:
            return answer["outcome"]
        kinds: dict[str, type[SpagoError]] = {
            "Interrupted": Interrupted, "InputError": InputError, "bug": WorkerError,
        }  # fmt: skip
        raise kinds.get(answer["stop"], CheckpointError)(answer["message"])
