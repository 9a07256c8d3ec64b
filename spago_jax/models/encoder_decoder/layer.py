# SPDX-License-Identifier: BSD-2-Clause
"""One layer of an encoder or a decoder: attention, attention over the source, and a feed-forward block."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.initializers import normal
from spago_jax.models.attention import Attention, attend_step, joined, split
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig, StackConfig
from spago_jax.models.execution import Execution
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.nn.rms_norm import RMSNorm
from spago_jax.ops.attention import scaled_dot_product_attention
from spago_jax.ops.dropout import dropout

Norm = LayerNorm | RMSNorm


def init_norm(config: EncoderDecoderConfig, *lead: int) -> Norm:
    """A fresh norm of the config's kind, stacked along leading axes."""
    shape = (*lead, config.hidden)
    if config.family.root:
        return RMSNorm(weight=jnp.ones(shape), eps=config.eps)
    return LayerNorm(weight=jnp.ones(shape), bias=jnp.zeros(shape), eps=config.eps)


class Layer(Module):
    """``x + block(x)`` of each block, with a norm after the sum or before the block: [..., time, hidden], kept.

    The blocks are attention over the sequence itself, in a decoder attention over the source, and the feed-forward
    block ``W_2 f(W_1 x)``, or ``W_2 (f(W_g x) * W_1 x)`` where it has a gate.

    Source: Vaswani et al. (2017), Lewis et al. (2020), Raffel et al. (2020); spaGO v0.7.0 nlp/transformers/bart.
    """

    attention: Attention
    attention_norm: Norm
    memory_attention: Attention | None
    memory_norm: Norm | None
    gate: Linear | None
    up: Linear
    down: Linear
    norm: Norm
    config: EncoderDecoderConfig = static()
    sizes: StackConfig = static()

    @classmethod
    def init(cls, key: Array, config: EncoderDecoderConfig, *, decodes: bool) -> "Layer":
        """All layers of a stack, each array with a leading axis of layers; normal weights, biases of zeros."""
        keys = iter(jax.random.split(key, 11))
        sizes = config.decoder if decodes else config.encoder
        rows = sizes.layers
        inner = sizes.heads * (config.head_size or config.hidden // sizes.heads)

        def linear(out: int, into: int, factor: float = 1.0) -> Linear:
            weight = normal(next(keys), (rows, out, into), factor * config.std(into))
            return Linear(weight=weight, bias=jnp.zeros((rows, out)) if config.family.biases else None)

        def attention() -> Attention:
            # Scores that are not divided by the root of a head's size begin as small as if they were.
            factor = 1.0 if config.family.scores_scale else config.head_size**-0.5
            query = linear(inner, config.hidden, factor)
            key, value = linear(inner, config.hidden), linear(inner, config.hidden)
            return Attention(query, key, value, linear(config.hidden, inner))

        return cls(
            attention=attention(),
            attention_norm=init_norm(config, rows),
            memory_attention=attention() if decodes else None,
            memory_norm=init_norm(config, rows) if decodes else None,
            gate=linear(sizes.intermediate, config.hidden) if config.gated else None,
            up=linear(sizes.intermediate, config.hidden),
            down=linear(config.hidden, sizes.intermediate),
            norm=init_norm(config, rows),
            config=config,
            sizes=sizes,
        )

    def __call__(
        self,
        x: Array,
        memory: Array | None = None,
        *,
        memory_seen: dict[str, Any] | None = None,
        rng: Rng | None = None,
        how: Execution | None = None,
        **seen,
    ) -> Array:
        """[..., time, hidden], kept.

        Args:
            x: the states of the layer before.
            memory: [..., source, hidden], those of the source; only a decoder reads them.
            memory_seen: what is seen of them, for ``scaled_dot_product_attention``.
            rng: randomness of the dropout.
            how: of the execution.
            seen: what each token sees of its own sequence, for the same.
        """
        how = how or Execution()
        options: dict[str, Any] = {
            "heads": self.sizes.heads, "rate": self.config.attention_dropout, "scale": self._scale, "how": how,
        }  # fmt: skip

        def attend(x: Array) -> Array:
            return self.attention(x, rng=child(rng, "attention"), **options, **seen)

        def read(x: Array) -> Array:
            assert self.memory_attention is not None
            return self.memory_attention(x, memory, rng=child(rng, "memory"), **options, **(memory_seen or {}))

        return self._blocks(x, attend, read, rng, how)

    def step(
        self,
        x: Array,
        keys: Array,
        values: Array,
        memory: tuple[Array, Array],
        *,
        position: Array,
        seen: Array,
        bias: Array | None = None,
        memory_seen: Array | None = None,
        how: Execution,
    ) -> tuple[Array, Array, Array]:
        """One token of every beam, with the keys and values of those before it.

        Args:
            x: [batch, beams, hidden].
            keys: [groups, heads, size, time * members], see ``State``.
            values: [groups, heads, time * members, size].
            memory: the source's keys and values, [batch, heads, source, size] of both.
            position: int, the token's place, where its key and value are written.
            seen: bool[groups or 1, 1, members, time * members], the tokens of its group that each sees.
            bias: [heads, 1, time * members], added to the scores.
            memory_seen: bool[batch, 1, 1, source], which tokens of the source are real; None: all.
            how: of the execution.

        Returns:
            [batch, beams, hidden], and the keys and values with those of the token.
        """
        assert self.memory_attention is not None
        heads, own, other = self.sizes.heads, self.attention, self.memory_attention
        groups, _, size, _ = keys.shape
        members, zero = seen.shape[-2], jnp.zeros((), position.dtype)

        def attend(x: Array) -> Array:
            nonlocal keys, values
            query, key, value = (
                split(of(x).reshape(groups, members, heads * size), heads).astype(keys.dtype)
                for of in (own.query, own.key, own.value)
            )  # [groups, heads, members, size] of each
            keys = lax.dynamic_update_slice(keys, key.swapaxes(2, 3), (zero, zero, zero, position * members))
            values = lax.dynamic_update_slice(values, value, (zero, zero, position * members, zero))
            # Without it the write is fused into the sums that read it, and the whole is copied for each of them.
            keys, values = lax.optimization_barrier((keys, values))
            y = attend_step(query, keys, values, scale=self._scale, seen=seen, bias=bias)
            return own.output(joined(y).reshape(*x.shape[:-1], heads * size).astype(x.dtype))

        def read(x: Array) -> Array:
            y = scaled_dot_product_attention(split(other.query(x), heads), *memory, scale=self._scale, mask=memory_seen)
            return other.output(joined(y))

        return self._blocks(x, attend, read, None, how), keys, values

    @property
    def _scale(self) -> float | None:
        return None if self.config.family.scores_scale else 1.0

    def _blocks(
        self,
        x: Array,
        attend: Callable[[Array], Array],
        read: Callable[[Array], Array],
        rng: Rng | None,
        how: Execution,
    ) -> Array:
        def plus(x: Array, norm: Norm, block: Callable[[Array], Array], rng: Rng | None) -> Array:
            first = self.config.family.norm_first
            y = block(how.settle(norm(x)) if first else x)
            x = how.settle(x + dropout(y, self.config.dropout, rng))
            return x if first else how.settle(norm(x))

        def feed(x: Array) -> Array:
            y = self.up(x)
            function = self.config.function()
            y = function(y) if self.gate is None else function(self.gate(x)) * y
            return self.down(how.settle(dropout(y, self.config.activation_dropout, child(rng, "inside"))))

        x = plus(x, self.attention_norm, attend, child(rng, "attended"))
        if self.memory_norm is not None:
            x = plus(x, self.memory_norm, read, child(rng, "read"))
        return plus(x, self.norm, feed, child(rng, "fed"))
