# SPDX-License-Identifier: BSD-2-Clause
"""The gradient methods without their learning rate: g -> u, where the update is w - rate * u.

optax where its update is PyTorch's; where optax defines a method otherwise (radam, adagrad), PyTorch's own
equations. With g the gradient, t = 1, 2, ... the update and w the parameter:

| method | u | follows | spaGO differs in |
|---|---|---|---|
| sgd | v = mu v + g; u = v, with Nesterov u = g + mu v | PyTorch | the rate is inside v (the same at a constant rate) |
| adam | m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; u = m' / (sqrt(v') + eps) | PyTorch | eps is added before the bias correction of v |
| adamw | adam, u + lambda w | PyTorch | as adam, and lambda w is bias corrected too |
| radam | r m' sqrt(1 - b2^t) / (sqrt(v) + eps) where rho_t > 5, else m' | PyTorch | divides by sqrt(v) at all times; threshold 4 |
| rmsprop | v = rho v + (1 - rho) g^2; u = g / (sqrt(v) + eps), then momentum | PyTorch | nothing (no momentum) |
| adagrad | s = s + g^2; u = g / (sqrt(s) + eps) | PyTorch | nothing |
| lamb | a = adam's u + lambda w; u = a norm(w) / norm(a), per array | You et al. 2020 | eps as in adam; the norm of a without bias correction |

m' = m / (1 - b1^t) and v' = v / (1 - b2^t). spaGO's clock of adam must be moved by hand; here it cannot stop.
"""  # noqa: E501

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from spago_jax.core.tree import PyTree
from spago_jax.optim.config import OptimizerConfig

__all__ = ["DEFAULT_EPSILON", "build_method", "scale_by_adagrad", "scale_by_radam", "variance_length"]

DEFAULT_EPSILON = {"adagrad": 1e-10, "lamb": 1e-6}


class AdagradState(NamedTuple):
    """The sum of squared gradients."""

    total: PyTree


def scale_by_adagrad(epsilon: float) -> optax.GradientTransformation:
    """s = s + g^2; u = g / (sqrt(s) + eps) (Duchi et al. 2011, as PyTorch has it; optax starts s at 0.1)."""

    def init(params: PyTree) -> AdagradState:
        return AdagradState(jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[Any, AdagradState]:
        del params
        total = jax.tree.map(lambda s, g: s + g * g, state.total, updates)
        return jax.tree.map(lambda s, g: g / (jnp.sqrt(s) + epsilon), total, updates), AdagradState(total)

    return optax.GradientTransformation(init, update)


class RAdamState(NamedTuple):
    """The number of updates and the two moments."""

    step: jax.Array
    first: PyTree
    second: PyTree


def scale_by_radam(beta1: float, beta2: float, epsilon: float) -> optax.GradientTransformation:
    """Rectified Adam (Liu et al. 2020), as PyTorch has it.

    rho_inf = 2 / (1 - b2) - 1; rho_t = rho_inf - 2 t b2^t / (1 - b2^t). Where rho_t > 5 the step is Adam's times
    r = sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t)); before, it is momentum alone.
    """
    rho_inf = 2 / (1 - beta2) - 1

    def init(params: PyTree) -> RAdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return RAdamState(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[Any, RAdamState]:
        del params
        step = jnp.asarray(optax.safe_increment(state.step))
        t = step.astype(jnp.result_type(float))
        first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, state.first, updates)
        second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, state.second, updates)
        correction = -jnp.expm1(t * math.log(beta1)) if beta1 else jnp.ones_like(t)
        mean = jax.tree.map(lambda m: m / correction.astype(m.dtype), first)
        if rho_inf <= 5:
            return mean, RAdamState(step, first, second)
        rectified, factor = _rectification(t, beta2, rho_inf)

        def leaf(m: jax.Array, v: jax.Array) -> jax.Array:
            return jnp.where(rectified, m * factor.astype(m.dtype) / (jnp.sqrt(v) + epsilon), m)

        return jax.tree.map(leaf, mean, second), RAdamState(step, first, second)

    return optax.GradientTransformation(init, update)


def variance_length(t: jax.Array, beta2: float) -> tuple[jax.Array, jax.Array]:
    """``rho_t``, and ``1 - b2^t``, with all their digits.

    As it is written rho_t is the small difference of two large numbers, and float32 has three digits of it left.
    With x = - t log b2 and b2^t / (1 - b2^t) = 1 / expm1(x) = 1/x - 1/2 + h(x), the large parts cancel exactly:
    rho_t = (rho_inf + 2 / log b2) + t - 2 t h(x).
    """
    rate = -math.log(beta2)
    x = t * rate
    series = x * (1 / 12 - x**2 * (1 / 720 - x**2 * (1 / 30240 - x**2 / 1209600)))
    h = jnp.where(x < 0.5, series, 1 / jnp.expm1(jnp.maximum(x, 0.5)) - 1 / x + 0.5)
    rho_inf = 2 / (1 - beta2) - 1
    return (rho_inf - 2 / rate) + t - 2 * t * h, -jnp.expm1(-x)


def _rectification(t: jax.Array, beta2: float, rho_inf: float) -> tuple[jax.Array, jax.Array]:
    """Whether rho_t > 5, and r sqrt(1 - b2^t)."""
    rho, complement = variance_length(t, beta2)
    rectified = rho > 5
    safe = jnp.where(rectified, rho, 6.0)
    ratio = (safe - 4) * (safe - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * safe)
    return rectified, jnp.sqrt(ratio * complement)


def build_method(config: OptimizerConfig, decay: optax.GradientTransformation) -> optax.GradientTransformation:
    """The method with its weight decay in the right place: before it, or after it where it is decoupled.

    Args:
        config: The ``optimizer:`` section.
        decay: Adds ``lambda w`` to what it is given.
    """
    epsilon = config.epsilon or DEFAULT_EPSILON.get(config.name, 1e-8)
    beta1, beta2 = config.betas
    momentum = [optax.trace(config.momentum, nesterov=config.nesterov)] if config.momentum else []
    match config.name:
        case "sgd":
            return optax.chain(decay, *momentum)
        case "adam":
            return optax.chain(decay, optax.scale_by_adam(beta1, beta2, epsilon))
        case "adamw":
            return optax.chain(optax.scale_by_adam(beta1, beta2, epsilon), decay)
        case "radam":
            return optax.chain(decay, scale_by_radam(beta1, beta2, epsilon))
        case "rmsprop":
            return optax.chain(decay, optax.scale_by_rms(config.rho, epsilon, eps_in_sqrt=False), *momentum)
        case "adagrad":
            return optax.chain(decay, scale_by_adagrad(epsilon))
        case "lamb":
            return optax.chain(optax.scale_by_adam(beta1, beta2, epsilon), decay, optax.scale_by_trust_ratio())
