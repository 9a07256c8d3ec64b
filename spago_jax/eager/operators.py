# SPDX-License-Identifier: BSD-2-Clause
"""The operators and methods of arrays, on Vars."""

import operator
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from spago_jax.eager.record import Operation

if TYPE_CHECKING:
    from spago_jax.eager.var import Var

_NAMES = (
    "add", "sub", "mul", "truediv", "matmul", "pow", "mod", "floordiv",
    "lt", "le", "gt", "ge", "eq", "ne", "neg", "abs",
)  # fmt: skip
_OPERATIONS = {name: Operation(name, getattr(operator, name)) for name in _NAMES}
_TRANSPOSE = Operation("transpose", jnp.transpose)


def _run(name: str, *args: Any) -> "Var":
    from spago_jax.eager.var import run

    return run(_OPERATIONS[name], *args)


def _apply(function: Any, *args: Any, **kwargs: Any) -> "Var":
    from spago_jax.eager.lift import apply

    return apply(function, *args, **kwargs)


class Operators:
    """What Var inherits: each operator is one recorded operation; numbers and arrays may stand on either side."""

    __slots__ = ()

    # NumPy arrays on the left leave the operator to Var.
    __array_priority__ = 1000
    __array_ufunc__ = None

    def __add__(self, other: Any) -> "Var":
        return _run("add", self, other)

    def __radd__(self, other: Any) -> "Var":
        return _run("add", other, self)

    def __sub__(self, other: Any) -> "Var":
        return _run("sub", self, other)

    def __rsub__(self, other: Any) -> "Var":
        return _run("sub", other, self)

    def __mul__(self, other: Any) -> "Var":
        return _run("mul", self, other)

    def __rmul__(self, other: Any) -> "Var":
        return _run("mul", other, self)

    def __truediv__(self, other: Any) -> "Var":
        return _run("truediv", self, other)

    def __rtruediv__(self, other: Any) -> "Var":
        return _run("truediv", other, self)

    def __matmul__(self, other: Any) -> "Var":
        return _run("matmul", self, other)

    def __rmatmul__(self, other: Any) -> "Var":
        return _run("matmul", other, self)

    def __pow__(self, other: Any) -> "Var":
        return _run("pow", self, other)

    def __rpow__(self, other: Any) -> "Var":
        return _run("pow", other, self)

    def __mod__(self, other: Any) -> "Var":
        return _run("mod", self, other)

    def __rmod__(self, other: Any) -> "Var":
        return _run("mod", other, self)

    def __floordiv__(self, other: Any) -> "Var":
        return _run("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> "Var":
        return _run("floordiv", other, self)

    def __lt__(self, other: Any) -> "Var":
        return _run("lt", self, other)

    def __le__(self, other: Any) -> "Var":
        return _run("le", self, other)

    def __gt__(self, other: Any) -> "Var":
        return _run("gt", self, other)

    def __ge__(self, other: Any) -> "Var":
        return _run("ge", self, other)

    def __eq__(self, other: Any) -> "Var":  # type: ignore[override]
        return _run("eq", self, other)

    def __ne__(self, other: Any) -> "Var":  # type: ignore[override]
        return _run("ne", self, other)

    __hash__ = object.__hash__

    def __neg__(self) -> "Var":
        return _run("neg", self)

    def __abs__(self) -> "Var":
        return _run("abs", self)

    def __getitem__(self, index: Any) -> "Var":
        return _apply(_item, self, index)

    @property
    def T(self) -> "Var":
        """The transpose: all axes reversed."""
        from spago_jax.eager.var import run

        return run(_TRANSPOSE, self)

    def reshape(self, *shape: Any) -> "Var":
        """The same numbers in another shape."""
        return _apply(jnp.reshape, self, shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Var":
        """The sum over some axes, or all."""
        return _apply(jnp.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Var":
        """The mean over some axes, or all."""
        return _apply(jnp.mean, self, axis=axis, keepdims=keepdims)


def _item(x: Any, index: Any) -> Any:
    return x[index]
