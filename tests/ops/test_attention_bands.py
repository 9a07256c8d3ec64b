"""Bias, packed segments and windows of attention: every implementation beside NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.ops.attention import scaled_dot_product_attention

attend = jax.jit(scaled_dot_product_attention, static_argnames=("window", "implementation"))


def by_numpy(q, k, v, seen, bias=0.0):
    scores = np.einsum("...qd,...kd->...qk", q, k) * q.shape[-1] ** -0.5 + bias
    scores = np.where(seen, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    raised = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = raised.sum(-1, keepdims=True)
    return np.einsum("...qk,...kd->...qd", raised / np.where(total == 0, 1, total), v)


def arrays(time, seed=0, batch=2, heads=2, size=4):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, heads, time, size)).astype(np.float32) for _ in range(3)]


def seen_by(time, *, window=None, segments=None, lengths=None, mask=None):
    i, j = np.arange(time)[:, None], np.arange(time)[None, :]
    seen = np.ones((1, 1, time, time), bool)
    if window is not None:
        seen = seen & (abs(i - j) <= window)
    if segments is not None:
        own = segments[:, None, :, None] == segments[:, None, None, :]
        seen = seen & own & (segments != 0)[:, None, None, :]
    if lengths is not None:
        seen = seen & (j < lengths[:, None, None, None])
    return seen if mask is None else seen & mask


SEGMENTS = np.array([[1] * 20 + [2] * 70 + [0] * 20, [1] * 109 + [0]])
CASES = {
    "window": {"window": 3},
    "wide window": {"window": 18},
    "window and lengths": {"window": 5, "lengths": np.array([110, 40])},
    "window and mask": {"window": 5, "mask": (np.arange(220) % 7 > 0).reshape(2, 1, 1, 110)},
    "window and square mask": {"window": 5, "mask": np.tri(110, dtype=bool)},
    "window and segments": {"window": 7, "segments": SEGMENTS},
    "segments": {"segments": SEGMENTS},
    "segments and lengths": {"segments": SEGMENTS, "lengths": np.array([50, 110])},
}


@pytest.mark.parametrize("implementation", ["plain", "xla", None])
@pytest.mark.parametrize("name", CASES)
def test_windows_and_segments_equal_numpy_in_every_implementation(name, implementation):
    q, k, v = arrays(110)
    got = attend(q, k, v, **CASES[name], implementation=implementation)
    np.testing.assert_allclose(got, by_numpy(q, k, v, seen_by(110, **CASES[name])), atol=2e-6)


@pytest.mark.parametrize("implementation", ["plain", "xla"])
@pytest.mark.parametrize("shape", [(5, 5), (2, 5, 5), (2, 2, 5, 5), (2, 1, 5, 5)])
def test_a_bias_is_added_to_the_scores(shape, implementation):
    q, k, v = arrays(5)
    bias = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    lengths = np.array([5, 3])
    got = attend(q, k, v, bias=jnp.asarray(bias), lengths=lengths, implementation=implementation)
    np.testing.assert_allclose(got, by_numpy(q, k, v, seen_by(5, lengths=lengths), bias), atol=2e-6)


def test_gradients_of_a_band_equal_those_of_the_whole_square():
    q, k, v = arrays(110)
    square = jnp.asarray(seen_by(110, window=7, segments=SEGMENTS))

    def loss(q, k, v, **how):
        return (scaled_dot_product_attention(q, k, v, **how) ** 2).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1, 2)), static_argnames="window")
    ours = slopes(q, k, v, window=7, segments=SEGMENTS)
    whole = slopes(q, k, v, mask=square)
    for a, b in zip(ours, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_band_never_makes_the_square_of_the_steps():
    x = jax.ShapeDtypeStruct((1, 2, 4096, 8), jnp.float32)
    traced = jax.make_jaxpr(lambda q: scaled_dot_product_attention(q, q, q, window=64))(x)
    largest = max(v.aval.size for e in traced.jaxpr.eqns for v in e.outvars)
    assert largest <= 2 * 4096 * 3 * 64


def test_a_long_text_in_a_window_equals_the_masked_square():
    q, k, v = arrays(200, batch=1)
    q, k, v = (jnp.asarray(x)[0, 0] for x in (q, k, v))  # no batch, no heads
    got = attend(q, k, v, window=9)
    np.testing.assert_allclose(got, by_numpy(q, k, v, seen_by(200, window=9)[0, 0]), atol=2e-6)


def test_segments_need_queries_and_keys_of_the_same_steps():
    q, k, v = arrays(5)
    with pytest.raises(InputError, match="same steps, got 2 queries, 5 keys"):
        scaled_dot_product_attention(q[..., :2, :], k, v, segments=np.ones((2, 5), int))
