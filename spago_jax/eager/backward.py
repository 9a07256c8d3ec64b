# SPDX-License-Identifier: BSD-2-Clause
"""The derivative of what ran: the records are replayed through one compiled function, made once for each structure."""

import collections
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.eager.var import Operation, Record, Var

# A structure is small and a program is not: the least recently used are dropped.
_PROGRAMS: collections.OrderedDict[Any, Callable[..., Any]] = collections.OrderedDict()
_KEPT = 512


def backward(*outputs: "Var", grads: Sequence[Any] | None = None, back_steps: int | None = None) -> None:
    """Adds to ``grad`` of every variable the derivative of the outputs, ``sum(output * its gradient)``.

    Args:
        outputs: computed Vars.
        grads: one gradient for each output; None takes what ``accumulate_grad`` left on it, or 1 for a scalar.
        back_steps: truncated back-propagation: with T the latest time step of the outputs, operations of time step
            T - back_steps and earlier pass no gradient on (spaGO's ``Truncate``); None cuts nothing.

    Raises:
        InputError: for an output without a gradient that is not a scalar, a gradient of another shape, an output that
            depends on no variable, or a negative ``back_steps``.

    >>> from spago_jax.eager import Var
    >>> x = Var(3.0, name="x")
    >>> square, double = x * x, x + x
    >>> backward(square, double, grads=[1.0, 10.0])
    >>> float(x.grad)
    26.0
    """
    starts = _starts(outputs, grads)
    if back_steps is not None and back_steps < 0:
        raise InputError(f"back_steps = {back_steps}: expected 0 or more")
    stop = -1 if back_steps is None else max(output.time_step for output in outputs) - back_steps
    replay = _Replay(outputs, stop)
    if not replay.targets:
        raise InputError(f"{outputs[0]!r} depends on no variable that requires a gradient")
    for var, grad in zip(replay.targets, replay.run(starts), strict=True):
        var.grad = grad if var.grad is None else var.grad + grad


def _starts(outputs: "Sequence[Var]", grads: Sequence[Any] | None) -> list[Any]:
    if not outputs:
        raise InputError("backward() needs at least one output")
    if grads is not None and len(grads) != len(outputs):
        raise InputError(f"{len(outputs)} output(s), but {len(grads)} gradient(s)")
    starts = []
    for output, given in zip(outputs, grads or [None] * len(outputs), strict=True):
        if given is None and output._record is not None:
            given = output.grad
        if given is None:
            if output.shape != ():
                raise InputError(
                    f"{output!r} is not a scalar: give it a gradient of its shape, as backward(grad), or sum it first"
                )
            given = 1.0
        array = jnp.asarray(given, output.dtype)
        if array.shape != output.shape:
            raise InputError(f"{output!r}: a gradient of shape {list(array.shape)} does not fit")
        starts.append(array)
    return starts


class _Replay:
    """The records behind some outputs, in order, with the arrays that they start from, as one function.

    Every value has a place: first the arrays (variables, constants, and what lies before a cut), then what the
    records compute. Two runs of the same code have the same places, and share one compiled program.
    """

    def __init__(self, outputs: "Sequence[Var]", stop: int):
        self._stop = stop
        self._arrays: list[Any] = []
        self._wrt: dict[int, Var] = {}
        self._taps: dict[int, Var] = {}
        self._places: dict[Any, int] = {}
        self._alive: list[Any] = []
        order = self._order(outputs)
        inputs = [list(zip(record.inputs, record.values, strict=True)) for record in order]
        for var, value in [pair for pairs in inputs for pair in pairs] + [(out, out.value) for out in outputs]:
            if var is None or not self._inside(var):
                self._add_array(var, value)
        at = len(self._arrays)
        for record in order:
            self._places[id(record)] = at
            at += record.outputs
        self._steps = tuple(
            (record.operation, tuple(self._place(*pair) for pair in pairs))
            for record, pairs in zip(order, inputs, strict=True)
        )
        self._outputs = tuple(self._place(output, output.value) for output in outputs)
        self.targets = [*self._wrt.values(), *self._taps.values()]

    def run(self, starts: list[Any]) -> list[Any]:
        """The gradients of ``targets``."""
        wrt, taps = tuple(self._wrt), tuple(self._taps)
        key = (self._steps, wrt, taps, self._outputs)
        program = _PROGRAMS.get(key)
        if program is None:
            program = _PROGRAMS[key] = _derivative(self._steps, wrt, taps, self._outputs)
            if len(_PROGRAMS) > _KEPT:
                _PROGRAMS.popitem(last=False)
        else:
            _PROGRAMS.move_to_end(key)
        return program(self._arrays, [jnp.zeros_like(var.value) for var in self._taps.values()], starts)

    def _inside(self, var: "Var") -> bool:
        """Whether a Var is computed again, rather than taken as it was."""
        record = var._record
        return record is not None and var.requires_grad and record.time_step > self._stop

    def _order(self, outputs: "Sequence[Var]") -> "list[Record]":
        order: list[Record] = []
        seen: set[int] = set()
        stack: list[tuple[Any, bool]] = [
            (output._record, False) for output in reversed(outputs) if self._inside(output)
        ]
        while stack:
            record, done = stack.pop()
            if done:
                order.append(record)
            elif id(record) not in seen:
                seen.add(id(record))
                stack.append((record, True))
                stack.extend((v._record, False) for v in record.inputs if v is not None and self._inside(v))
        return order

    def _add_array(self, var: "Var | None", value: ArrayLike) -> None:
        key = (id(var), id(value))
        if key in self._places:
            return
        self._alive.append(value)  # a number made on the fly must keep its id
        self._places[key] = place = len(self._arrays)
        self._arrays.append(value)
        if var is not None and var.requires_grad and var._keeps_grad:
            self._wrt[place] = var

    def _place(self, var: "Var | None", value: ArrayLike) -> int:
        if var is None or not self._inside(var):
            return self._places[id(var), id(value)]
        place = self._places[id(var._record)] + var._which
        if var._keeps_grad:
            self._taps[place] = var
        return place


def _derivative(
    steps: "tuple[tuple[Operation, tuple[int, ...]], ...]",
    wrt: tuple[int, ...],
    taps: tuple[int, ...],
    outputs: tuple[int, ...],
) -> Callable[..., list[Any]]:
    """The compiled program of a structure: arrays, zeros for the taps, and the outputs' gradients to gradients."""

    def derivative(arrays: list[Any], zeros: list[Any], starts: list[Any]) -> list[Any]:
        def forward(given: list[Any], tapped: list[Any]) -> list[Any]:
            values = list(arrays)
            for place, value in zip(wrt, given, strict=True):
                values[place] = value
            extra = dict(zip(taps, tapped, strict=True))
            for op, inputs in steps:
                made = op.function(*[values[place] for place in inputs])
                for value in made if isinstance(made, tuple | list) else (made,):
                    tap = extra.get(len(values))
                    values.append(value if tap is None else value + tap)
            return [values[place] for place in outputs]

        gradients = jax.vjp(forward, [arrays[place] for place in wrt], zeros)[1](starts)
        return [*gradients[0], *gradients[1]]

    return jax.jit(derivative)
