# SPDX-License-Identifier: BSD-2-Clause
"""The attention of pre-trained transformers, over a sequence's own states or over those of another."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child
from spago_jax.models.execution import Execution
from spago_jax.nn.linear import Linear
from spago_jax.ops.attention import scaled_dot_product_attention
from spago_jax.ops.linear import accumulation_dtype


class Attention(Module):
    """``W_o softmax(scale q k' + bias) v``, with a matrix each for queries, keys and values."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear

    def __call__(
        self,
        x: Array,
        memory: Array | None = None,
        *,
        heads: int,
        rate: float = 0.0,
        rng: Rng | None = None,
        how: Execution,
        **seen,
    ) -> Array:
        """[..., time, hidden], kept; ``seen`` goes to ``scaled_dot_product_attention``.

        Args:
            x: [..., time, hidden], the states that ask.
            memory: [..., source, hidden], the states that are read; ``x`` if None.
            heads: how many.
            rate: of the dropout of the weights.
            rng: its randomness.
            how: of the execution.
            seen: what each query sees.
        """
        keys, values = self.project(x if memory is None else memory, heads)
        y = scaled_dot_product_attention(
            split(self.query(x), heads),
            keys,
            values,
            rate=rate,
            rng=child(rng, "weights"),
            implementation=how.attention,
            **seen,
        )
        return self.output(joined(y))

    def project(self, memory: Array, heads: int) -> tuple[Array, Array]:
        """The keys and the values of some states: [..., time, hidden] -> [..., heads, time, size] of both."""
        return split(self.key(memory), heads), split(self.value(memory), heads)


def split(y: Array, heads: int) -> Array:
    """[..., time, features] -> [..., heads, time, features / heads]."""
    return y.reshape(*y.shape[:-1], heads, y.shape[-1] // heads).swapaxes(-2, -3)


def joined(y: Array) -> Array:
    """[..., heads, time, size] -> [..., time, heads * size]."""
    y = y.swapaxes(-2, -3)
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def attend_step(
    query: Array, keys: Array, values: Array, *, scale: float | None, seen: Array, bias: Array | None = None
) -> Array:
    """``softmax(scale q k' + bias) v`` of the next tokens of a group of texts: [groups, heads, members, size].

    Args:
        query: [groups, heads, members, size].
        keys: [groups, heads, size, tokens]: with the tokens last, XLA's CPU backend multiplies them as they lie.
        values: [groups, heads, tokens, size].
        scale: ``size ** -0.5`` if None.
        seen: bool, broadcastable to [groups, heads, members, tokens], which tokens of the group each sees.
        bias: added to the scores, likewise.
    """
    wide = accumulation_dtype(query.dtype)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.einsum("ghms,ghst->ghmt", query * factor, keys, preferred_element_type=wide)
    if bias is not None:
        scores = scores + bias.astype(wide)
    weights = jax.nn.softmax(jnp.where(seen, scores, jnp.finfo(wide).min), axis=-1)
    y = jnp.einsum("ghmt,ghts->ghms", weights.astype(values.dtype), values, preferred_element_type=wide)
    return y.astype(query.dtype)
