# SPDX-License-Identifier: BSD-2-Clause
"""ModernBERT: rotary positions, windows in most layers, gated feed-forward blocks, norms before them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.errors import InputError
from spago_jax.models.encoder.config import ACTIVATIONS
from spago_jax.models.encoder.embeddings import places, rows_of
from spago_jax.models.encoder.encoder import visible
from spago_jax.models.execution import Execution, LayerStack, current_execution, run_layers
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.ops.attention import scaled_dot_product_attention
from spago_jax.ops.dropout import dropout
from spago_jax.ops.rotary import rotary_angles, rotate

Angles = tuple[Array, Array]


class ModernEmbeddings(Module):
    """``LN(word[id])``: int[..., time] -> [..., time, hidden]."""

    words: Array
    norm: LayerNorm


class ModernLayer(Module):
    """``a = x + W_o attention(LN(x))``, ``y = a + W_2 (f(g) * h)`` with ``[g; h] = W_1 LN(a)``: [..., time, hidden].

    All layers of a model are stacked, each array with a leading axis; ``attention_norm`` has one row less, since the
    first layer has none. Source: Warner et al. (2024).
    """

    attention_norm: LayerNorm | None
    projections: Linear
    output: Linear
    norm: LayerNorm
    up: Linear
    down: Linear
    config: ModernBertConfig = static()

    @classmethod
    def init(cls, key: Array, config: ModernBertConfig) -> "ModernLayer":
        """All layers of a config: truncated normal weights, smaller ones for what is added to the sum."""
        keys = iter(jax.random.split(key, 4))
        rows, size, std = config.layers, config.hidden, config.initializer_range
        small = std / math.sqrt(2.0 * rows)

        def linear(out: int, into: int, std: float, bias: bool) -> Linear:
            weight = cut_normal(next(keys), (rows, out, into), std, config.initializer_cutoff)
            return Linear(weight=weight, bias=jnp.zeros((rows, out)) if bias else None)

        def norm(count: int) -> LayerNorm:
            bias = jnp.zeros((count, size)) if config.norm_bias else None
            return LayerNorm(weight=jnp.ones((count, size)), bias=bias, eps=config.eps)

        return cls(
            attention_norm=norm(rows - 1) if rows > 1 else None,
            projections=linear(3 * size, size, std, config.attention_bias),
            output=linear(size, size, small, config.attention_bias),
            norm=norm(rows),
            up=linear(2 * config.intermediate, size, std, config.mlp_bias),
            down=linear(size, config.intermediate, small, config.mlp_bias),
            config=config,
        )

    def attend(self, x: Array, angles: Angles, *, rng: Rng | None, how: Execution, **seen: Any) -> Array:
        """Multi-head attention with turned queries and keys: [..., time, hidden], kept."""
        heads = self.config.heads

        def split(y: Array) -> Array:
            return y.reshape(*y.shape[:-1], heads, y.shape[-1] // heads).swapaxes(-2, -3)

        query, key, value = (split(y) for y in jnp.split(self.projections(x), 3, axis=-1))
        y = scaled_dot_product_attention(
            rotate(query, *angles),
            rotate(key, *angles),
            value,
            rate=self.config.attention_dropout,
            rng=child(rng, "weights"),
            implementation=how.attention,
            **seen,
        )
        return self.output(y.swapaxes(-2, -3).reshape(x.shape))

    def feed(self, x: Array, *, rng: Rng | None, how: Execution) -> Array:
        """The gated block: [..., time, hidden], kept."""
        inside, gate = jnp.split(self.up(x), 2, axis=-1)
        inside = how.settle(ACTIVATIONS[self.config.activation](inside) * gate)
        return self.down(dropout(inside, self.config.mlp_dropout, child(rng, "fed")))


class ModernBert(Module, LayerStack):
    """Texts to a state per token: int[..., time] -> [..., time, hidden]. Source: Warner et al. (2024).

    >>> config = ModernBertConfig(vocabulary=9, hidden=8, layers=2, heads=2, intermediate=8, padding=0)
    >>> encoder = ModernBert.init(jax.random.key(0), config)
    >>> encoder(jnp.array([[2, 5, 3]])).shape
    (1, 3, 8)
    """

    embeddings: ModernEmbeddings
    layers: ModernLayer
    norm: LayerNorm
    config: ModernBertConfig = static()

    @classmethod
    def init(cls, key: Array, config: ModernBertConfig) -> "ModernBert":
        """Truncated normal weights, zeros for the pad's row, gains of ones."""
        first, second = jax.random.split(key)
        shape = (config.vocabulary, config.hidden)
        words = cut_normal(first, shape, config.initializer_range, config.initializer_cutoff)
        if config.padding is not None:
            words = words.at[config.padding].set(0.0)

        def norm() -> LayerNorm:
            return LayerNorm.init(config.hidden, eps=config.eps, bias=config.norm_bias)

        return cls(
            embeddings=ModernEmbeddings(words=words, norm=norm()),
            layers=ModernLayer.init(second, config),
            norm=norm(),
            config=config,
        )

    def __call__(
        self,
        ids: Array,
        *,
        lengths: Array | None = None,
        mask: Array | None = None,
        positions: Array | None = None,
        segments: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Array:
        """int[..., time] -> [..., time, hidden]; the arguments are those of ``Encoder``, without token types.

        Raises:
            InputError: for ids that are not integers, or lengths beside a mask.
        """
        inputs = {"lengths": lengths, "mask": mask, "positions": positions, "segments": segments}
        return self._run(ids, inputs, rng, execution, collect=False)[-1]

    def all_states(self, ids: Array, *, rng: Rng | None = None, execution: Execution | None = None, **inputs) -> Array:
        """The embeddings' output and that of every layer, of the last one normed: [layers + 1, ..., time, hidden].

        The arguments are those of a call.
        """
        first, rest, last = self._run(ids, inputs, rng, execution, collect=True)
        return jnp.concatenate([first[None], rest[:-1], last[None]])

    def _run(
        self, ids: Array, inputs: dict[str, Any], rng: Rng | None, execution: Execution | None, *, collect: bool
    ) -> tuple[Array, Any, Array]:
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError(f"token ids have dtype {ids.dtype}, expected integers")
        how, config = current_execution(execution).resolved(separate=False, trains=rng is not None), self.config
        seen = visible(inputs.get("lengths"), inputs.get("mask"), inputs.get("segments"))
        positions, segments = inputs.get("positions"), inputs.get("segments")
        if positions is None:
            positions = jnp.arange(ids.shape[-1]) if segments is None else places(ids, None, segments)
        size = config.hidden // config.heads
        of_heads = positions[..., None, :]
        full = rotary_angles(of_heads, size, theta=config.full_theta, dtype=self._dtype)
        local = rotary_angles(of_heads, size, theta=config.local_theta, dtype=self._dtype)
        first = how.settle(self.embeddings.norm(rows_of(self.embeddings.words, ids, config.padding)))
        first = dropout(first, config.dropout, child(rng, "embeddings"))
        is_full = jnp.asarray(config.sees_all)

        def step(layer: ModernLayer, x: Array, number: int | Array) -> Array:
            own = child(rng, "layer")
            own = None if own is None else own.at(number)

            def attend(x: Array, angles: Angles, window: int | None) -> Array:
                return layer.attend(x, angles, rng=child(own, "attention"), how=how, window=window, **seen)

            y = x
            if layer.attention_norm is not None and not (isinstance(number, int) and number == 0):
                y = how.settle(layer.attention_norm(x))
            if isinstance(number, int):
                whole = config.sees_all[number]
                y = attend(y, full, None) if whole else attend(y, local, config.window)
            else:
                y = jnp.where(number == 0, x, y)
                y = lax.cond(
                    is_full[number], lambda y: attend(y, full, None), lambda y: attend(y, local, config.window), y
                )
            x = how.settle(x + dropout(y, config.attention_dropout, child(own, "attended")))
            return how.settle(x + layer.feed(how.settle(layer.norm(x)), rng=child(own, "feed"), how=how))

        order = [(row,) for row in range(config.layers)]
        last, rest = run_layers(step, self._padded_layers(), first, order, how, collect=collect)
        return first, rest, how.settle(self.norm(last))

    @property
    def _dtype(self) -> Any:
        return self.embeddings.words.dtype

    def _padded_layers(self) -> ModernLayer:
        """The layers with a row for the norm that the first one does not have."""
        norm = self.layers.attention_norm
        if norm is None:
            return self.layers
        return self.layers.replace(attention_norm=jax.tree.map(lambda a: jnp.concatenate([a[:1], a]), norm))


def cut_normal(key: Array, shape: tuple[int, ...], std: float, cutoff: float) -> Array:
    """Normal numbers of at most ``cutoff`` standard deviations."""
    return std * jax.random.truncated_normal(key, -cutoff, cutoff, shape)
