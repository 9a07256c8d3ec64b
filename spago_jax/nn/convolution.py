# SPDX-License-Identifier: BSD-2-Clause
"""Convolution over time."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.conv import PADDINGS, conv1d


class Convolution1d(Module):
    """Cross-correlation over time: [..., time, in] -> [..., time, out]. ``weight`` is [out, in, width].

    >>> layer = Convolution1d(weight=jnp.array([[[0.0, 1.0, 0.0]]]), bias=jnp.array([1.0]))
    >>> layer(jnp.array([[1.0], [2.0]]))[:, 0]
    Array([2., 3.], dtype=float32)
    """

    weight: Array
    bias: Array | None = param(decay=False, default=None)
    padding: str = static(default="same")

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        width: int,
        *,
        padding: str = "same",
        activation: str = "identity",
    ) -> "Convolution1d":
        """Xavier-uniform weights with the gain of the activation that follows, a bias of zeros.

        Raises:
            InputError: for a size below 1 or an unknown padding.
        """
        check_sizes("Convolution1d", in_features=in_features, out_features=out_features, width=width)
        if padding not in PADDINGS:
            raise InputError(f"Convolution1d: unknown padding {padding!r}, {did_you_mean(padding, PADDINGS)}")
        weight = xavier_uniform(key, (out_features, in_features, width), gain(activation))
        return cls(weight=weight, bias=jnp.zeros(out_features), padding=padding)

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., time, out]; what lies beyond a length counts as zero."""
        return conv1d(x, self.weight, self.bias, lengths=lengths, padding=self.padding)
