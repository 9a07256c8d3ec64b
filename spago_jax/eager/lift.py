# SPDX-License-Identifier: BSD-2-Clause
"""Any function of arrays, and any Module, as an operation on Vars."""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax import ops as own
from spago_jax.core.partition import trainable
from spago_jax.core.paths import map_named
from spago_jax.eager.record import Operation, operation
from spago_jax.eager.var import Var, run
from spago_jax.errors import InputError, did_you_mean

Tree = TypeVar("Tree")


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
    if isinstance(function, _Lifted):
        function = function.function
    leaves, tree = jax.tree.flatten((function if _is_module(function) else None, args, kwargs))
    arrays = [leaf for leaf in leaves if _is_array(leaf)]
    settings = tuple(_ARRAY if _is_array(leaf) else _setting(leaf) for leaf in leaves)
    name = getattr(function, "__name__", type(function).__name__).strip("_")
    try:
        op = _bound(name, None if _is_module(function) else function, tree, settings)
    except TypeError as error:
        raise InputError(f"{name}: its settings must be hashable (numbers, strings, tuples): {error}") from None
    outputs = run(op, *arrays)
    return outputs if isinstance(outputs, Var) else jax.tree.unflatten(op.function.tree(), outputs)  # type: ignore[attr-defined]


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
    """A leaf that is no array; 1, 1.0 and True are different settings, as they are to a traced function."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        hash(value)
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Setting) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


_ARRAY = object()
_setting = _Setting


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, Var | jax.Array | np.ndarray)


def _is_module(function: Any) -> bool:
    return not jax.tree_util.all_leaves([function])


def variables(model: Tree) -> Tree:
    """A copy of a Module (or any pytree of arrays) with a Var, named by its path, for every array.

    Buffers and integers do not require a gradient.

    >>> from spago_jax.nn import Linear
    >>> layer = variables(Linear.init(jax.random.key(0), 3, 2))
    >>> layer.weight
    Var(weight: float32[2, 3])
    >>> y = apply(layer, jnp.ones(3))
    >>> y.backward(jnp.array([1.0, 2.0]))
    >>> layer.bias.grad
    Array([1., 2.], dtype=float32)
    """
    names = trainable(model)
    return map_named(lambda path, leaf: Var(leaf, name=path, requires_grad=path in names), model)


def values(tree: Tree) -> Tree:
    """The arrays of a pytree of Vars: the inverse of ``variables``."""
    return jax.tree.map(lambda leaf: leaf.value if isinstance(leaf, Var) else leaf, tree)


def gradients(tree: Tree) -> Tree:
    """The gradients of a pytree of Vars; None where there is none."""
    return jax.tree.map(lambda leaf: leaf.grad if isinstance(leaf, Var) else None, tree)


def stop_gradient(x: Var) -> Var:
    """A Var of the same value through which no gradient flows (spaGO's ``StopGrad``)."""
    return Var(x.value, name=x.name, requires_grad=False)


class _Lifted:
    """A function of ``eager.ops``."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return apply(self.function, *args, **kwargs)


class Ops:
    """Every function of ``spago_jax.ops``, ``jax.nn`` and ``jax.numpy``, on Vars; found in that order.

    >>> x = Var([0.0, 1.0])
    >>> Ops().softmax(x).value
    Array([0.26894143, 0.7310586 ], dtype=float32)
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = _own_functions().get(name) or getattr(jax.nn, name, None) or getattr(jnp, name, None)
        if name.startswith("_") or not callable(function) or isinstance(function, type):
            raise AttributeError(f"eager.ops has no function {name!r}: {did_you_mean(name, dir(self))}")
        lifted = _Lifted(function)
        setattr(self, name, lifted)
        return lifted

    def __dir__(self) -> list[str]:
        return sorted(name for name in {*_own_functions(), *dir(jax.nn), *dir(jnp)} if not name.startswith("_"))


@functools.cache
def _own_functions() -> dict[str, Callable[..., Any]]:
    """The public functions in the modules of ``spago_jax.ops``."""
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(own.__path__):
        source = importlib.import_module(f"{own.__name__}.{module.name}")
        for name, function in vars(source).items():
            if callable(function) and getattr(function, "__module__", None) == source.__name__:
                found[name] = function
    return found


ops = Ops()
