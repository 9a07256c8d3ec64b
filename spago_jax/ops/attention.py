# SPDX-License-Identifier: BSD-2-Clause
"""Scaled dot-product attention and linear attention; heads, where there are any, are one of the leading axes."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core.rng import Rng
from spago_jax.core.target import target_platform
from spago_jax.errors import InputError, did_you_mean
from spago_jax.ops.activations import positive_elu
from spago_jax.ops.attention_band import band, band_pays, unband
from spago_jax.ops.dropout import dropout
from spago_jax.ops.linear import accumulation_dtype

IMPLEMENTATIONS = ("plain", "xla", "cudnn")


def attention_mask(
    query: jax.Array,
    key: jax.Array,
    *,
    causal: bool = False,
    offset: jax.Array | int | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
    window: int | None = None,
) -> jax.Array | None:
    """What each query sees: bool[..., query, key] in the rank of the scores, or None where it sees everything.

    The arguments are those of ``scaled_dot_product_attention``.

    >>> attention_mask(jnp.zeros((2, 1)), jnp.zeros((3, 1)), causal=True)
    Array([[ True,  True, False],
           [ True,  True,  True]], dtype=bool)
    """
    rank = max(query.ndim, key.ndim)
    places = jnp.arange(key.shape[-2]).reshape((1,) * (rank - 1) + (-1,))
    parts = []
    if causal:
        first = _lead(key.shape[-2] - query.shape[-2] if offset is None else offset, rank)
        rows = jnp.arange(query.shape[-2]).reshape((1,) * (rank - 2) + (-1, 1))
        parts.append(places <= rows + first)
    if window is not None:
        first = key.shape[-2] - query.shape[-2] if offset is None else _lead(offset, rank)
        rows = jnp.arange(query.shape[-2]).reshape((1,) * (rank - 2) + (-1, 1)) + first
        parts.append(jnp.abs(places - rows) <= window)
    if lengths is not None:
        parts.append(places < _lead(lengths, rank))
    if segments is not None:
        segments = jnp.asarray(segments)
        ones = (1,) * (rank - 1 - segments.ndim)
        of_keys = segments.reshape(*segments.shape[:-1], *ones, 1, segments.shape[-1])
        parts.append((of_keys == of_keys.swapaxes(-1, -2)) & (of_keys != 0))
    if mask is not None:
        parts.append(jnp.asarray(mask).reshape((1,) * (rank - jnp.ndim(mask)) + jnp.shape(mask)))
    if not parts:
        return None
    seen = parts[0]
    for part in parts[1:]:
        seen = seen & part
    return seen


def attention_weights(
    query: jax.Array, key: jax.Array, *, scale: float | None = None, seen: jax.Array | None = None
) -> jax.Array:
    """``softmax(scale q k')`` over what is seen: [..., query, key], in the accumulation dtype.

    A query that sees nothing has weights of zero.

    Args:
        query: [..., query, features].
        key: [..., key, features].
        scale: ``features ** -0.5`` if None.
        seen: bool[..., query, key] from :func:`attention_mask`, or None for all.

    >>> attention_weights(jnp.zeros((1, 2)), jnp.ones((4, 2)))
    Array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    scores = _scores(query, key, scale, seen)
    if scores.size == 0:
        return scores
    weights = jax.nn.softmax(scores, axis=-1)
    return weights if seen is None else jnp.where(seen, weights, jnp.zeros((), scores.dtype))


def _scores(
    query: jax.Array, key: jax.Array, scale: float | None, seen: jax.Array | None, bias: jax.Array | None = None
) -> jax.Array:
    """``scale q k' + bias`` in the accumulation dtype, its least number where nothing is seen."""
    wide = accumulation_dtype(query.dtype)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.einsum("...qd,...kd->...qk", query, key.astype(query.dtype), preferred_element_type=wide) * factor
    if bias is not None:
        scores = scores + bias.astype(wide)
    return scores if seen is None else jnp.where(seen, scores, jnp.asarray(jnp.finfo(wide).min, wide))


def scaled_dot_product_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    scale: float | None = None,
    causal: bool = False,
    offset: jax.Array | int | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    bias: jax.Array | None = None,
    segments: jax.Array | None = None,
    window: int | None = None,
    rate: float = 0.0,
    rng: Rng | None = None,
    implementation: str | None = None,
) -> jax.Array:
    """``softmax(scale q k' + bias + mask) v``: each query's mean of the values, weighted by its likeness to their keys.

    Args:
        query: [..., query, features].
        key: [..., key, features].
        value: [..., key, out].
        scale: ``features ** -0.5`` if None.
        causal: query i sees the keys up to ``offset + i``.
        offset: the place of the first query among the keys, int or int[...] (the first of the leading axes); if None,
            the queries are the last of the keys, which is right with all past keys in a cache. spaGO's mask is right
            only without a cache.
        lengths: int[...], how many keys are real, for the first of the leading axes: int[batch] for queries
            [batch, heads, query, features].
        mask: bool, broadcastable to [..., query, key]: what may be seen.
        bias: added to the scores, broadcastable to [..., query, key] (relative positions).
        segments: int[..., time], which text of a packed row each step belongs to, 0 for padding, for the first of the
            leading axes; a step sees the steps of its own text. Queries and keys are the same steps.
        window: how far a query sees to each side. Where the window is small beside the steps the plain path computes
            a band of blocks, whose memory grows with the steps and not with their square.
        rate: the share of weights that dropout sets to zero, with ``rng``.
        rng: randomness of the dropout, or None for none.
        implementation: ``plain``, ``xla`` (``jax.nn.dot_product_attention``), ``cudnn`` (its flash kernel: 16-bit
            floats on an NVIDIA GPU). None takes ``cudnn`` where default backend and shapes allow, else ``plain``.

    Returns:
        [..., query, out] in the dtype of ``query``; zeros for a query that sees nothing.

    Raises:
        InputError: for shapes that do not fit, an unknown implementation, or one that cannot do what is asked.

    Source: Vaswani et al., "Attention Is All You Need" (2017); spaGO ml/nn/attention.

    >>> one = jnp.array([[1.0], [2.0]])
    >>> scaled_dot_product_attention(0 * one, one, one, causal=True)
    Array([[1. ],
           [1.5]], dtype=float32)
    """
    _check(query, key, value, implementation)
    if key.shape[-2] == 0:
        return jnp.zeros(
            (*jnp.broadcast_shapes(query.shape[:-2], key.shape[:-2]), query.shape[-2], value.shape[-1]), query.dtype
        )
    if segments is not None and query.shape[-2] != key.shape[-2]:
        raise InputError(
            f"segments need queries and keys of the same steps, got {query.shape[-2]} queries, {key.shape[-2]} keys"
        )
    masks = {"causal": causal, "offset": offset, "lengths": lengths, "mask": mask, "segments": segments}
    if window is not None and bias is None and not causal and band_pays(query, key, mask, window):
        banded = band(query, key, value, lengths=lengths, mask=mask, segments=segments, window=window)
        y = scaled_dot_product_attention(
            banded.query, banded.key, banded.value, scale=scale, mask=banded.mask,
            rate=rate, rng=rng, implementation=implementation,
        )  # fmt: skip
        return unband(y, query.shape[-2])
    simple = (rng is None or rate == 0.0) and value.shape[-1] == key.shape[-1]
    square = not causal or (offset is None and query.shape[-2] == key.shape[-2])
    if implementation is None:
        masked = mask is not None or segments is not None or window is not None
        fits = simple and square and bias is None and flash_fits(query, key)
        # With a mask, cuDNN's backward pass wants even numbers of steps.
        fits = fits and not (masked and (query.shape[-2] % 2 or key.shape[-2] % 2))
        implementation = "cudnn" if fits else "plain"
    if implementation != "plain":
        if not (simple and square):
            raise InputError(
                f"implementation {implementation!r} takes no dropout, values of the keys' size, and a causal mask "
                "without a cache alone; use 'plain', or None to choose"
            )
        if mask is None and segments is None and window is None:
            return _by_jax(query, key, value, scale, causal, lengths, None, bias, implementation)
        seen = attention_mask(query, key, window=window, **masks)
        return _by_jax(query, key, value, scale, False, None, seen, bias, implementation)
    seen = attention_mask(query, key, window=window, **masks)
    scores = _scores(query, key, scale, seen, bias)
    # Divided by its sum after the product: [query, out] numbers instead of [query, key], and on a CPU a training step
    # of the whole function takes two thirds of the time. The maximum cancels, so it needs no gradient.
    raised = jnp.exp(scores - jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True)))
    total = jnp.sum(raised, axis=-1, keepdims=True)
    y = weighted_sum(dropout(raised, rate, rng), value) / total.astype(accumulation_dtype(value.dtype))
    if seen is not None:
        y = jnp.where(jnp.any(seen, axis=-1, keepdims=True), y, jnp.zeros((), y.dtype))
    return y.astype(query.dtype)


