# SPDX-License-Identifier: BSD-2-Clause
"""Taps and auxiliary losses: named values inside a model, recorded while a collector is open; otherwise no-ops."""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state

from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError

Value = TypeVar("Value")

LOSS = "loss:"
"""Prefix of the taps that are auxiliary losses: those of one name are added up, where of others the last one counts."""


class Collector(dict[str, Any]):
    """What a block of ``collect_taps`` found: ``{name: value}``, in the order in which the values were computed.

    Attributes:
        alone: whether it keeps taps from the collectors outside.
        only_losses: whether it takes auxiliary losses and nothing else, as ``with_losses`` does.
        skipped: how many values belonged to an inner trace (the body of a loop, a branch, a nested ``jit`` or ``vmap``)
            and could not be handed out.
        modules: what the modules' calls returned, by their path; filled with ``collect_taps(modules=True)``.
        order: the kind and name of every value, ``("tap", name)`` or ``("module", path)``, as they were computed.
    """

    def __init__(self, *, modules: bool = False, alone: bool = False, only_losses: bool = False) -> None:
        super().__init__()
        self.alone = alone
        self.only_losses = only_losses
        self.skipped = 0
        self.modules: dict[str, Any] = {}
        self.order: list[tuple[str, str]] = []
        self.wants_modules = modules
        self._trace = get_opaque_trace_state()

    def take(self, kind: str, name: str, value: PyTree) -> bool:
        """Keeps a value of the trace that this collector was opened in, and says whether it is one.

        A second value of a name takes the place of the first; an auxiliary loss is added to it.
        """
        if get_opaque_trace_state() != self._trace:
            self.skipped += 1
            return False
        if (kind, name) in self.order:
            self.order.remove((kind, name))
        self.order.append((kind, name))
        held = self if kind == "tap" else self.modules
        before = held.pop(name, None)  # so that its place is that of the value that is held
        held[name] = before + value if before is not None and kind == "tap" and name.startswith(LOSS) else value
        return True


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
    if _open.collectors:
        _hand_out(name, value)
    return value


def _hand_out(name: str, value: PyTree) -> None:
    is_loss = name.startswith(LOSS)
    kept = claimed = False
    for collector in reversed(_open.collectors):
        if not collector.only_losses:
            kept |= collector.take("tap", name, value)
            claimed |= collector.alone
            if collector.alone:
                break
        elif is_loss and not claimed:
            kept |= collector.take("tap", name, value)
            claimed = True
    if is_loss and not kept and any(collector.only_losses for collector in _open.collectors):
        raise InputError(
            f"the auxiliary loss {name.removeprefix(LOSS)!r} is added inside a transformation (scan, vmap, jit, "
            "checkpoint, grad) of the model's own and would be lost: call `y, extra = with_losses(f)(x)` inside it, "
            "hand out `extra` with the result, and call `add_loss` outside of it"
        )


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
    with _opened(Collector(modules=modules, alone=alone)) as collector:
        yield collector


@contextmanager
def _opened(collector: Collector) -> Iterator[Collector]:
    _open.collectors.append(collector)
    try:
        yield collector
    finally:
        _open.collectors.pop()


def tap_module(path: str, value: PyTree) -> None:
    """Hands what a module's call returned to the collectors that want it; ``core.scopes`` calls it."""
    for collector in _open.collectors:
        if collector.wants_modules:
            collector.take("module", path, value)


def listening() -> bool:
    """Whether a collector of this thread is open."""
    return bool(_open.collectors)


# -- auxiliary losses --------------------------------------------------------------------------------------------------


def add_loss(name: str, value: jax.Array) -> None:
    """Adds a scalar to the training loss, from inside a layer: ``add_loss("balance", 0.01 * imbalance)``.

    A no-op unless ``with_losses`` calls the layer. Collectors of taps see the loss too, under ``loss:NAME``; losses of
    one name are added up. In a loop of a flow the losses of all iterations are added up, and over the elements of its
    map they are averaged.

    Args:
        name: what the loss is known by in histories and reports.
        value: a scalar.

    Raises:
        InputError: for a value that is not a scalar.
    """
    if jnp.shape(value) != ():
        raise InputError(f"add_loss: {name!r} has the shape {list(jnp.shape(value))}, expected a scalar")
    tap(f"{LOSS}{name}", value)


