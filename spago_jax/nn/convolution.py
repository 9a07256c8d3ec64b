# SPDX-License-Identifier: BSD-2-Clause
"""Convolution over time."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import parse_activation
from spago_jax.ops.conv import PADDINGS, conv1d


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
            mask: which input features are used, one truth value for each; None uses all.
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
        check_groups("Convolution1d", in_features, out_features, groups, mask)
        if padding not in PADDINGS:
            raise InputError(f"Convolution1d: unknown padding {padding!r}, {did_you_mean(padding, PADDINGS)}")
        weight = xavier_uniform(key, (out_features, in_features // groups, width), gain(parse_activation(activation)))
        return cls(
            weight=weight, bias=jnp.zeros(out_features), padding=padding, stride=stride, groups=groups, mask=mask
        )

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., steps, out]; what lies beyond a length counts as zero."""
        weight = self.weight
        if self.mask is not None:
            x, weight = kept(x, self.mask, -1), kept(weight, self.mask, 1)
        return conv1d(
            x, weight, self.bias, lengths=lengths, padding=self.padding, stride=self.stride, groups=self.groups
        )


def kept(x: Array, mask: tuple[bool, ...], axis: int) -> Array:
    """The entries of an axis that a mask keeps; the others get no gradient."""
    return jnp.take(x, jnp.array([place for place, keep in enumerate(mask) if keep]), axis=axis)


def check_groups(layer: str, in_size: int, out_size: int, groups: int, mask: tuple[bool, ...] | None) -> None:
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
