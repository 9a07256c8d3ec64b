# SPDX-License-Identifier: BSD-2-Clause
"""Shapes within a flow."""

import dataclasses

from spago_jax.core import Array
from spago_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Reshape:
    """The stream in another shape, of which one size may be -1.

    >>> Reshape((4, -1))(jnp.arange(8.0)).shape
    (4, 2)
    """

    shape: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        """[...] -> ``shape``."""
        return x.reshape(self.shape)


def reshape(*shape: int) -> Reshape:
    """``Reshape(shape)``.

    Raises:
        InputError: for a size below 1 that is not -1, or more than one -1.
    """
    if not shape or any(size < 1 and size != -1 for size in shape) or shape.count(-1) > 1:
        raise InputError(f"reshape{shape}: expected sizes of at least 1, of which one may be -1")
    return Reshape(shape)
