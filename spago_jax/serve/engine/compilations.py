# SPDX-License-Identifier: BSD-2-Clause
"""Counts what JAX compiles in a thread, which a server that is ready should not do."""

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

_EVENT = "/jax/core/compile/backend_compile_duration"
_watched: "weakref.WeakKeyDictionary[threading.Thread, Any]" = weakref.WeakKeyDictionary()
_listening = False


def watch_compilations(thread: threading.Thread, tell: Callable[[], object]) -> None:
    """Calls a bound method whenever a thread compiles; without JAX, nothing does."""
    global _listening
    _watched[thread] = weakref.WeakMethod(tell)  # type: ignore[type-var]
    if _listening or "jax" not in sys.modules:
        return
    import jax.monitoring

    jax.monitoring.register_event_duration_secs_listener(_heard)
    _listening = True


def _heard(event: str, duration_secs: float, **kwargs: Any) -> None:
    if event == _EVENT and (reference := _watched.get(threading.current_thread())) is not None:
        tell = reference()
        if tell is not None:
            tell()
