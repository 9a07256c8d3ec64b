# SPDX-License-Identifier: BSD-2-Clause
"""Where trials run: in this process one after the other, or several at once in processes of their own."""

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
from spago_jax.sweep.one import Job, Outcome, run_one
from spago_jax.sweep.worker import line_of
from spago_jax.train.interrupt import Interrupted, StopSignal

POLL = 0.1  # seconds between looks at whether Ctrl-C was pressed

Worker = subprocess.Popen[str]


class WorkerError(SpagoError, RuntimeError):
    """A process of a sweep ended without an answer. Exit code 1."""


def one_by_one(jobs: Sequence[Job]) -> Generator[tuple[int, Outcome]]:
    """Runs jobs in this process; gives each job's place and how it ended.

    Raises:
        Interrupted: after Ctrl-C, naming the run that was under way.
        SpagoError, OSError: from `run_one`, where no trial can go on.
    """
    for i, job in enumerate(jobs):
        try:
            outcome = run_one(job)
        except (Interrupted, KeyboardInterrupt):
            raise Interrupted(job.folder) from None
        yield i, outcome


class Crew:
    """Processes that run trials side by side; while it is open, Ctrl-C is passed on to them once.

    Args:
        size: how many.
        devices: of each trial, for CPUs that count as several.
        lock: a descriptor that the processes keep open, so that it is theirs until the last of them is gone.
    """

    def __init__(self, size: int, devices: int | str, lock: int):
        self._size, self._devices, self._lock = size, devices, lock
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._all: list[Worker] = []
        self._ready: set[Worker] = set()  # those that have said so: before it a signal would end them
        self._busy: set[Worker] = set()
        self._ending = False
        self._mutex = threading.Lock()
        self._stop = StopSignal()

    def __enter__(self) -> "Crew":
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
            worker.communicate()  # the end of its input ends it
        self._stop.__exit__()

    def run(self, jobs: Sequence[Job]) -> Generator[tuple[int, Outcome]]:
        """Runs jobs as processes are free; gives each job's place and how it ended, in the order of the ends.

        Raises:
            Interrupted: after Ctrl-C, when every trial under way has written its checkpoint.
            SpagoError: where no trial can go on, or a process died; the other trials have written theirs.
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
        """Lets the trials under way write a checkpoint and stop, once, and begins no other."""
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
