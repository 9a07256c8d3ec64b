# SPDX-License-Identifier: BSD-2-Clause
"""A recursive auto-encoder: a sequence folded into one vector, pair by pair, and unfolded again."""

from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, buffer
from spago_jax.errors import InputError
from spago_jax.nn.activation import Activation
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.nn.sequential import Sequential
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import as_float
from spago_jax.ops.masks import length_mask, some_steps, zero_padding
from spago_jax.ops.positions import sinusoidal_positions


def _mish(*layers: Any) -> Sequential:
    """The layers, with a Mish at each None."""
    return Sequential.init(Activation.init("mish") if layer is None else layer for layer in layers)


def _sizes(in_features: int, features: int) -> tuple[int, int]:
    """The hidden size of the merging network, and of the one that scales: spaGO's."""
    return round(1.5 * features), features - (features - in_features) // 2


class RecursiveEncoder(Module):
    """Folds a sequence into one vector: [..., time, in] -> [..., features].

    From ``y_i = scale(x_i)``, for r = 1, 2, ... until one is left: ``y_i = merge([y_i; y_(i+1)] + p_r)``, with ``p_r``
    the encoding of the step. All windows of a level are merged at once. Source: Pollack (1990); spaGO
    v0.7.0 nn/rae.

    >>> encoder = RecursiveEncoder.init(jax.random.key(0), 4, 6, max_length=10)
    >>> encoder(jnp.ones((3, 5, 4)), lengths=jnp.array([5, 2, 0])).shape
    (3, 6)
    """

    scale: Sequential
    merge: Sequential
    encodings: Array = buffer()

    @classmethod
    def init(cls, key: Array, in_features: int, features: int, *, max_length: int) -> "RecursiveEncoder":
        """spaGO's default: two affine layers with Mish that scale, two with layer norm and Mish that merge.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("RecursiveEncoder", in_features=in_features, features=features, max_length=max_length)
        hidden, scaling = _sizes(in_features, features)
        keys = jax.random.split(key, 4)
        return cls(
            scale=_mish(
                Linear.init(keys[0], in_features, scaling), None, Linear.init(keys[1], scaling, features), None
            ),
            merge=_mish(
                Linear.init(keys[2], 2 * features, hidden),
                LayerNorm.init(hidden),
                None,
                Linear.init(keys[3], hidden, features),
                LayerNorm.init(features),
                None,
            ),
            encodings=sinusoidal_positions(jnp.arange(max_length), 2 * features),
        )

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., features]; zeros for an empty sequence.

        Raises:
            InputError: for more steps than there are encodings.
        """
        x, lengths = some_steps(as_float(x, self), lengths)
        time = x.shape[-2]
        _check_length("x has", time, self.encodings)
        lead = tuple(x.shape[:-2])
        counts = jnp.full(lead, time) if lengths is None else jnp.asarray(lengths)
        start = self.scale(zero_padding(x, lengths))

        def level(ys: Array, r: Array) -> tuple[Array, None]:
            pairs = jnp.concatenate([ys, jnp.roll(ys, -1, axis=-2)], axis=-1)  # the last pair is none, and unused
            step = jnp.asarray(self.encodings)[r].astype(pairs.dtype).reshape((1,) * (pairs.ndim - 1) + (-1,))
            return jnp.where((r < counts)[..., None, None], self.merge(pairs + step), ys), None

        ys, _ = jax.lax.scan(level, start, jnp.arange(1, max(time, 1)))
        return jnp.where((counts > 0)[..., None], ys[..., 0, :], jnp.zeros((), ys.dtype))


class RecursiveDecoder(Module):
    """Unfolds a vector into a sequence: [..., features] -> [..., length, out].

    From one vector, for r = length - 1, ..., 1: each is split, ``[a_i; b_i] = split(y_i + p_r)``, and neighbours share,
    ``y_i = join((b_(i-1) + a_i) / 2)`` (``a_0`` and the last b stand alone); then ``x_i = descale(y_i)``. spaGO v0.7.0
    averages with the neighbour on the wrong side, and its r starts at (length - 1)(length - 2) / 2, which no longer
    mirrors the encoder; this does what is meant. Source: Pollack (1990); spaGO nn/rae.

    >>> decoder = RecursiveDecoder.init(jax.random.key(0), 6, 4, max_length=10)
    >>> decoder(jnp.ones((3, 6)), 5).shape
    (3, 5, 4)
    """

    split: Sequential
    join: Sequential
    descale: Sequential
    encodings: Array = buffer()

    @classmethod
    def init(cls, key: Array, features: int, out_features: int, *, max_length: int) -> "RecursiveDecoder":
        """spaGO's default: the mirror image of the encoder's networks.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("RecursiveDecoder", features=features, out_features=out_features, max_length=max_length)
        hidden, scaling = _sizes(out_features, features)
        keys = jax.random.split(key, 4)
        return cls(
            split=_mish(
                Linear.init(keys[0], features, hidden),
                LayerNorm.init(hidden),
                None,
                Linear.init(keys[1], hidden, 2 * features),
            ),
            join=_mish(LayerNorm.init(features), None),
            descale=_mish(Linear.init(keys[2], features, scaling), None, Linear.init(keys[3], scaling, out_features)),
            encodings=sinusoidal_positions(jnp.arange(max_length), features),
        )

    def __call__(self, x: Array, length: int, lengths: Array | None = None) -> Array:
        """[..., features] -> [..., length, out]; with int[...] each has its own length, and zeros beyond it.

        Raises:
            InputError: for a length below 1 or beyond the encodings.
        """
        check_sizes("RecursiveDecoder", length=length)
        _check_length("length is", length, self.encodings)
        x = as_float(x, self)
        lead = tuple(x.shape[:-1])
        counts = jnp.full(lead, length) if lengths is None else jnp.asarray(lengths)
        start = jnp.pad(x[..., None, :], [(0, 0)] * len(lead) + [(0, length - 1), (0, 0)])

        def level(ys: Array, k: Array) -> tuple[Array, None]:
            """From k vectors to k + 1."""
            step = jnp.asarray(self.encodings)[jnp.maximum(counts - k, 0)].astype(ys.dtype)
            a, b = jnp.split(self.split(ys + step[..., None, :]), 2, axis=-1)
            b = jnp.roll(b, 1, axis=-2)
            place = jnp.arange(length).reshape((1,) * (ys.ndim - 2) + (-1, 1))
            shared = jnp.where(place == 0, a, jnp.where(place == k, b, (a + b) * 0.5))
            return jnp.where((k < counts)[..., None, None] & (place <= k), self.join(shared), ys), None

        ys, _ = jax.lax.scan(level, start, jnp.arange(1, length))
        ys = self.descale(ys)
        return jnp.where(length_mask(counts, length)[..., None], ys, jnp.zeros((), ys.dtype))


def _check_length(what: str, length: int, encodings: Array) -> None:
    if length > encodings.shape[0]:
        raise InputError(f"{what} {length} steps, and max_length is {encodings.shape[0]}: make it with a larger one")