def weighted_sum(weights: jax.Array, value: jax.Array) -> jax.Array:
    """``sum_k weights[k] value[k]``: [..., query, key], [..., key, out] -> [..., query, out], summed in float32."""
    wide = accumulation_dtype(value.dtype)
    return jnp.einsum("...qk,...kv->...qv", weights.astype(value.dtype), value, preferred_element_type=wide)


def flash_fits(query: jax.Array, key: jax.Array) -> bool:
    """Whether cuDNN's flash attention takes these arrays: an NVIDIA GPU, 16-bit floats, whole heads of up to 128."""
    return (
        target_platform() == "gpu"
        and query.dtype == key.dtype
        and query.dtype in (jnp.bfloat16, jnp.float16)
        and query.ndim >= 4
        and query.shape[:-2] == key.shape[:-2]
        and query.shape[-1] % 8 == 0
        and query.shape[-1] <= 128
    )


def _by_jax(query, key, value, scale, causal: bool, lengths, seen, bias, implementation: Any) -> jax.Array:
    """``jax.nn.dot_product_attention``, which has time before heads and one batch axis."""
    lead = query.shape[:-2]
    heads = lead[-1] if len(lead) > 1 else 1
    batch = math.prod(lead[:-1] if len(lead) > 1 else lead)

    def laid(x: jax.Array) -> jax.Array:
        return x.astype(query.dtype).reshape(batch, heads, *x.shape[-2:]).swapaxes(1, 2)

    def scores_like(x: jax.Array | None) -> jax.Array | None:
        """[batch or 1, heads or 1, query, key] of what broadcasts to [..., query, key]."""
        if x is None:
            return None
        x = x.reshape((1,) * (query.ndim - x.ndim) + x.shape)
        of_heads = x.shape[-3] if len(lead) > 1 else 1
        shared = all(size == 1 for size in x.shape[: -3 if len(lead) > 1 else -2])
        outer = lead[:-1] if len(lead) > 1 else lead
        whole = x if shared else jnp.broadcast_to(x, (*outer, *x.shape[len(outer) :]))
        return jnp.broadcast_to(
            whole.reshape(1 if shared else batch, of_heads, *x.shape[-2:]),
            (1 if shared else batch, of_heads, query.shape[-2], key.shape[-2]),
        )

    options: dict[str, Any] = {}
    if lengths is not None:
        whole = jnp.broadcast_to(_lead(lengths, query.ndim)[..., 0, 0], lead).reshape(math.prod(lead) // heads, heads)[
            :, 0
        ]
        options["key_value_seq_lengths"] = whole.astype(jnp.int32)
        value = jnp.where(_lead(lengths, value.ndim) > 0, value, jnp.zeros((), value.dtype))
    y = jax.nn.dot_product_attention(
        laid(query),
        laid(key),
        laid(value),
        scores_like(bias if bias is None else bias.astype(query.dtype)),
        scores_like(seen),
        scale=scale,
        is_causal=causal,
        implementation=implementation,
        **options,
    )
    y = y.swapaxes(1, 2).reshape(*lead, query.shape[-2], value.shape[-1])
    if seen is not None:
        return jnp.where(jnp.any(seen, axis=-1, keepdims=True), y, jnp.zeros((), y.dtype))
    if lengths is None:
        return y
    return jnp.where(_lead(lengths, query.ndim) > 0, y, jnp.zeros((), y.dtype))


