# SPDX-License-Identifier: BSD-2-Clause
"""Attention."""

import jax.numpy as jnp

from spago_jax import nn
from spago_jax.core import Array
from spago_jax.nn.catalogue.entry import Entry


def _cross(model: nn.CrossAttention, x: Array, memory: Array, lengths: Array | None = None) -> Array:
    """The lengths are the memory's."""
    return model(x, memory, lengths)


def _stepwise(model: nn.MultiHeadAttention, x: Array, lengths: Array | None = None) -> Array:
    """All steps through a cache, a prompt of two and then each by itself."""
    cache = model.initial_cache(tuple(x.shape[:-2]), x.shape[-2], x.dtype)
    outputs = []
    for start, stop in [(0, min(2, x.shape[-2])), *((t, t + 1) for t in range(2, x.shape[-2]))]:
        y, cache = model.step(jnp.asarray(x[..., start:stop, :]), cache)
        outputs.append(y)
    return jnp.concatenate(outputs, axis=-2)


ENTRIES = (
    Entry(
        "self_attention",
        lambda key: nn.SelfAttention.init(key, 6, key_features=3, out_features=4, causal=True),
        ("f32[batch, time, 6]",),
        "y = softmax(scale q k') v, q = W_q x + b_q, k = W_k x + b_k, v = W_v x + b_v",
        "Vaswani et al. (2017)",
        "nn/attention/selfattention",
        lengths=True,
    ),
    Entry(
        "cross_attention",
        lambda key: nn.CrossAttention.init(key, 6, key_features=3, out_features=4),
        ("f32[batch, other, 6]", "f32[batch, time, 6]"),
        "y = softmax(scale q k') v, q of x, k and v of a memory",
        "Vaswani et al. (2017)",
        "nn/attention/selfattention CrossAttention",
        lengths=True,
        call=_cross,
    ),
    Entry(
        "multi_head_attention",
        lambda key: nn.MultiHeadAttention.init(key, 6, 2, rate=0.5),
        ("f32[batch, time, 6]",),
        "y = W_o [head_1; ...; head_h] + b_o, head = softmax(q k' / sqrt(d)) v",
        "Vaswani et al. (2017)",
        "nn/attention/multiheadattention",
        lengths=True,
        random=True,
    ),
    Entry(
        "cached_attention",
        lambda key: nn.MultiHeadAttention.init(key, 6, 2, causal=True),
        ("f32[batch, time, 6]",),
        "y_t = W_o [heads over x_0 ... x_t] + b_o, step by step over a cache",
        "Vaswani et al. (2017)",
        "nn/attention/multiheadattention",
        call=_stepwise,
    ),
    Entry(
        "linear_attention",
        lambda key: nn.LinearAttention.init(key, 6, key_features=3, out_features=4),
        ("f32[batch, time, 6]",),
        "y = (phi(q)' sum phi(k) v') / (phi(q)' sum phi(k)), phi(x) = elu(x) + 1",
        "Katharopoulos et al. (2020)",
        "nn/attention LinearAttention",
        lengths=True,
    ),
    Entry(
        "lsh_attention",
        lambda key: nn.LSHAttention.init(key, 6, key_features=3, out_features=4, buckets=4),
        ("f32[batch, time, 6]",),
        "y = softmax over the bucket(scale q k') v, k = q / |q|, bucket = argmax [R' q; -R' q]",
        "Kitaev et al. (2020)",
        "nn/attention/lshattention",
        lengths=True,
    ),
    Entry(
        "synthetic_attention",
        lambda key: nn.SyntheticAttention.init(key, 6, hidden=5, out_features=4, max_length=8),
        ("f32[batch, time, 6]",),
        "y_i = sum_j softmax_j(W_j relu(W_h x_i + b_h)) v_j",
        "Tay et al. (2020)",
        "nn/attention/syntheticattention",
        lengths=True,
    ),
)
