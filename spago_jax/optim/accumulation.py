# SPDX-License-Identifier: BSD-2-Clause
"""Several batches for one update: the gradient is the mean over all of their examples, not the mean of means."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from spago_jax.core.tree import PyTree

__all__ = ["AccumulatedState", "accumulated"]


class AccumulatedState(NamedTuple):
    """The batches since the last update, the updates so far, ``sum w g`` and ``sum w``, and the inner state."""

    batches: jax.Array
    updates: jax.Array
    total: PyTree
    weight: jax.Array
    inner: PyTree


def accumulated(
    inner: optax.GradientTransformation, batches: Callable[[jax.Array], jax.Array]
) -> optax.GradientTransformationExtraArgs:
    """Hands ``inner`` the gradient ``sum_i w_i g_i / sum_i w_i`` of several batches i; updates are zero in between.

    ``update`` takes the ``weight`` of a batch, which its loss was divided by (the examples, or the pieces that were to
    be found); 1 by default. So k batches give what one batch of all their examples gives.

    Args:
        inner: what makes an update of a gradient.
        batches: how many batches the next update takes, given the number of updates so far.

    >>> sgd = accumulated(optax.sgd(1.0), lambda updates: jnp.asarray(2))
    >>> w = jnp.zeros(())
    >>> first, state = sgd.update(jnp.array(1.0), sgd.init(w), w, weight=3.0)
    >>> second, state = sgd.update(jnp.array(5.0), state, w, weight=1.0)
    >>> float(first), float(second)
    (0.0, -2.0)
    """

    def init(params: PyTree) -> AccumulatedState:
        wide = jnp.result_type(float)  # gradients of few digits are added up in more
        return AccumulatedState(
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
            jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.promote_types(p.dtype, wide)), params),
            jnp.zeros((), wide),
            inner.init(params),
        )

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, *, weight: Any = 1.0, **more: Any
    ) -> tuple[Any, AccumulatedState]:
        weight = jnp.asarray(weight, state.weight.dtype)
        total = jax.tree.map(lambda t, g: t + weight.astype(t.dtype) * g.astype(t.dtype), state.total, updates)
        whole, count = state.weight + weight, state.batches + 1
        divisor = jnp.maximum(whole, 1e-8)

        def enough() -> tuple[Any, Any]:
            mean = jax.tree.map(lambda t, g: (t / divisor.astype(t.dtype)).astype(g.dtype), total, updates)
            return optax.with_extra_args_support(inner).update(mean, state.inner, params, **more)

        shapes, _ = jax.eval_shape(enough)

        def more_to_come() -> tuple[Any, Any]:
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes), state.inner

        done = count >= batches(state.updates)
        new, memory = jax.lax.cond(done, enough, more_to_come)
        kept = jnp.where(done, 0, 1)
        return new, AccumulatedState(
            count * kept,
            state.updates + 1 - kept,
            jax.tree.map(lambda t: jnp.where(done, jnp.zeros_like(t), t), total),
            jnp.where(done, 0, whole),
            memory,
        )

    return optax.GradientTransformationExtraArgs(init, update)
