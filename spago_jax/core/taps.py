# SPDX-License-Identifier: BSD-2-Clause
"""Taps: named values inside a model, handed to whoever listens while it is traced, and to nobody otherwise."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from jax.extend.core import get_opaque_trace_state

Value = TypeVar("Value")


class Collector(dict[str, Any]):
    """What a block of ``collect_taps`` found: ``{name: value}``, in the order in which the values were computed.

    Attributes:
        skipped: how many values belonged to an inner trace (the body of a loop, a branch, a nested ``jit`` or ``vmap``)
            and could not be handed out.
        modules: what the modules' calls returned, by their path; filled with ``collect_taps(modules=True)``.
        order: the kind and name of every value, ``("tap", name)`` or ``("module", path)``, as they were computed.
    """

    def __init__(self, *, modules: bool = False, alone: bool = False) -> None:
        super().__init__()
        self.alone = alone
        self.skipped = 0
        self.modules: dict[str, Any] = {}
        self.order: list[tuple[str, str]] = []
        self.wants_modules = modules
        self._trace = get_opaque_trace_state()

    def take(self, kind: str, name: str, value: Any) -> None:
        """Keeps a value of the trace that this collector was opened in; a second one of a name takes its place."""
        if get_opaque_trace_state() != self._trace:
            self.skipped += 1
            return
        if (kind, name) in self.order:
            self.order.remove((kind, name))
        self.order.append((kind, name))
        held = self if kind == "tap" else self.modules
        held.pop(name, None)  # so that its place is that of the value that is held
        held[name] = value


class _Open(threading.local):
    def __init__(self) -> None:
        self.collectors: list[Collector] = []


_open = _Open()


def tap(name: str, value: Value) -> Value:
    """Gives a value inside a model a name, and returns it as it is: ``y = sj.tap("hidden", f(x))``.

    Where no collector is open this is the identity, in Python, before anything is traced: the compiled program is the
    same as without it. An open collector (``collect_taps``) of the same trace gets the value; the last one of a name
    counts. A value in the body of a loop belongs to an inner trace and is only counted.

    Args:
        name: what the value is known by in histories, actions and reports.
        value: an array, or a tree of arrays.

    >>> float(tap("two", jnp.float32(2.0)))
    2.0
    """
    for collector in reversed(_open.collectors):
        collector.take("tap", name, value)
        if collector.alone:
            break
    return value


@contextmanager
def collect_taps(*, modules: bool = False, alone: bool = False) -> Iterator[Collector]:
    """Opens a collector: what is tapped inside the block is in it, by name.

    Open it inside the function that is traced, and return ``dict(found)``; so it works under ``jax.jit``,
    ``jax.value_and_grad`` (as aux) and ``jax.vmap``. Collectors nest, and each thread has its own.

    Args:
        modules: also keep what each Module's ``__call__`` returns, by the module's path in the model, in
            ``found.modules``; the model itself has the name of its class.
        alone: keep what is tapped from the collectors outside: for whoever taps it again under another name.

    >>> def loss(x):
    ...     with collect_taps() as found:
    ...         y = tap("square", x * x) + 1
    ...     return y, dict(found)
    >>> (value, found), slope = jax.value_and_grad(loss, has_aux=True)(3.0)
    >>> float(value), float(found["square"]), float(slope)
    (10.0, 9.0, 6.0)
    """
    collector = Collector(modules=modules, alone=alone)
    _open.collectors.append(collector)
    try:
        yield collector
    finally:
        _open.collectors.pop()


def tap_module(path: str, value: Any) -> None:
    """Hands what a module's call returned to the collectors that want it; ``core.scopes`` calls it."""
    for collector in _open.collectors:
        if collector.wants_modules:
            collector.take("module", path, value)


def listening() -> bool:
    """Whether a collector of this thread is open."""
    return bool(_open.collectors)
