"""Pooling modes against their definition in float64, on texts padded on either side."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import normal

from spago_jax.errors import InputError
from spago_jax.ops.pooling_modes import POOLING_MODES

STATES = normal(3, 5, 4, dtype=np.float64)
MASK = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 1, 0, 1, 0]])


def by_definition(mode, states, mask):
    real = states[mask.astype(bool)]
    places = np.flatnonzero(mask) + 1
    return {
        "cls": lambda: real[0],
        "lasttoken": lambda: real[-1],
        "mean": lambda: real.sum(0) / len(real),
        "mean_sqrt_len_tokens": lambda: real.sum(0) / np.sqrt(len(real)),
        "max": lambda: real.max(0),
        "weightedmean": lambda: (real * places[:, None]).sum(0) / places.sum(),
    }[mode]()


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_a_mode_is_its_definition(mode):
    expected = np.stack([by_definition(mode, *row) for row in zip(STATES, MASK, strict=True)])
    poisoned = np.where(MASK[..., None], STATES, np.nan)
    for mask in (MASK, MASK.astype(bool), MASK.astype(np.float32)):
        found = POOLING_MODES[mode](jnp.asarray(poisoned, jnp.float32), jnp.asarray(mask))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_a_text_without_tokens_gives_zeros(mode):
    np.testing.assert_array_equal(POOLING_MODES[mode](jnp.ones((2, 3)), jnp.zeros(2)), np.zeros(3))
    np.testing.assert_array_equal(POOLING_MODES[mode](jnp.ones((2, 0, 3)), jnp.zeros((2, 0))), np.zeros((2, 3)))


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_sixteen_bit_states_are_summed_in_float32(mode):
    states = jnp.concatenate([jnp.full((1, 1), 256.0), jnp.ones((255, 1))]).astype(jnp.bfloat16)
    found = POOLING_MODES[mode](states, jnp.ones(256))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, [256.0 if mode == "cls" else 511 / 256], rtol=1e-6)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"states have shape \(2, 3\) and the mask \(3,\)"):
        POOLING_MODES["mean"](jnp.ones((2, 3)), jnp.ones(3))
