# SPDX-License-Identifier: BSD-2-Clause
"""Dropout layers. Without ``rng`` (inference) each gives its input back."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, static
from spago_jax.ops.dropout import check_rate, dropout


class Dropout(Module):
    """Drops single numbers with probability ``rate`` and scales the rest (Srivastava et al., 2014).

    >>> Dropout.init(0.5)(jnp.ones(3))
    Array([1., 1., 1.], dtype=float32)
    """

    rate: float = static(default=0.5)

    @classmethod
    def init(cls, rate: float) -> "Dropout":
        """A checked rate.

        Raises:
            InputError: for a rate outside [0, 1).
        """
        return cls(rate=check_rate(rate))

    def __call__(self, x: Array, *, rng: Rng | None = None) -> Array:
        """Any shape, kept."""
        return dropout(x, self.rate, rng)


class VariationalDropout(Module):
    """Drops the same features at every step of a sequence (Gal and Ghahramani, 2016): [..., time, features]."""

    rate: float = static(default=0.5)

    @classmethod
    def init(cls, rate: float) -> "VariationalDropout":
        """A checked rate.

        Raises:
            InputError: for a rate outside [0, 1).
        """
        return cls(rate=check_rate(rate))

    def __call__(self, x: Array, *, rng: Rng | None = None) -> Array:
        """[..., time, features], kept."""
        return dropout(x, self.rate, rng, shared_axes=(-2,))


class WordDropout(Module):
    """Drops whole steps of a sequence, without scaling the rest (Flair's WordDropout): [..., time, features]."""

    rate: float = static(default=0.05)

    @classmethod
    def init(cls, rate: float) -> "WordDropout":
        """A checked rate.

        Raises:
            InputError: for a rate outside [0, 1).
        """
        return cls(rate=check_rate(rate))

    def __call__(self, x: Array, *, rng: Rng | None = None) -> Array:
        """[..., time, features], kept."""
        if rng is None or self.rate == 0.0:
            return x
        keep = rng.bernoulli(1.0 - self.rate, (*x.shape[:-1], 1))
        return jnp.where(keep, x, jnp.zeros((), x.dtype))
