"""Losses of a batch of 0: empty per example, and 0 where they are one number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.ops import losses

NONE, ROWS, LABELS = jnp.zeros(0), jnp.zeros((0, 3)), jnp.zeros(0, int)
CASES = {
    "cross_entropy": (ROWS, LABELS),
    "masked_mean": (NONE, NONE),
    "weighted_cross_entropy": (ROWS, LABELS, jnp.ones(3)),
    "focal": (ROWS, LABELS),
    "negative_log_likelihood": (ROWS, ROWS),
    "binary_cross_entropy": (NONE, NONE),
    "mse": (ROWS, ROWS),
    "mae": (ROWS, ROWS),
    "weighted_focal": (ROWS, LABELS, jnp.ones(3)),
    "perplexity": (ROWS, LABELS),
    "distance": (NONE, NONE),
    "scaled_policy_gradient": (NONE, NONE),
}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_nothing_has_a_loss_and_gradients(name):
    first, *rest = CASES[name]
    value, gradient = jax.value_and_grad(lambda first: getattr(losses, name)(first, *rest).sum())(first)
    assert float(value) == 0.0
    assert getattr(losses, name)(first, *rest).shape in ((), (0,))
    np.testing.assert_array_equal(gradient, first)
