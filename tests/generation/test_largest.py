# SPDX-License-Identifier: BSD-2-Clause
"""The largest scores of long rows, beside NumPy's stable sort."""

import jax
import numpy as np
import pytest

from spago_jax.generation.draw import largest

run = jax.jit(largest, static_argnums=1)


@pytest.mark.parametrize("count", [1, 8])
def test_the_largest_scores_are_those_of_a_stable_sort(count):
    """Rows of many equal scores, of none, of -inf alone, and with their best at both ends and in the tail."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2, 6, 5003)).astype(np.float32)
    scores[0] = np.round(scores[0])
    scores[1, 0] = -np.inf
    scores[1, 1] = 1.0
    scores[1, 2, -5:] = 9.0
    scores[1, 3, [0, 127, 128, 4991, 4992, 5002]] = 9.0
    order = np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    found, places = run(scores, count)
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(found, np.take_along_axis(scores, order, axis=-1))