def with_losses(function: Callable[..., Value]) -> Callable[..., tuple[Value, jax.Array | None]]:
    """The function with the sum of the auxiliary losses that it adds as a second result; None where it adds none.

    Any nesting of Modules and flows may lie between ``function`` and ``add_loss``. The result may be traced by
    ``jax.jit``, ``jax.grad`` (as aux, or added to the loss), ``jax.lax.scan`` and ``jax.vmap``; under ``jax.vmap``
    there is one sum per element, as for every other result, and the caller takes their mean. Where calls nest, a loss
    goes to the innermost one alone.

    Raises:
        InputError: when called, for a loss that is added inside a transformation of the model's own (its ``lax.scan``,
            ``jax.vmap``, ``jax.checkpoint``, ...), which would be lost; the message says how to hand it out. A function
            that ``jax.jit`` has compiled before, without ``with_losses``, is not traced again and adds nothing.

    >>> def layer(x):
    ...     add_loss("size", 0.1 * (x * x).sum())
    ...     return 2 * x
    >>> y, extra = with_losses(layer)(jnp.array([1.0, 3.0]))
    >>> y, float(extra)
    (Array([2., 6.], dtype=float32), 1.0)
    >>> with_losses(jnp.sin)(0.0)[1] is None
    True
    """

    @functools.wraps(function, updated=())  # a Module has fields, which are not for a function
    def run(*arguments: Any, **options: Any) -> tuple[Value, jax.Array | None]:
        with _opened(Collector(only_losses=True)) as found:
            result = function(*arguments, **options)
        return result, total_loss(found) if found else None

    return run


def total_loss(taps: Mapping[str, Any]) -> jax.Array:
    """The sum of the auxiliary losses among taps; zero where there are none."""
    losses = [value for name, value in taps.items() if name.startswith(LOSS)]
    return functools.reduce(jnp.add, losses) if losses else jnp.zeros(())


# -- taps inside the bodies of loops and branches ----------------------------------------------------------------------


def with_taps(function: Callable[..., Any]) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """The function with its taps as a second result, kept from the collectors outside; empty where nobody listens.

    For the body of a loop or a branch: hand the taps out with its results, and ``retap`` them outside.
    """
    if not listening():
        return lambda *arguments: (function(*arguments), {})

    def run(*arguments: Any) -> tuple[Any, dict[str, Any]]:
        with collect_taps(alone=True) as found:
            out = function(*arguments)
        return out, dict(found)

    return run


def without_taps(function: Callable[..., Value]) -> Callable[..., Value]:
    """The function, heard by no collector: for a trace of which only shapes are wanted."""

    def run(*arguments: Any) -> Value:
        hidden, _open.collectors = _open.collectors, []
        try:
            return function(*arguments)
        finally:
            _open.collectors = hidden

    return run


def zero_taps(function: Callable[..., tuple[Any, dict[str, Any]]], *arguments: Any) -> dict[str, Any]:
    """Zeros in the form of the taps of a function made by ``with_taps``: what a loop starts from."""
    shapes = jax.eval_shape(function, *arguments)[1]
    return {name: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape) for name, shape in shapes.items()}


def next_taps(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The taps of a loop after one more iteration: losses are added up, others keep their last value."""
    return {name: before[name] + value if name.startswith(LOSS) else value for name, value in now.items()}


def mean_losses(taps: dict[str, Any]) -> dict[str, Any]:
    """Taps with an axis of elements: losses are averaged over it, others keep it."""
    return {name: value.mean(0) if name.startswith(LOSS) else value for name, value in taps.items()}


def retap(prefix: str, taps: dict[str, Any]) -> None:
    """Taps once more what ``with_taps`` handed out, outside of the loop, with a prefix to the names."""
    for name, value in taps.items():
        if name.startswith(LOSS):
            add_loss(f"{prefix}/{name.removeprefix(LOSS)}", value)
        else:
            tap(f"{prefix}/{name}", value)
