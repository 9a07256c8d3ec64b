# SPDX-License-Identifier: BSD-2-Clause
"""The sinusoids of Marian and Pegasus, as their files have them where they have them."""

import functools

import numpy as np


@functools.lru_cache(maxsize=8)
def sinusoids(count: int, features: int) -> np.ndarray:
    """Sines, then cosines, of falling frequency: float32[count, features], computed in float64.

        angle(p, k) = p / 10000^(2 k / features)

    In float32 the angles of far positions would have lost their last digits.

    >>> sinusoids(2, 4)[1].round(3)
    array([0.841, 0.01 , 0.54 , 1.   ], dtype=float32)
    """
    rates = 10000.0 ** (-2.0 * np.arange(-(-features // 2)) / features)
    angles = np.arange(count)[:, None] * rates
    found = np.concatenate([np.sin(angles), np.cos(angles[:, : features // 2])], axis=-1).astype(np.float32)
    found.setflags(write=False)
    return found
