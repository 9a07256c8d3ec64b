"""spaGO's own update rules where they are not those of PyTorch, to go on with its models and to compare with it.

The efficient form of Adam (Kingma and Ba, 2015, end of section 2): the bias corrections go into the rate, so that
epsilon is not corrected. With t = 1, 2, ... the update, m and v the moments, and
``a_t = rate sqrt(1 - b2^t) / (1 - b1^t)``:

    adam    w -= a_t m / (sqrt(v) + eps)
    adamw   w -= a_t (m / (sqrt(v) + eps) + lambda w)            (the decay is bias corrected too)
    lamb    u = m / (sqrt(v) + eps) + lambda w;  w -= a_t (norm(w) / norm(u)) u, the ratio 1 where a norm is 0
    radam   w -= a_t r m / (sqrt(v) + eps sqrt(1 - b2^t)), r the rectification where rho_t > 4, else 1
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from spago_jax.optim.methods import variance_length

__all__ = ["clip_by_norm", "efficient_adam", "efficient_lamb", "efficient_radam"]


class Moments(NamedTuple):
    """The number of updates and the two moments."""

    step: jax.Array
    first: Any
    second: Any


def efficient_adam(
    learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.0
) -> optax.GradientTransformation:
    """Adam, or AdamW with a decay, in the efficient form; spaGO's ``adam``.

    >>> transform = efficient_adam(0.1)
    >>> updates, _ = transform.update(jnp.array([4.0]), transform.init(jnp.zeros(1)), jnp.zeros(1))
    >>> round(float(updates[0]), 4)
    -0.1
    """

    def direction(m: jax.Array, v: jax.Array, w: jax.Array, _: jax.Array) -> jax.Array:
        return m / (jnp.sqrt(v) + epsilon) + weight_decay * w

    return _with_moments(learning_rate, beta1, beta2, direction)


def efficient_lamb(
    learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.1
) -> optax.GradientTransformation:
    """LAMB (You et al., 2020) in the efficient form; spaGO's ``lamb``."""

    def direction(m: jax.Array, v: jax.Array, w: jax.Array, _: jax.Array) -> jax.Array:
        u = m / (jnp.sqrt(v) + epsilon) + weight_decay * w
        norms = jnp.linalg.norm(w.ravel()), jnp.linalg.norm(u.ravel())
        usable = (norms[0] != 0) & (norms[1] != 0)
        return u * jnp.where(usable, norms[0] / jnp.where(usable, norms[1], 1.0), 1.0)

    return _with_moments(learning_rate, beta1, beta2, direction)


def efficient_radam(
    learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Rectified Adam (Liu et al., 2020) as spaGO has it: while the variance is not tractable it still divides by it."""
    rho_inf = 2.0 / (1.0 - beta2) - 1.0

    def direction(m: jax.Array, v: jax.Array, w: jax.Array, t: jax.Array) -> jax.Array:
        rho, complement = variance_length(t, beta2)
        tractable = rho > 4.0
        safe = jnp.where(tractable, rho, 5.0)
        bottom = (rho_inf - 4.0) * (rho_inf - 2.0)
        ratio = (safe - 4.0) * (safe - 2.0) * rho_inf / ((bottom or 1.0) * safe)
        r = jnp.where(tractable, jnp.sqrt(jnp.maximum(ratio, 0.0)), 1.0)
        return r * m / (jnp.sqrt(v) + epsilon * jnp.sqrt(complement))

    return _with_moments(learning_rate, beta1, beta2, direction)


def _with_moments(learning_rate: float, beta1: float, beta2: float, direction: Any) -> optax.GradientTransformation:
    def init(params: Any) -> Moments:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return Moments(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Moments]:
        if params is None:
            raise ValueError("update() needs the parameters: update(gradients, state, params)")
        step = jnp.asarray(optax.safe_increment(state.step))
        t = step.astype(jnp.result_type(float))
        rate = learning_rate * jnp.sqrt(_complement(beta2, t)) / _complement(beta1, t)
        first = jax.tree.map(lambda m, g: beta1 * m + (1.0 - beta1) * g, state.first, updates)
        second = jax.tree.map(lambda v, g: beta2 * v + (1.0 - beta2) * g * g, state.second, updates)
        found = jax.tree.map(lambda m, v, w: (-rate * direction(m, v, w, t)).astype(w.dtype), first, second, params)
        return found, Moments(step, first, second)

    return optax.GradientTransformation(init, update)


def _complement(beta: float, t: jax.Array) -> jax.Array:
    """``1 - beta^t``, also where that is small."""
    return -jnp.expm1(t * math.log(beta)) if beta else jnp.ones_like(t)


def clip_by_norm(max_norm: float, p: float = 2.0) -> optax.GradientTransformation:
    """Scales all gradients by ``min(1, max_norm / (norm + 1e-7))``, with the p-norm over all of them together.

    Source: spaGO's ``ClipGradByNorm``; p may be infinite. For p = 2 optax's ``clip_by_global_norm`` is the same but
    for the 1e-7.

    >>> clip = clip_by_norm(1.0, jnp.inf)
    >>> [round(float(g), 3) for g in clip.update(jnp.array([3.0, -4.0]), clip.init(()))[0]]
    [0.75, -1.0]
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        sizes = [jnp.abs(leaf) for leaf in jax.tree.leaves(updates)]
        if math.isinf(p):
            norm = jnp.max(jnp.stack([jnp.max(size) for size in sizes]))
        else:
            norm = jnp.sum(jnp.stack([jnp.sum(size**p) for size in sizes])) ** (1.0 / p)
        scale = jnp.minimum(1.0, max_norm / (norm + 1e-7))
        return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
