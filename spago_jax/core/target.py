# SPDX-License-Identifier: BSD-2-Clause
"""The kind of device that a program is traced for, which need not be one of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

__all__ = ["target_platform", "traced_for"]

_PLATFORM: ContextVar[str | None] = ContextVar("platform", default=None)


def target_platform() -> str:
    """Returns ``cpu``, ``gpu`` or ``tpu``: what the programs that are traced now will run on.

    It is JAX's default backend, unless a block of ``traced_for`` says otherwise. Where two forms of an operation give
    the same numbers in different times, it decides between them.

    >>> with traced_for("tpu"):
    ...     target_platform()
    'tpu'
    """
    found = _PLATFORM.get() or jax.default_backend()
    return "gpu" if found in ("cuda", "rocm") else found


@contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Traces the programs of the block for another kind of device.

    A program that ``jax.jit`` has traced before keeps its form.
    """
    token = _PLATFORM.set(platform)
    try:
        yield
    finally:
        _PLATFORM.reset(token)