def linear_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    feature_map: Callable[[jax.Array], jax.Array] = positive_elu,
    lengths: jax.Array | None = None,
    eps: float = 1e-12,
) -> jax.Array:
    """``(phi(q)' S) / (phi(q)' z + eps)`` with ``S = sum_k phi(k) v'`` and ``z = sum_k phi(k)``: linear in the steps.

    Args:
        query: [..., query, features].
        key: [..., key, features].
        value: [..., key, out].
        feature_map: phi, whose values are not negative.
        lengths: int[...], how many keys are real.
        eps: keeps the denominator from zero.

    Returns:
        [..., query, out] in the dtype of ``query``.

    Raises:
        InputError: for shapes that do not fit.

    Source: Katharopoulos et al., "Transformers are RNNs" (2020); spaGO v0.7.0 LinearAttention.

    >>> linear_attention(jnp.zeros((1, 1)), jnp.zeros((2, 1)), jnp.array([[1.0], [2.0]]))
    Array([[1.5]], dtype=float32)
    """
    _check(query, key, value, None)
    wide = accumulation_dtype(query.dtype)
    keys, queries = feature_map(key.astype(wide)), feature_map(query.astype(wide))
    if lengths is not None:
        real = jnp.arange(key.shape[-2]).reshape((1,) * (key.ndim - 2) + (-1, 1)) < _lead(lengths, key.ndim)
        keys = jnp.where(real, keys, jnp.zeros((), wide))
    state = jnp.einsum("...kd,...kv->...dv", keys, value.astype(wide))
    total = jnp.sum(keys, axis=-2)
    read = jnp.einsum("...qd,...dv->...qv", queries, state)
    return (read / (jnp.einsum("...qd,...d->...q", queries, total)[..., None] + eps)).astype(query.dtype)


def _lead(value: jax.Array | int, rank: int) -> jax.Array:
    """A number a leading index, as an array of that rank: int[batch] -> int[batch, 1, 1, 1]."""
    value = jnp.asarray(value)
    return value.reshape(value.shape + (1,) * (rank - value.ndim)) if value.ndim else value


def _check(query: jax.Array, key: jax.Array, value: jax.Array, implementation: str | None) -> None:
    if implementation is not None and implementation not in IMPLEMENTATIONS:
        raise InputError(
            f"unknown implementation {implementation!r} of attention, {did_you_mean(implementation, IMPLEMENTATIONS)}"
        )
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[-2] != value.shape[-2]
    ):
        raise InputError(
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}: expected "
            "[..., query, features], [..., key, features] and [..., key, out]"
        )
