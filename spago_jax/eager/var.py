# SPDX-License-Identifier: BSD-2-Clause
"""Var: an array that remembers how it was computed. Operations run at once; ``backward`` differentiates them."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.eager.operators import Operators
from spago_jax.eager.record import Operation, Record, current, time_step
from spago_jax.errors import InputError

Array = jax.Array


class Var(Operators):
    """A named array in a define-by-run computation.

    Python operators and the functions of ``eager.ops`` take Vars and give Vars. Nothing is kept alive but what a
    Var was made of. Source: spaGO's ``ag.Var`` and ``Node``.

    Attributes:
        name: shown in pictures and errors; the name of the argument in ``tape.program()``.
        requires_grad: whether ``backward`` gives it a gradient.
        grad: the sum of the gradients of all backward passes since ``zero_grad``, or None.
        time_step: of the tape when it was made.

    >>> a, b = Var(2.0, name="a"), Var(5.0, name="b")
    >>> c = a + b
    >>> c.backward(0.5)
    >>> float(c), float(a.grad), float(b.grad)
    (7.0, 0.5, 0.5)
    """

    __slots__ = (
        "__weakref__",
        "_keeps_grad",
        "_record",
        "_value",
        "_which",
        "grad",
        "name",
        "requires_grad",
        "time_step",
    )

    def __init__(self, value: Any, *, name: str | None = None, requires_grad: bool = True):
        if isinstance(value, Var):
            raise InputError(f"Var({value!r}): it is a Var already; stop_gradient() makes one without its history")
        array = jnp.asarray(value)
        # Python numbers give weakly typed arrays; a variable has a dtype of its own.
        self._value: Array = jax.lax.convert_element_type(array, array.dtype)
        floats = jnp.issubdtype(array.dtype, jnp.inexact)
        self._setup(name, requires_grad and floats, None, 0)

    def _setup(self, name: str | None, requires_grad: bool, record: Record | None, which: int) -> None:
        self.name = name
        self.requires_grad = requires_grad
        self.grad: Any = None
        self.time_step = time_step()
        self._record = record
        self._which = which
        self._keeps_grad = record is None
        if current.tapes:
            current.tapes[-1].note(self)

    @classmethod
    def computed(cls, value: Array, record: Record, which: int, requires_grad: bool) -> "Var":
        """The output ``which`` of an operation that ran."""
        var = cls.__new__(cls)
        var._value = value
        var._setup(None, requires_grad, record, which)
        return var

    # -- what it holds -----------------------------------------------------------------------------------------------

    @property
    def value(self) -> Array:
        """The array."""
        return self._value

    @value.setter
    def value(self, new: Any) -> None:
        """A new array for a variable that was not computed, of the same shape and dtype.

        Raises:
            InputError: for another shape, or a computed Var.
        """
        if self._record is not None:
            raise InputError(f"{self!r} was computed: only variables can be given a new value")
        array = jnp.asarray(new, self._value.dtype)
        if array.shape != self._value.shape:
            raise InputError(f"{self!r}: its shape is {list(self._value.shape)}, the new value has {list(array.shape)}")
        self._value = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self._value.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the array."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim

    @property
    def operation(self) -> str | None:
        """The name of the operation that made it; None for a variable."""
        return None if self._record is None else self._record.operation.name

    def __repr__(self) -> str:
        made = f" = {self.operation}(...)" if self._record is not None else ""
        return f"Var({self.name or '-'}: {self.dtype.name}{list(self.shape)}{made})"

    def item(self) -> float | int | bool:
        """The number of a Var with one element."""
        return self._value.item()

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._value, dtype)

    def __iter__(self) -> "Iterator[Var]":
        return (self[index] for index in range(len(self)))

    # -- gradients -----------------------------------------------------------------------------------------------------

    def backward(self, grad: Any = None, *, back_steps: int | None = None) -> None:
        """Adds the derivative of this Var to the ``grad`` of every variable that it was computed from.

        See ``eager.backward``.
        """
        from spago_jax.eager.backward import backward

        backward(self, grads=None if grad is None else [grad], back_steps=back_steps)

    def keep_grad(self) -> "Var":
        """Has ``backward`` give a gradient to this computed Var too, not to variables alone."""
        self._keeps_grad = True
        return self

    def accumulate_grad(self, grad: Any) -> None:
        """Adds to ``grad``; on an output, ``backward`` starts from it.

        Raises:
            InputError: for another shape than the Var's.
        """
        array = jnp.asarray(grad, self.dtype)
        if array.shape != self.shape:
            raise InputError(f"{self!r}: a gradient of shape {list(array.shape)} does not fit")
        self.grad = array if self.grad is None else self.grad + array

    def zero_grad(self) -> None:
        """Forgets the gradient."""
        self.grad = None

    # Equality compares values, as on arrays; hashing is that of objects.
    __hash__ = object.__hash__


def run(op: Operation, *args: Any) -> Any:
    """Runs an operation on Vars and arrays, and records it; gives a Var, or a tuple or list of them."""
    inputs = tuple(arg if isinstance(arg, Var) else None for arg in args)
    values = tuple(arg._value if isinstance(arg, Var) else arg for arg in args)
    output = op.compiled(*values)
    wanted = any(var is not None and var.requires_grad for var in inputs)
    if not isinstance(output, tuple | list):
        record = Record(op, inputs, values, 1, time_step())
        return Var.computed(output, record, 0, wanted and jnp.issubdtype(output.dtype, jnp.inexact))
    record = Record(op, inputs, values, len(output), time_step())
    return [
        Var.computed(array, record, index, wanted and jnp.issubdtype(array.dtype, jnp.inexact))
        for index, array in enumerate(output)
    ]
