# SPDX-License-Identifier: BSD-2-Clause
"""Convolution over time and over pictures, and mixtures of channels."""

from typing import ClassVar

import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import parse_activation
from spago_jax.ops.conv import check_padding, conv1d
from spago_jax.ops.conv2d import conv2d
from spago_jax.ops.linear import linear


class Convolution1d(Module):
    """Cross-correlation over time: [..., time, in] -> [..., time, out]. ``weight`` is [out, in / groups, width].

        y_t = b + sum_k W_k x_(t * stride + k - before)

    ``groups`` equal to ``in`` is depth-wise (Chollet, 2017). Source: LeCun et al. (1989). spaGO
    nn/convolution/convolution1d takes a list of channels, each [rows, time]: here ``in`` is channels * rows, and
    its biases, one for each pair of channels, are one sum for each output.

    >>> layer = Convolution1d(weight=jnp.array([[[0.0, 1.0, 0.0]]]), bias=jnp.array([1.0]))
    >>> layer(jnp.array([[1.0], [2.0]]))[:, 0]
    Array([2., 3.], dtype=float32)
    """

    weight: Array
    bias: Array | None = param(decay=False, default=None)
    padding: str = static(default="same")
    stride: int = static(default=1)
    groups: int = static(default=1)
    mask: tuple[bool, ...] | None = static(default=None)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        width: int,
        *,
        padding: str = "same",
        stride: int = 1,
        groups: int = 1,
        mask: tuple[bool, ...] | None = None,
        activation: str = "identity",
    ) -> "Convolution1d":
        """Xavier-uniform weights with the gain of the activation that follows, a bias of zeros.

        Args:
            key: of the weights.
            in_features: of an input.
            out_features: of an output.
            width: of the kernel, in steps.
            padding: ``same`` or ``valid``.
            stride: every how many steps an output is computed.
            groups: of features that do not see each other; ``in_features`` is depth-wise.
            mask: which input features are used, one truth value per channel; None uses all.
            activation: what follows the layer, for the gain of the weights; it is not applied here.

        Raises:
            InputError: for a size below 1, groups that do not divide the features, an unknown padding or activation,
                or a mask of another length.
        """
        check_sizes(
            "Convolution1d",
            in_features=in_features,
            out_features=out_features,
            width=width,
            stride=stride,
            groups=groups,
        )
        _check_groups("Convolution1d", in_features, out_features, groups, mask)
        shape = (out_features, in_features // groups, width)
        return cls(
            weight=xavier_uniform(key, shape, gain(parse_activation(activation))),
            bias=jnp.zeros(out_features),
            padding=check_padding(padding, "Convolution1d: "),
            stride=stride,
            groups=groups,
            mask=mask,
        )

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., steps, out]; what lies beyond a length counts as zero."""
        weight = self.weight
        if self.mask is not None:
            x, weight = _kept(x, self.mask, -1), _kept(weight, self.mask, 1)
        return conv1d(
            x, weight, self.bias, lengths=lengths, padding=self.padding, stride=self.stride, groups=self.groups
        )


class Convolution2d(Module):
    """``y = W * x + b``, a cross-correlation: [..., in, height, width] -> [..., out, height', width'].

    ``weight`` is [out, in / groups, rows, columns]; ``groups`` equal to ``in`` is depth-wise (Chollet, 2017); ``mask``
    leaves input channels out, and what belongs to them untrained. Source: LeCun et al. (1989); spaGO nn/convolution,
    whose biases, one for each pair of channels, are one sum for each output here.

    >>> edge = Convolution2d(weight=jnp.array([[[[-1.0, 1.0]]]]), bias=jnp.zeros(1))
    >>> edge(jnp.array([[[0.0, 0.0, 5.0, 5.0]]]))
    Array([[[0., 5., 0.]]], dtype=float32)
    """

    size_axis: ClassVar[int] = -3

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
            mask: which input channels are used, one truth value per channel; None uses all.
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
        _check_groups("Convolution2d", in_channels, out_channels, groups, mask)
        shape = (out_channels, in_channels // groups, *kernel)
        return cls(
            weight=xavier_uniform(key, shape, gain(parse_activation(activation))),
            bias=jnp.zeros(out_channels),
            strides=strides,
            padding=check_padding(padding, "Convolution2d: "),
            groups=groups,
            mask=mask,
        )

    def __call__(self, x: Array) -> Array:
        """[..., in, height, width] -> [..., out, height', width']."""
        weight = self.weight
        if self.mask is not None:
            x, weight = _kept(x, self.mask, -3), _kept(weight, self.mask, 1)
        return conv2d(x, weight, self.bias, strides=self.strides, padding=self.padding, groups=self.groups)


class Convolution1x1(Module):
    """``y[o] = sum_i W[o, i] x[i] + b[o]`` over the axis before the last: [..., in, features] -> [..., out, features].

    The channels may be the steps of a sequence, as in gMLP. Source: Lin et al., "Network In Network" (2013);
    spaGO nn/convolution/conv1x1.

    >>> Convolution1x1(weight=jnp.array([[1.0, 10.0]]), bias=jnp.array([0.5]))(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[31.5, 42.5]], dtype=float32)
    """

    size_axis: ClassVar[int] = -2

    weight: Array
    bias: Array | None = param(decay=False, default=None)

    @classmethod
    def init(cls, key: Array, in_channels: int, out_channels: int, *, bias: bool = True) -> "Convolution1x1":
        """Xavier-uniform weights, a bias of zeros.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("Convolution1x1", in_channels=in_channels, out_channels=out_channels)
        weight = xavier_uniform(key, (out_channels, in_channels))
        return cls(weight=weight, bias=jnp.zeros(out_channels) if bias else None)

    def __call__(self, x: Array) -> Array:
        """[..., in, features] -> [..., out, features]."""
        return linear(x.swapaxes(-1, -2), self.weight, self.bias).swapaxes(-1, -2)


def _kept(x: Array, mask: tuple[bool, ...], axis: int) -> Array:
    """The entries of an axis that a mask keeps; the others get no gradient."""
    return jnp.take(x, jnp.array([place for place, keep in enumerate(mask) if keep]), axis=axis)


def _check_groups(layer: str, in_size: int, out_size: int, groups: int, mask: tuple[bool, ...] | None) -> None:
    """Refuses groups and masks that do not fit the channels.

    Raises:
        InputError: naming the layer and the numbers.
    """
    if in_size % groups or out_size % groups:
        raise InputError(f"{layer}: {groups} groups do not divide {in_size} inputs and {out_size} outputs")
    if mask is None:
        return
    if len(mask) != in_size:
        raise InputError(f"{layer}: the mask has {len(mask)} entries for {in_size} inputs, expected one each")
    if groups > 1 or not any(mask):
        why = "cannot be used with groups" if groups > 1 else "leaves no input"
        raise InputError(f"{layer}: the mask {tuple(bool(keep) for keep in mask)} {why}")
