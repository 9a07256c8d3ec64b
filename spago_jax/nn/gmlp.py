# SPDX-License-Identifier: BSD-2-Clause
"""gMLP and its spatial gating unit."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.core.initializers import uniform
from spago_jax.errors import InputError
from spago_jax.nn.convolution import Convolution1x1
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.nn.residual import PreNorm
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation as function_of
from spago_jax.ops.activations import parse_activation
from spago_jax.ops.masks import zero_padding


class SpatialGatingUnit(Module):
    """``y = r f(P norm(g))`` with ``[r; g] = x`` halved: [..., steps, features] -> [..., steps, features / 2].

    ``P`` (``projection``) mixes the steps, so their number is fixed. Source: Liu et al., "Pay Attention to MLPs"
    (2021); spaGO nn/sgu.

    >>> SpatialGatingUnit.init(jax.random.key(0), 6, steps=4)(jnp.ones((4, 6))).shape
    (4, 3)
    """

    norm: LayerNorm
    projection: Convolution1x1
    activation: str = static(default="identity")

    @classmethod
    def init(
        cls, key: Array, features: int, steps: int, *, activation: str = "identity", scale: float = 1e-3
    ) -> "SpatialGatingUnit":
        """Weights in U(-scale / steps, scale / steps) and a bias of ones: near ``y = r`` at first.

        Raises:
            InputError: for a size below 1, an odd number of features, or an unknown activation.
        """
        check_sizes("SpatialGatingUnit", features=features, steps=steps)
        if features % 2:
            raise InputError(f"SpatialGatingUnit: features is {features}, expected an even number to halve")
        projection = Convolution1x1(weight=uniform(key, (steps, steps), scale / steps), bias=jnp.ones(steps))
        return cls(LayerNorm.init(features // 2), projection, activation=parse_activation(activation))

    @property
    def steps(self) -> int:
        """How many steps it mixes."""
        return self.projection.weight.shape[1]

    def __call__(self, x: Array) -> Array:
        """[..., steps, features] -> [..., steps, features / 2].

        Raises:
            InputError: for another number of steps.
        """
        if x.ndim < 2 or x.shape[-2] != self.steps:
            raise InputError(f"x has shape {tuple(x.shape)}, expected [..., {self.steps}, features]: pad it with zeros")
        kept, gate = jnp.split(x, 2, axis=-1)
        return kept * function_of(self.activation)(self.projection(self.norm(gate)))


class GatedBlock(Module):
    """``y = W_2 SGU(gelu(W_1 x + b_1)) + b_2``, what gMLP repeats: [..., steps, features], kept."""

    expand: Linear
    gating: SpatialGatingUnit
    contract: Linear
    activation: str = static(default="gelu")

    def __call__(self, x: Array) -> Array:
        """[..., steps, features], kept."""
        return self.contract(self.gating(function_of(self.activation)(self.expand(x))))


class GatedMLP(Module):
    """gMLP, ``x = x + block(norm(x))`` some times: [..., time, features], kept, for up to ``steps`` steps.

    What is missing to ``steps``, or lies beyond a length, is zeros. spaGO nn/gmlp gives all ``steps`` outputs, has
    GELU by its tanh approximation (``gelu_tanh``) and, in v0.7.0, an eps of 1e-12. Source: Liu et al. (2021).

    >>> GatedMLP.init(jax.random.key(0), 4, steps=6, depth=2)(jnp.ones((5, 4))).shape
    (5, 4)
    """

    layers: tuple[PreNorm, ...]

    @classmethod
    def init(
        cls,
        key: Array,
        features: int,
        steps: int,
        depth: int,
        *,
        expansion: int = 4,
        activation: str = "gelu",
        gate_activation: str = "identity",
    ) -> "GatedMLP":
        """Xavier-uniform weights, biases of zeros, gating units that are near the identity.

        Raises:
            InputError: for a size below 1, an odd ``features * expansion``, or an unknown activation.
        """
        check_sizes("GatedMLP", features=features, steps=steps, depth=depth, expansion=expansion)
        activation = parse_activation(activation)
        hidden = features * expansion
        layers = []
        for k in jax.random.split(key, depth):
            expand, gating, contract = jax.random.split(k, 3)
            block = GatedBlock(
                Linear.init(expand, features, hidden, activation=activation),
                SpatialGatingUnit.init(gating, hidden, steps, activation=gate_activation),
                Linear.init(contract, hidden // 2, features),
                activation=activation,
            )
            layers.append(PreNorm(function=block, norm=LayerNorm.init(features)))
        return cls(layers=tuple(layers))

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, features] and int[...] -> [..., time, features].

        Raises:
            InputError: for more steps than the layer has.
        """
        steps, time = self.layers[0].function.gating.steps, x.shape[-2]
        if time > steps:
            raise InputError(f"x has {time} steps of time, and this GatedMLP was made for up to {steps}: cut x")
        x = jnp.pad(zero_padding(x, lengths), [(0, 0)] * (x.ndim - 2) + [(0, steps - time), (0, 0)])
        for layer in self.layers:
            x = layer(x)
        return x[..., :time, :]
