# SPDX-License-Identifier: BSD-2-Clause
"""Var: an array that remembers how it was computed. Operations run at once; ``backward`` differentiates them."""

import dataclasses
import functools
import operator
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from spago_jax.eager.backward import backward
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.eager.tape import Tape

Array = jax.Array
Operand: TypeAlias = "Var | ArrayLike"
"""What an operator takes on its other side."""


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """A function of arrays with its settings bound, compiled once for each shape; equal settings share one."""

    name: str
    function: Callable[..., Any]

    @functools.cached_property
    def compiled(self) -> Callable[..., Any]:
        """The function as one XLA program."""
        return jax.jit(self.function)


@functools.lru_cache(maxsize=4096)
def operation(name: str, make: Callable[..., Callable[..., Any]], settings: Hashable) -> Operation:
    """The operation ``make(settings)``; the same object for the same arguments, so that programs are found again."""
    return Operation(name, make(settings))


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One operation that ran.

    Attributes:
        operation: what ran.
        inputs: a variable, or a constant array, for each argument.
        values: the arrays that the inputs held when it ran: a variable may be given a new one later.
        outputs: how many arrays came out.
        time_step: when it ran; 0 without a tape.
    """

    operation: Operation
    inputs: "tuple[Var | None, ...]"
    values: tuple[Any, ...]
    outputs: int
    time_step: int


class _Current(threading.local):
    def __init__(self) -> None:
        self.tapes: list[Tape] = []


current = _Current()


def time_step() -> int:
    """The time step of the innermost open tape, or 0."""
    return current.tapes[-1].time_step if current.tapes else 0


_NAMES = (
    "add", "sub", "mul", "truediv", "matmul", "pow", "mod", "floordiv",
    "lt", "le", "gt", "ge", "eq", "ne", "neg", "abs",
)  # fmt: skip
_OPERATIONS = {name: Operation(name, getattr(operator, name)) for name in _NAMES}
_TRANSPOSE = Operation("transpose", jnp.transpose)


class Var:
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

    def __init__(self, value: ArrayLike, *, name: str | None = None, requires_grad: bool = True):
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
        self.grad: Array | None = None
        self.time_step = time_step()
        self._record = record
        self._which = which
        self._keeps_grad = record is None
        if current.tapes:
            current.tapes[-1].note(self)

    @classmethod
    def computed(cls, value: Array, record: Record | None, which: int, requires_grad: bool) -> "Var":
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
    def value(self, new: ArrayLike) -> None:
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
    def dtype(self) -> np.dtype:
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

    def __copy__(self) -> "Var":
        """Returns a Var of its own with the same value, gradient and history."""
        var = Var.computed(self._value, self._record, self._which, self.requires_grad)
        var.name, var.grad, var._keeps_grad = self.name, self.grad, self._keeps_grad
        return var

    def __deepcopy__(self, memo: dict[int, Any]) -> "Var":
        return self.__copy__()

    def __getstate__(self) -> NoReturn:
        """Refuses to be pickled: what it was made by is compiled for this process.

        Raises:
            InputError: always.
        """
        raise InputError("Var cannot be pickled, it belongs to this process: pickle eager.values(tree), its arrays")

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._value, dtype)

    def __iter__(self) -> "Iterator[Var]":
        return (self[index] for index in range(len(self)))

    # -- gradients -----------------------------------------------------------------------------------------------------

    def backward(self, grad: ArrayLike | None = None, *, back_steps: int | None = None) -> None:
        """Adds the derivative of this Var to the ``grad`` of every variable that it was computed from.

        See ``eager.backward``.
        """
        backward(self, grads=None if grad is None else [grad], back_steps=back_steps)

    def keep_grad(self) -> "Var":
        """Has ``backward`` give a gradient to this computed Var too, not to variables alone."""
        self._keeps_grad = True
        return self

    def accumulate_grad(self, grad: ArrayLike) -> None:
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

    # -- operators and methods of arrays: each is one recorded operation; numbers and arrays may stand on either side

    # NumPy arrays on the left leave the operator to Var.
    __array_priority__ = 1000
    __array_ufunc__ = None

    def __add__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["add"], self, other)

    def __radd__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["add"], other, self)

    def __sub__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["sub"], self, other)

    def __rsub__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["sub"], other, self)

    def __mul__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["mul"], self, other)

    def __rmul__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["mul"], other, self)

    def __truediv__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["truediv"], self, other)

    def __rtruediv__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["truediv"], other, self)

    def __matmul__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["matmul"], self, other)

    def __rmatmul__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["matmul"], other, self)

    def __pow__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["pow"], self, other)

    def __rpow__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["pow"], other, self)

    def __mod__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["mod"], self, other)

    def __rmod__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["mod"], other, self)

    def __floordiv__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["floordiv"], self, other)

    def __rfloordiv__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["floordiv"], other, self)

    def __lt__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["lt"], self, other)

    def __le__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["le"], self, other)

    def __gt__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["gt"], self, other)

    def __ge__(self, other: "Operand") -> "Var":
        return run(_OPERATIONS["ge"], self, other)

    def __eq__(self, other: "Operand") -> "Var":  # type: ignore[override]
        return run(_OPERATIONS["eq"], self, other)

    def __ne__(self, other: "Operand") -> "Var":  # type: ignore[override]
        return run(_OPERATIONS["ne"], self, other)

    def __neg__(self) -> "Var":
        return run(_OPERATIONS["neg"], self)

    def __abs__(self) -> "Var":
        return run(_OPERATIONS["abs"], self)

    def __getitem__(self, index: Any) -> "Var":
        return apply(_item, self, index)

    @property
    def T(self) -> "Var":
        """The transpose: all axes reversed."""
        return run(_TRANSPOSE, self)

    def reshape(self, *shape: Any) -> "Var":
        """The same numbers in another shape."""
        return apply(jnp.reshape, self, shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape)

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Var":
        """The sum over some axes, or all."""
        return apply(jnp.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Var":
        """The mean over some axes, or all."""
        return apply(jnp.mean, self, axis=axis, keepdims=keepdims)

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


def apply(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs a function of arrays on Vars, as one operation.

    Arguments may be pytrees that hold Vars and arrays (a Module of Vars among them, see ``variables``); numbers,
    strings and tuples of them are settings. What comes out is the same pytree, of Vars.

    Args:
        function: pure: from ``spago_jax.ops``, ``jax.nn``, ``jax.numpy``, a Module, or your own.
        args: its arguments.
        kwargs: its arguments by name.

    Raises:
        InputError: for a setting that cannot be hashed.

    >>> x = Var([1.0, 2.0, 4.0], name="x")
    >>> y = apply(jnp.cumsum, x)
    >>> y.backward([0.0, 0.0, 1.0])
    >>> y.value, x.grad
    (Array([1., 3., 7.], dtype=float32), Array([1., 1., 1.], dtype=float32))
    """
    if isinstance(function, Lifted):
        function = function.function
    leaves, tree = jax.tree.flatten((function if _is_module(function) else None, args, kwargs))
    arrays = [leaf for leaf in leaves if _is_array(leaf)]
    name = getattr(function, "__name__", type(function).__name__).strip("_")
    try:
        settings = tuple(_ARRAY if _is_array(leaf) else _Setting(leaf) for leaf in leaves)
        op = _bound(name, None if _is_module(function) else function, tree, settings)
    except TypeError as error:
        raise InputError(f"{name}: its settings must be hashable (numbers, strings, tuples): {error}") from None
    outputs = run(op, *arrays)
    return outputs if isinstance(outputs, Var) else jax.tree.unflatten(op.function.tree(), outputs)  # type: ignore[attr-defined]


