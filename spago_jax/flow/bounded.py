# SPDX-License-Identifier: BSD-2-Clause
"""A loop of a bounded number of iterations that halts on its data: differentiable, and compiled once."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.compiler.jaxprs import hoisted
from spago_jax.core import Array
from spago_jax.core.tree import PyTree


def bounded_scan(
    go: Callable[[Any, Array], Any],
    halted: Callable[[Any], Array],
    carry: PyTree,
    most: int,
    *,
    look: Callable[[Any], Any] = lambda carry: carry,
    traced: Callable[[Any], Any] = lambda carry: None,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Iterates ``carry = go(carry, i)`` for i = 0, 1, ... until ``halted(carry)``, at most ``most`` times.

    A halted loop keeps its carry, and the scan goes on without calling ``go``: XLA's own while loop has no gradient in
    reverse, and a scan whose length depends on the data would be compiled again for each length.

    For gradients in reverse the carries are kept, and each iteration is computed again on the way back. What JAX would
    keep of a ``lax.cond`` within a scan includes the weights of ``go``, once per iteration. There is no gradient in
    forward mode (``jax.jvp``, ``jax.hessian``); second derivatives are those in reverse, ``jax.jacrev(jax.grad(f))``.

    Args:
        go: one iteration.
        halted: bool[] of a carry.
        carry: to start from.
        most: iterations at most.
        look: changes the carry before each iteration and before it is asked whether it has halted.
        traced: what is recorded after each iteration.
        unroll: iterations in one step of the compiled loop.

    Returns:
        The last carry, and what was recorded, [most, ...]; after the loop has halted, of its last carry.

    >>> bounded_scan(lambda x, i: 2 * x, lambda x: x > 50, jnp.float32(1), 100)[0]
    Array(64., dtype=float32)
    """
    run, arrays, constants = hoisted(go, carry, jnp.int32(0))
    treedef = jax.tree.structure(carry)

    def iterate(leaves: list[Array], i: Array) -> PyTree:
        carry = look(jax.tree.unflatten(treedef, leaves))
        leaves = _unless(run, halted(carry), jax.tree.leaves(carry), i, arrays, constants)
        return leaves, traced(jax.tree.unflatten(treedef, leaves))

    leaves, rest = lax.scan(iterate, jax.tree.leaves(carry), jnp.arange(most, dtype=jnp.int32), unroll=unroll)
    return jax.tree.unflatten(treedef, leaves), rest


Run = Callable[..., list[Array]]


def _unless(
    run: Run, halted: Array, leaves: Sequence[Array], i: Array, arrays: Sequence[Array], constants: Sequence[Array]
) -> list[Array]:
    """``run(leaves, i, arrays, constants)``, or ``leaves`` where the loop has halted.

    ``arrays`` are the floats that ``run`` closes over, and ``constants`` the integers.
    """
    is_float = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def parted(all_leaves: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        floats = [leaf for leaf, yes in zip(all_leaves, is_float, strict=True) if yes]
        return floats, [leaf for leaf, yes in zip(all_leaves, is_float, strict=True) if not yes]

    def joined(floats: Sequence[Array], others: Sequence[Array]) -> list[Array]:
        one, two = iter(floats), iter(others)
        return [next(one) if yes else next(two) for yes in is_float]

    def go(floats: PyTree, others: PyTree, i: int | Array, arrays: PyTree, constants: PyTree) -> PyTree:
        return parted(run(joined(floats, others), i, arrays, constants))

    @jax.custom_vjp
    def step(
        halted: int | Array, floats: PyTree, others: PyTree, i: int | Array, arrays: PyTree, constants: PyTree
    ) -> PyTree:
        def stay(floats: PyTree, others: PyTree, *_: Any) -> PyTree:
            return list(floats), list(others)

        return lax.cond(halted, stay, go, floats, others, i, arrays, constants)

    def forward(*inputs: Any) -> PyTree:
        return step(*inputs), inputs

    def backward(inputs: PyTree, slopes: PyTree) -> PyTree:
        halted, floats, others, i, arrays, constants = inputs

        def passed(floats: PyTree, arrays: PyTree, slopes: PyTree) -> PyTree:
            return list(slopes), jax.tree.map(jnp.zeros_like, arrays)

        def through(floats: PyTree, arrays: PyTree, slopes: PyTree) -> PyTree:
            _, back = jax.vjp(lambda floats, arrays: go(floats, others, i, arrays, constants)[0], floats, arrays)
            return back(slopes)

        floats, arrays = lax.cond(halted, passed, through, floats, arrays, slopes[0])
        return None, floats, None, None, arrays, None

    step.defvjp(forward, backward)
    floats, others = step(halted, *parted(leaves), i, list(arrays), list(constants))
    # A custom derivative gives integers a tangent, which not every operation takes; `or` has none.
    return joined(floats, [_untouched(other) for other in others])


def _untouched(other: Array) -> Array:
    is_key = jnp.issubdtype(other.dtype, jax.dtypes.prng_key)
    return other if is_key else other | jnp.zeros((), other.dtype)
