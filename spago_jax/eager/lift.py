# SPDX-License-Identifier: BSD-2-Clause
"""Modules of Vars, and the functions of ``spago_jax.ops``, ``jax.nn`` and ``jax.numpy`` on Vars."""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from spago_jax import ops as own
from spago_jax.core.partition import trainable
from spago_jax.core.paths import map_named
from spago_jax.eager.var import Lifted, Var, apply
from spago_jax.errors import did_you_mean

Tree = TypeVar("Tree")


def variables(model: Tree) -> Tree:
    """A copy of a Module (or any pytree of arrays) with a Var, named by its path, for every array.

    Buffers and integers do not require a gradient.

    >>> from spago_jax.nn import Linear
    >>> layer = variables(Linear.init(jax.random.key(0), 3, 2))
    >>> layer.weight
    Var(weight: float32[2, 3])
    >>> from spago_jax.eager import apply
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
    """Returns a Var of the same value through which no gradient flows (spaGO's ``StopGrad``).

    It is recorded as any operation: a program of the tape computes it from its own inputs.

    >>> x = Var(3.0, name="x")
    >>> (stop_gradient(x) * x).backward()
    >>> float(x.grad)
    3.0
    """
    stopped = apply(jax.lax.stop_gradient, x)
    stopped.name, stopped.requires_grad = x.name, False
    return stopped


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
        lifted = Lifted(function)
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
