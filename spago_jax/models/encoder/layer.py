# SPDX-License-Identifier: BSD-2-Clause
"""One layer of an encoder: attention and a feed-forward block, a layer norm after each sum."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.initializers import normal
from spago_jax.models.attention import Attention
from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.execution import Execution
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.ops.dropout import dropout


class Layer(Module):
    """``a = LN(x + attention(x))``, ``y = LN(a + W_2 f(W_1 a))``: [..., time, hidden], kept.

    Source: Vaswani et al. (2017), Devlin et al. (2019); spaGO v0.7.0 nlp/transformers/bert.
    """

    attention: Attention
    attention_norm: LayerNorm
    up: Linear
    down: Linear
    norm: LayerNorm
    config: EncoderConfig = static()

    @classmethod
    def init(cls, key: Array, config: EncoderConfig) -> "Layer":
        """All layers of a config, each array with a leading axis of layers; normal weights, biases of zeros."""
        keys = iter(jax.random.split(key, 6))
        rows = config.stacked

        def linear(out: int, into: int) -> Linear:
            weight = normal(next(keys), (rows, out, into), config.initializer_range)
            return Linear(weight=weight, bias=jnp.zeros((rows, out)))

        def norm() -> LayerNorm:
            shape = (rows, config.hidden)
            return LayerNorm(weight=jnp.ones(shape), bias=jnp.zeros(shape), eps=config.eps)

        return cls(
            attention=Attention(*(linear(config.hidden, config.hidden) for _ in range(4))),
            attention_norm=norm(),
            up=linear(config.intermediate, config.hidden),
            down=linear(config.hidden, config.intermediate),
            norm=norm(),
            config=config,
        )

    def __call__(self, x: Array, *, rng: Rng | None = None, how: Execution | None = None, **seen) -> Array:
        """[..., time, hidden], kept; ``seen`` goes to ``scaled_dot_product_attention``."""
        config, how = self.config, how or Execution()
        y = self.attention(
            x, heads=config.heads, rate=config.attention_dropout, rng=child(rng, "attention"), how=how, **seen
        )
        x = how.settle(x + dropout(y, config.dropout, child(rng, "attended")))
        x = how.settle(self.attention_norm(x))
        y = self.down(how.settle(config.function()(self.up(x))))
        y = how.settle(x + dropout(y, config.dropout, child(rng, "fed")))
        return how.settle(self.norm(y))
