# SPDX-License-Identifier: BSD-2-Clause
"""Axes laid end to end."""

import math

import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes


class Flatten(Module):
    """The last ``rank`` axes as one, row by row: [..., a, b] -> [..., a * b].

    ``y = [x_1's rows; x_2's rows; ...]`` of several inputs. Source: spaGO nn/flatten.

    >>> Flatten.init(2)(jnp.zeros((5, 2, 3)), jnp.zeros((5, 4, 1))).shape
    (5, 10)
    """

    rank: int = static(default=2)

    @classmethod
    def init(cls, rank: int = 2) -> "Flatten":
        """How many axes become one.

        Raises:
            InputError: for a rank below 1.
        """
        check_sizes("Flatten", rank=rank)
        return cls(rank=rank)

    def __call__(self, *xs: Array) -> Array:
        """[..., a, b] -> [..., a * b].

        Raises:
            InputError: for an input with fewer axes than ``rank``.
        """
        for x in xs:
            if x.ndim < self.rank:
                raise InputError(f"x has shape {tuple(x.shape)}, expected at least {self.rank} axes to flatten")
        flat = [x.reshape(*x.shape[: x.ndim - self.rank], math.prod(x.shape[x.ndim - self.rank :])) for x in xs]
        return jnp.concatenate(flat, axis=-1)
