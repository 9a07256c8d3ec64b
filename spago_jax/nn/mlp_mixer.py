# SPDX-License-Identifier: BSD-2-Clause
"""The block of MLP-Mixer."""

import jax

from spago_jax.core import Array, Module, static
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation as function_of
from spago_jax.ops.activations import parse_activation


class FeedForward(Module):
    """``y = W_2 f(W_1 x + b_1) + b_2``: [..., in] -> [..., out].

    >>> FeedForward.init(jax.random.key(0), 4, 8, activation="gelu")(jax.numpy.ones((2, 4))).shape
    (2, 4)
    """

    expand: Linear
    contract: Linear
    activation: str = static(default="relu")

    @classmethod
    def init(
        cls, key: Array, features: int, hidden: int, *, out: int | None = None, activation: str = "relu"
    ) -> "FeedForward":
        """Xavier-uniform weights with the gain of the activation, biases of zeros; ``out`` is ``features`` if None.

        Raises:
            InputError: for a size below 1 or an unknown activation.
        """
        out = features if out is None else out
        check_sizes("FeedForward", features=features, hidden=hidden, out=out)
        activation = parse_activation(activation)
        first, second = jax.random.split(key)
        expand = Linear.init(first, features, hidden, activation=activation)
        return cls(expand, Linear.init(second, hidden, out), activation=activation)

    def __call__(self, x: Array) -> Array:
        """[..., in] -> [..., out]."""
        return self.contract(function_of(self.activation)(self.expand(x)))


class MixerBlock(Module):
    """``x = x + tokens(norm(x)')'``, then ``y = x + channels(norm(x))``: [..., steps, features], kept.

    ``tokens`` mixes the steps, so their number is fixed; ``channels`` mixes the features. Source: Tolstikhin et al.,
    "MLP-Mixer" (2021); spaGO nn/mlpmixer.

    >>> MixerBlock.init(jax.random.key(0), 4, steps=3)(jax.numpy.ones((3, 4))).shape
    (3, 4)
    """

    token_norm: LayerNorm
    tokens: FeedForward
    channel_norm: LayerNorm
    channels: FeedForward

    @classmethod
    def init(
        cls,
        key: Array,
        features: int,
        steps: int,
        *,
        token_hidden: int | None = None,
        channel_hidden: int | None = None,
        activation: str = "gelu",
        eps: float = 1e-5,
    ) -> "MixerBlock":
        """Hidden sizes are four times what is mixed, where they are not given.

        Raises:
            InputError: for a size below 1 or an unknown activation.
        """
        check_sizes("MixerBlock", features=features, steps=steps)
        first, second = jax.random.split(key)
        return cls(
            token_norm=LayerNorm.init(features, eps=eps),
            tokens=FeedForward.init(first, steps, token_hidden or 4 * steps, activation=activation),
            channel_norm=LayerNorm.init(features, eps=eps),
            channels=FeedForward.init(second, features, channel_hidden or 4 * features, activation=activation),
        )

    def __call__(self, x: Array) -> Array:
        """[..., steps, features], kept."""
        x = x + self.tokens(self.token_norm(x).swapaxes(-1, -2)).swapaxes(-1, -2)
        return x + self.channels(self.channel_norm(x))
