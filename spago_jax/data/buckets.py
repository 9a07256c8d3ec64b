# SPDX-License-Identifier: BSD-2-Clause
"""The padded lengths that several parts of the data share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spago_jax.compiler.bucket_sizes import choose_buckets


def shared_buckets(parts: Sequence[ArrayLike], n: int, *, multiple: int = 8) -> tuple[int, ...]:
    """Lengths to pad to for several parts of the data (train, dev, test), so that they share compiled programs.

    >>> shared_buckets([[3, 4], [30, 31]], 2)
    (8, 32)
    """
    return choose_buckets(np.concatenate([np.asarray(part) for part in parts]), n, multiple=multiple, max_padding=0.1)
