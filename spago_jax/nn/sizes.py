# SPDX-License-Identifier: BSD-2-Clause
"""The check of sizes that every ``init`` makes."""

from spago_jax.errors import InputError


def check_sizes(layer: str, **sizes: int) -> None:
    """Refuses sizes that are not whole numbers of at least 1.

    Raises:
        InputError: naming the layer, the size and its value.
    """
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{layer}: {name} is {value!r}, expected a whole number of at least 1")
