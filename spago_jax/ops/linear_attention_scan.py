# SPDX-License-Identifier: BSD-2-Clause
"""Causal linear attention over a sequence, resumable from its state, in chunks.

    S[t] = S[t-1] + k[t] v[t]',  z[t] = z[t-1] + k[t],  y[t] = S[t]' q[t] / (q[t] . z[t] + 1e-12)

Within a chunk of steps this is attention with a causal mask, ``(Q K' * mask) V``; the past comes in by the state. So a
sequence costs a few large products instead of one outer product a step. Source: Katharopoulos et al. (2020).
"""

import jax
import jax.numpy as jnp
from jax import lax

CHUNK = 64
EPS = 1e-12


def read(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """``numerator / (denominator + 1e-12)``; zero, with no gradient, where nothing has been written yet."""
    some = (denominator > 0)[..., None]
    safe = jnp.where(some, denominator[..., None] + EPS, jnp.ones((), denominator.dtype))
    return jnp.where(some, numerator, jnp.zeros((), numerator.dtype)) / safe


def linear_attention_scan(
    keys: jax.Array,
    values: jax.Array,
    queries: jax.Array,
    memory: jax.Array,
    normaliser: jax.Array,
    *,
    reverse: bool = False,
    chunk: int = CHUNK,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Attention of each step to itself and all before it.

    Args:
        keys: [time, batch, key], through the feature map; zeros where nothing is to be written.
        values: [time, batch, value].
        queries: [time, batch, key], through the feature map.
        memory: the state's S [batch, key, value].
        normaliser: the state's z [batch, key].
        reverse: from the last step to the first.
        chunk: steps per chunk.

    Returns:
        ys [time, batch, value], S and z after the last step read.
    """
    time, batch, _ = keys.shape
    chunk = min(chunk, time)
    count = -(-time // chunk)
    extra = count * chunk - time

    def cut(x: jax.Array) -> jax.Array:
        """[time, batch, k] -> [count, batch, chunk, k], read forwards."""
        x = jnp.flip(x, 0) if reverse else x
        x = jnp.pad(x, ((0, extra), (0, 0), (0, 0)))
        return x.reshape(count, chunk, batch, x.shape[-1]).swapaxes(1, 2)

    causal = jnp.tril(jnp.ones((chunk, chunk), keys.dtype))

    def body(state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array, jax.Array]):
        memory, normaliser = state
        k, v, q = inputs
        weights = jnp.einsum("bqi,bki->bqk", q, k) * causal[None]
        numerator = jnp.einsum("bqk,bkj->bqj", weights, v) + jnp.einsum("bqi,bij->bqj", q, memory)
        denominator = jnp.sum(weights, axis=-1) + jnp.einsum("bqi,bi->bq", q, normaliser)
        state = memory + jnp.einsum("bki,bkj->bij", k, v), normaliser + jnp.sum(k, axis=1)
        return state, read(numerator, denominator)

    (memory, normaliser), ys = lax.scan(body, (memory, normaliser), (cut(keys), cut(values), cut(queries)))
    ys = ys.swapaxes(1, 2).reshape(count * chunk, batch, values.shape[-1])[:time]
    return (jnp.flip(ys, 0) if reverse else ys), memory, normaliser
