# SPDX-License-Identifier: BSD-2-Clause
"""Dropout layers. Without ``rng`` (inference) each gives its input back."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, static
from spago_jax.ops.dropout import check_rate, dropout


class Dropout(Module):
    """Drops single numbers with probability ``rate`` and scales the rest: any shape, kept.

        y = x m / (1 - rate),  m ~ Bernoulli(1 - rate)

    Source: Srivastava et al. (2014); spaGO nn/dropout.

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
    """Drops the same features at every step of a sequence: [..., time, features], kept.

        y_t = x_t m / (1 - rate),  one m ~ Bernoulli(1 - rate) for all t

    Source: Gal and Ghahramani (2016).

    >>> y = VariationalDropout.init(0.5)(jnp.ones((3, 4)), rng=Rng.seed(0))
    >>> bool((y == y[0]).all()), sorted(set(y.ravel().tolist()))
    (True, [0.0, 2.0])
    """

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
    """Drops whole steps of a sequence, without scaling the rest: [..., time, features], kept.

        y_t = x_t m_t,  m_t ~ Bernoulli(1 - rate)

    Source: Flair's WordDropout.

    >>> y = WordDropout.init(0.5)(jnp.ones((5, 2)), rng=Rng.seed(0))
    >>> bool((y[:, 0] == y[:, 1]).all()), sorted(set(y.ravel().tolist()))
    (True, [0.0, 1.0])
    """

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
