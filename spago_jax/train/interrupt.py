# SPDX-License-Identifier: BSD-2-Clause
"""Ends training at the next safe place, with a checkpoint, after Ctrl-C or SIGTERM."""

import signal
import threading
from types import FrameType
from typing import Any

from spago_jax.errors import SpagoError


class Interrupted(SpagoError):
    """Raised when a signal stopped training, after a clean checkpoint. The exit code is 130."""


class StopSignal:
    """While open, the first SIGINT or SIGTERM only sets ``asked``; a second one interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
