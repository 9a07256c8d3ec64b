"""Initializers against the moments and bounds of their distributions; formulas as in spaGO."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import initializers

SHAPE = (200, 300)
N = SHAPE[0] * SHAPE[1]


def moments(w):
    """Mean, variance and kurtosis in float64."""
    w = np.asarray(w, np.float64).ravel()
    centred = w - w.mean()
    return w.mean(), centred.var(), (centred**4).mean() / centred.var() ** 2


def check(w, variance, kurtosis):
    mean, var, kurt = moments(w)
    assert abs(mean) < 5 * np.sqrt(variance / w.size)  # five standard errors
    assert var == pytest.approx(variance, rel=5 * np.sqrt((kurtosis - 1) / w.size))
    assert kurt == pytest.approx(kurtosis, rel=0.05)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_xavier_uniform(gain):
    w = initializers.xavier_uniform(jax.random.key(0), SHAPE, gain)
    bound = gain * np.sqrt(6 / 500)
    check(w, bound**2 / 3, 9 / 5)
    assert 0.999 * bound < np.abs(w).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("gain", [1.0, 5 / 3])
def test_xavier_normal(gain):
    check(initializers.xavier_normal(jax.random.key(1), SHAPE, gain), gain**2 * 2 / 500, 3)


def test_uniform_and_normal():
    check(initializers.uniform(jax.random.key(2), SHAPE, 0.08), 0.08**2 / 3, 9 / 5)
    check(initializers.normal(jax.random.key(3), SHAPE, 0.02), 0.02**2, 3)


def test_the_fans_of_a_vector_and_of_a_convolution():
    """A vector counts as one column, as in spaGO; a kernel multiplies both fans, as in PyTorch."""
    vector = initializers.xavier_uniform(jax.random.key(0), (5000,))
    assert np.abs(vector).max() == pytest.approx(np.sqrt(6 / 5001), rel=1e-3)
    kernel = initializers.xavier_uniform(jax.random.key(0), (40, 30, 3))
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (3 * 70)), rel=1e-3)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_orthogonal(shape):
    w = np.asarray(initializers.orthogonal(jax.random.key(0), shape, gain=2.0), np.float64)
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(min(shape)), atol=1e-5)


def test_gains_are_those_of_spago():
    assert initializers.gain("relu") == pytest.approx(2**0.5)
    assert initializers.gain("tanh") == pytest.approx(5 / 3)
    assert initializers.gain("sigmoid") == initializers.gain("identity") == 1


def test_a_gain_keeps_the_variance_through_relu():
    """With N(0, gain^2 / fan) weights on a square layer, E[relu(Wx)^2] = E[x^2]."""
    n = 400
    w = initializers.xavier_normal(jax.random.key(0), (n, n), initializers.gain("relu"))
    x = jax.random.normal(jax.random.key(1), (n, 200))
    assert float((jax.nn.relu(w @ x) ** 2).mean()) == pytest.approx(float((x**2).mean()), rel=0.05)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtype_and_repeatability(dtype):
    key = jax.random.key(5)
    for make in (
        lambda: initializers.xavier_uniform(key, (4, 3), dtype=dtype),
        lambda: initializers.xavier_normal(key, (4, 3), dtype=dtype),
        lambda: initializers.uniform(key, (4, 3), 0.1, dtype=dtype),
        lambda: initializers.normal(key, (4, 3), dtype=dtype),
        lambda: initializers.orthogonal(key, (4, 3), dtype=dtype),
    ):
        first = make()
        assert first.dtype == dtype
        np.testing.assert_array_equal(first, make())
