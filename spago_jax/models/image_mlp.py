# SPDX-License-Identifier: BSD-2-Clause
"""A multi-layer perceptron for images."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, buffer, child, static, tap
from spago_jax.flow import Network
from spago_jax.models.flows import FlowEncoder
from spago_jax.nn.linear import Linear
from spago_jax.ops.activations import activation, parse_activation
from spago_jax.ops.dropout import dropout


class MLPClassifier(Module):
    """``h_0 = (x - mean) / std; h_i = f(W_i h_{i-1} + b_i); logits = W h_n + b``, or a flow from h_0 to h_n.

    Pixels are [..., height, width], any integer or float type; ``mean`` and ``std`` are those of the training images.
    """

    hidden: tuple[Linear, ...] | Network
    output: Linear
    mean: Array = buffer()
    std: Array = buffer()
    activation: str = static(default="relu")
    dropout: float = static(default=0.0)
    input_dropout: float = static(default=0.0)
    shift: int = static(default=0)

    @classmethod
    def init(
        cls,
        key: Array,
        pixels: int,
        classes: int,
        *,
        hidden: tuple[int, ...] = (256,),
        flow: FlowEncoder | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        shift: int = 0,
    ) -> "MLPClassifier":
        """A fresh model for images of so many pixels; a flow takes the place of the hidden layers.

        Raises:
            InputError: for an unknown activation.
        """
        layers: tuple[Linear, ...] | Network
        if flow is not None:
            keys = jax.random.split(key, 2)
            layers, features = flow.init(keys[0], f"f32[batch, {pixels}]")
        else:
            sizes = (pixels, *hidden)
            keys, features = jax.random.split(key, len(sizes)), sizes[-1]
            layers = tuple(Linear.init(k, i, o) for k, i, o in zip(keys[:-1], sizes[:-1], sizes[1:], strict=True))
        return cls(
            hidden=layers,
            output=Linear.init(keys[-1], features, classes),
            mean=jnp.zeros(()),
            std=jnp.ones(()),
            activation=parse_activation(activation),
            dropout=dropout,
            input_dropout=input_dropout,
            shift=shift,
        )

    def __call__(self, images: Array, *, rng: Rng | None = None) -> Array:
        """[..., height, width] -> logits [..., classes]; with ``rng``, images move and units drop as in training."""
        if rng is not None and self.shift:
            images = shift_images(images, self.shift, rng["shift"].key())
        x = ((images.astype(self.mean.dtype) - self.mean) / self.std).reshape(*images.shape[:-2], -1)
        x = dropout(x.astype(self.output.weight.dtype), self.input_dropout, child(rng, "input"))
        if isinstance(self.hidden, Network):
            return tap("logits", self.output(self.hidden(x, rng=child(rng, "hidden"))))
        act = activation(self.activation)
        for number, layer in enumerate(self.hidden):
            x = dropout(tap(f"hidden.{number}", act(layer(x))), self.dropout, child(rng, number))
        return tap("logits", self.output(x))


def shift_images(images: Array, pixels: int, key: Array) -> Array:
    """Moves each image of [batch, height, width] by up to ``pixels`` either way; zeros come in from the side."""
    batch, height, width = images.shape
    padded = jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels)))
    offsets = jax.random.randint(key, (batch, 2), 0, 2 * pixels + 1)

    def cut(image: Array, offset: Array) -> Array:
        return jax.lax.dynamic_slice(image, (offset[0], offset[1]), (height, width))

    return jax.vmap(cut)(padded, offsets)
