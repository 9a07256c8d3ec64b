# SPDX-License-Identifier: BSD-2-Clause
"""Convolution over pictures."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.convolution import check_groups, kept
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import parse_activation
from spago_jax.ops.conv import PADDINGS
from spago_jax.ops.conv2d import conv2d


class Convolution2d(Module):
    """``y = W * x + b``, a cross-correlation: [..., in, height, width] -> [..., out, height', width'].

    ``weight`` is [out, in / groups, rows, columns]; ``groups`` equal to ``in`` is depth-wise (Chollet, 2017); ``mask``
    leaves input channels out, and what belongs to them untrained. Source: LeCun et al. (1989); spaGO nn/convolution,
    whose biases, one for each pair of channels, are one sum for each output here.

    >>> edge = Convolution2d(weight=jnp.array([[[[-1.0, 1.0]]]]), bias=jnp.zeros(1))
    >>> edge(jnp.array([[[0.0, 0.0, 5.0, 5.0]]]))
    Array([[[0., 5., 0.]]], dtype=float32)
    """

    weight: Array
    bias: Array | None = param(decay=False, default=None)
    strides: tuple[int, int] = static(default=(1, 1))
    padding: str = static(default="valid")
    groups: int = static(default=1)
    mask: tuple[bool, ...] | None = static(default=None)

    @classmethod
    def init(
        cls,
        key: Array,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        *,
        strides: tuple[int, int] = (1, 1),
        padding: str = "valid",
        groups: int = 1,
        mask: tuple[bool, ...] | None = None,
        activation: str = "identity",
    ) -> "Convolution2d":
        """Xavier-uniform weights with the gain of the activation, a bias of zeros.

        Args:
            key: of the weights.
            in_channels: of an input.
            out_channels: of an output.
            kernel: its rows and columns.
            strides: over the height and the width.
            padding: ``same`` or ``valid``.
            groups: of channels that do not see each other; ``in_channels`` is depth-wise.
            mask: which input channels are used, one truth value for each; None uses all.
            activation: what follows the layer, for the gain of the weights; it is not applied here.

        Raises:
            InputError: for a size below 1, groups that do not divide the channels, an unknown padding or activation,
                or a mask of another length.
        """
        check_sizes(
            "Convolution2d",
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_rows=kernel[0],
            kernel_columns=kernel[1],
            stride_rows=strides[0],
            stride_columns=strides[1],
            groups=groups,
        )
        check_groups("Convolution2d", in_channels, out_channels, groups, mask)
        if padding not in PADDINGS:
            raise InputError(f"Convolution2d: unknown padding {padding!r}, {did_you_mean(padding, PADDINGS)}")
        shape = (out_channels, in_channels // groups, *kernel)
        return cls(
            weight=xavier_uniform(key, shape, gain(parse_activation(activation))),
            bias=jnp.zeros(out_channels),
            strides=strides,
            padding=padding,
            groups=groups,
            mask=mask,
        )

    def __call__(self, x: Array) -> Array:
        """[..., in, height, width] -> [..., out, height', width']."""
        weight = self.weight
        if self.mask is not None:
            x, weight = kept(x, self.mask, -3), kept(weight, self.mask, 1)
        return conv2d(x, weight, self.bias, strides=self.strides, padding=self.padding, groups=self.groups)