class Lifted:
    """A function of arrays that takes Vars and gives Vars."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs it as one operation; see ``apply``."""
        return apply(self.function, *args, **kwargs)


@functools.lru_cache(maxsize=4096)
def _bound(name: str, function: Callable[..., Any] | None, tree: Any, settings: tuple[Any, ...]) -> Operation:
    return operation(name, lambda _: _Bound(function, tree, settings), (function, tree, settings))


class _Bound:
    """A function with its settings filled in: takes the arrays alone, gives a list, or one bare array."""

    def __init__(self, function: Callable[..., Any] | None, tree: Any, settings: tuple[Any, ...]):
        self.function, self.in_tree, self.settings = function, tree, settings
        self._out_tree: Any = None

    def __call__(self, *arrays: Any) -> Any:
        given = iter(arrays)
        leaves = [next(given) if value is _ARRAY else value.value for value in self.settings]
        module, args, kwargs = jax.tree.unflatten(self.in_tree, leaves)
        output = (self.function or module)(*args, **kwargs)
        flat, self._out_tree = jax.tree.flatten(output)
        if jax.tree_util.treedef_is_leaf(self._out_tree) and len(flat) == 1:
            return flat[0]
        return flat

    def tree(self) -> Any:
        """The structure of what the function gave when it was traced; the same for all shapes."""
        return self._out_tree


class _Setting:
    """A leaf that is not an array; 1, 1.0 and True are different settings, as they are to a traced function."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any):
        parts = (value.start, value.stop, value.step) if isinstance(value, slice) else (value,)
        if any(_is_array(part) for part in parts):
            raise TypeError("a slice goes by Python numbers, as in x[int(start) :]")
        self.value = value
        self.key = (type(value), *((type(part), part) for part in parts))  # slices have a hash since Python 3.12 only
        hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Setting) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


_ARRAY = object()


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, Var | jax.Array | np.ndarray)


def _is_module(function: object) -> bool:
    return not jax.tree_util.all_leaves([function])


def _item(x: Array, index: Any) -> Any:
    return x[index]
