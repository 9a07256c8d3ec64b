# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax launch`."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError, did_you_mean

VERBS = ("train",)
GRACE = 20.0
"""Seconds in which the others may end by themselves, once one has failed."""
_KEPT = 40  # lines of each process's standard error


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def launch(
    context: typer.Context,
    processes: Annotated[int, typer.Option(min=1, help="How many processes train together on this machine.")],
) -> int:
    """Starts several processes of this machine that train together: launch --processes 2 train CONFIG ...

    What follows the options is the command of each process. The first one's output is shown; that of another only if
    it fails, with its number. If one fails, all end; Ctrl-C ends all of them, with a checkpoint. The exit code is that
    of the first failure.
    """
    command = list(context.args)
    verb = command[0] if command else ""
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS) if verb else "as in launch --processes 2 train CONFIG"
        raise InputError(f"launch starts {', '.join(VERBS)}, not {verb!r}: {hint}")
    return Group([sys.executable, "-c", "from spago_jax.cli import main; main()", *command], processes).run()


class Group:
    """Processes of one command that find each other on this machine.

    Args:
        command: the program and its arguments.
        count: how many.
    """

    def __init__(self, command: Sequence[str], count: int):
        where = {"SPAGO_COORDINATOR": f"127.0.0.1:{_free_port()}", "SPAGO_PROCESSES": str(count)}
        self._members: list[subprocess.Popen[str]] = []
        self._said: list[deque[str]] = []
        self._readers: list[threading.Thread] = []
        for number in range(count):
            shown = number == 0
            member = subprocess.Popen(
                list(command),
                env={**os.environ, **where, "SPAGO_PROCESS": str(number)},
                stdin=subprocess.DEVNULL,
                stdout=None if shown else subprocess.DEVNULL,
                stderr=None if shown else subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # a terminal's Ctrl-C reaches this process, which passes it on once
            )
            said: deque[str] = deque(maxlen=_KEPT)
            self._members.append(member)
            self._said.append(said)
            if member.stderr is not None:  # read at once: a full pipe would hold the process up
                reader = threading.Thread(target=_keep, args=(member.stderr, said), daemon=True)
                reader.start()
                self._readers.append(reader)

    def run(self) -> int:
        """Waits until all have ended; returns the exit code of the first, or 0."""
        failed: int | None = None
        deadline = float("inf")
        try:
            with self._passing_on():
                while any(member.poll() is None for member in self._members):
                    if failed is None:
                        failed = self._first_failure()
                        deadline = float("inf") if failed is None else time.monotonic() + GRACE
                    if time.monotonic() > deadline:
                        self._signal(signal.SIGKILL)
                    time.sleep(0.05)
        finally:
            self._signal(signal.SIGKILL)
            for member in self._members:
                member.wait()
            for reader in self._readers:
                reader.join(timeout=5)
        failed = self._first_failure() if failed is None else failed
        if failed is None:
            return 0
        code = self._members[failed].returncode
        if code != 130:  # stopped by the user: all say the same
            self._tell(failed, code)
        return code if code >= 0 else 128 - code

    def _first_failure(self) -> int | None:
        codes = [member.poll() for member in self._members]
        failures = [number for number, code in enumerate(codes) if code]
        # One that was killed is the cause of what others that ended meanwhile complain of.
        killed = [number for number in failures if (codes[number] or 0) < 0]
        return next(iter(killed or failures), None)

    def _tell(self, failed: int, code: int) -> None:
        for line in self._said[failed]:
            print(f"[process {failed}] {line}", file=sys.stderr)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
        print(
            f"spago-jax: process {failed} of {len(self._members)} {how}; all have ended. "
            "If a checkpoint was written, the same command with --resume goes on from it",
            file=sys.stderr,
        )

    def _signal(self, number: int) -> None:
        for member in self._members:
            if member.poll() is None:
                with suppress(ProcessLookupError):
                    member.send_signal(number)

    @contextmanager
    def _passing_on(self) -> Iterator[None]:
        """Passes Ctrl-C and SIGTERM on to the processes, which end with a checkpoint; a second ends them at once."""

        def handle(number: int, frame: FrameType | None) -> None:
            self._signal(number)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _keep(stream: IO[str], said: deque[str]) -> None:
    for line in stream:
        said.append(line.rstrip("\n"))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
