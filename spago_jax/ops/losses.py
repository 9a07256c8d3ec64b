# SPDX-License-Identifier: BSD-2-Clause
"""Losses, one number an example: the caller takes the mean, weighted or masked by length, as its data asks."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype


def cross_entropy(logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0) -> jax.Array:
    """``-log softmax(logits)[label]`` for each example, in float32 at least.

    With label smoothing s the target is ``(1 - s) onehot + s / classes`` (Szegedy et al., 2016), as in PyTorch.
    A label outside the classes (the -1 of padding) gives a finite number that means nothing: mask it.

    Args:
        logits: [..., classes].
        labels: int[...].
        label_smoothing: in [0, 1).

    Returns:
        [...].

    Raises:
        InputError: where the shapes do not fit, or the smoothing is outside [0, 1).

    >>> cross_entropy(jnp.array([[0.0, 0.0], [9.0, 0.0]]), jnp.array([1, 0])).round(4)
    Array([6.931e-01, 1.000e-04], dtype=float32)
    """
    if logits.shape[:-1] != labels.shape:
        raise InputError(f"labels have shape {tuple(labels.shape)}, expected {tuple(logits.shape[:-1])} as the logits")
    if not 0.0 <= label_smoothing < 1.0:
        raise InputError(f"label_smoothing is {label_smoothing}, expected at least 0 and less than 1")
    logits = logits.astype(accumulation_dtype(logits.dtype))
    # Less the largest: the difference of two numbers near 1000 would keep four digits of a small loss.
    logits = logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    total = jnp.log(jnp.sum(jnp.exp(logits), axis=-1))
    hit = over(jnp.arange(logits.shape[-1]), logits) == labels[..., None]
    # A sum over `where` fuses with what surrounds it; a gather would have a scatter for its gradient.
    gold = jnp.sum(jnp.where(hit, logits, 0), axis=-1)
    if label_smoothing:
        gold = (1.0 - label_smoothing) * gold + label_smoothing * jnp.mean(logits, axis=-1)
    return total - gold


def masked_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """The mean of ``values`` weighted by ``weights`` (a mask, or numbers); zero where no weight is left.

    What a zero weight covers is not read, so a NaN there does no harm.

    >>> masked_mean(jnp.array([1.0, 3.0, jnp.nan]), jnp.array([True, True, False]))
    Array(2., dtype=float32)
    """
    weights = weights.astype(values.dtype)
    total = jnp.sum(jnp.where(weights != 0, values, 0) * weights)
    return total / jnp.maximum(jnp.sum(weights), jnp.finfo(values.dtype).tiny)


def weighted_cross_entropy(logits: jax.Array, labels: jax.Array, class_weights: jax.Array) -> jax.Array:
    """``class_weights[label] * cross_entropy``, one number an example; spaGO's WeightedCrossEntropy."""
    return class_weights[labels] * cross_entropy(logits, labels)


def focal(logits: jax.Array, labels: jax.Array, gamma: float = 2.0) -> jax.Array:
    """``(1 - p)^gamma * -log p`` with p the probability of the label (Lin et al., 2017).

    >>> focal(jnp.array([0.0, 0.0]), jnp.array(0), gamma=1.0).round(4)
    Array(0.3466, dtype=float32)
    """
    loss = cross_entropy(logits, labels)
    # 1 - e^-loss loses all digits where p is near 1; expm1 keeps them.
    return jnp.power(-jnp.expm1(-loss), gamma) * loss


def negative_log_likelihood(probabilities: jax.Array, target: jax.Array) -> jax.Array:
    """``-sum(target * log p)`` over the last axis, for probabilities and one-hot targets; 0 log 0 is 0.

    spaGO's NLL has no guard: it gives NaN where a probability is 0.
    """
    safe = jnp.where(target > 0, probabilities, 1)
    return -jnp.sum(target * jnp.log(safe), axis=-1)


def binary_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """``-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x))`` for each number, stable for every logit.

    >>> binary_cross_entropy(jnp.array([0.0, 200.0]), jnp.array([1.0, 0.0])).round(4)
    Array([  0.6931, 200.    ], dtype=float32)
    """
    return jax.nn.softplus(logits) - targets * logits


def mse(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """The mean of ``(x - y)^2`` over the last axis. spaGO's MSE is half of this (it has a factor 0.5).

    >>> mse(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0]))
    Array(2., dtype=float32)
    """
    return jnp.mean(jnp.square(prediction - target), axis=-1)


def mae(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """The mean of ``|x - y|`` over the last axis.

    >>> mae(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0]))
    Array(1., dtype=float32)
    """
    return jnp.mean(jnp.abs(prediction - target), axis=-1)


def weighted_focal(logits: jax.Array, labels: jax.Array, class_weights: jax.Array, gamma: float = 2.0) -> jax.Array:
    """``class_weights[label] * focal``, one number an example; spaGO's WeightedFocalLoss."""
    return class_weights[labels] * focal(logits, labels, gamma)


def perplexity(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """``exp(cross_entropy)``, one number an example.

    >>> perplexity(jnp.zeros(8), jnp.array(3)).round(4)
    Array(8., dtype=float32)
    """
    return jnp.exp(cross_entropy(logits, labels))


def zero_one_quantization(x: jax.Array) -> jax.Array:
    """``sum(x^2 (1 - x)^2)`` over the last axis: zero where every number is 0 or 1.

    >>> zero_one_quantization(jnp.array([0.0, 1.0, 2.0]))
    Array(4., dtype=float32)
    """
    return jnp.sum(jnp.square(x * (1 - x)), axis=-1)


def norm2_quantization(x: jax.Array) -> jax.Array:
    """``(sum(x^2) - 1)^2`` over the last axis: zero where the vector has length 1.

    >>> norm2_quantization(jnp.array([1.0, 1.0]))
    Array(1., dtype=float32)
    """
    return jnp.square(jnp.sum(jnp.square(x), axis=-1) - 1)


def one_hot_quantization(x: jax.Array, weight: float = 1e-5) -> jax.Array:
    """``weight (zero_one_quantization + norm2_quantization)``: zero where the vector is one-hot.

    Source: spaGO's OneHotQuantization, after the Tensor Product Recurrent Network (Palangi et al., 2018).
    """
    return weight * (zero_one_quantization(x) + norm2_quantization(x))


def distance(x: jax.Array, target: jax.typing.ArrayLike) -> jax.Array:
    """``|target - x|`` for each number.

    >>> float(distance(jnp.array(0.25), 1.0))
    0.75
    """
    return jnp.abs(target - x)


def scaled_policy_gradient(action_log_probabilities: jax.Array, target_log_probabilities: jax.Array) -> jax.Array:
    """``-sum_t a_t r_t`` over the last axis: log-probabilities of actions, weighted by what they led to.

    Source: spaGO's SPG, for the skip connections of LSTM-SC.
    """
    return -jnp.sum(action_log_probabilities * target_log_probabilities, axis=-1)
