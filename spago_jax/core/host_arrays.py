# SPDX-License-Identifier: BSD-2-Clause
"""Arrays in host memory that JAX can take over."""

from math import prod

import numpy as np

_ALIGNED = 64  # bytes; JAX on a CPU takes over an array without a copy if it lies at a multiple


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns an array without values that begins where JAX needs it to be, to take it over without a copy.

    >>> aligned((2, 3), np.dtype("float32")).ctypes.data % 64
    0
    """
    size = prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNED, np.uint8)
    skip = -room.ctypes.data % _ALIGNED
    return room[skip : skip + size].view(dtype).reshape(shape)
