"""Where the padding of buckets lies: what moves it from the end of an axis is refused, and nothing else is.

The oracle is NumPy, or the function itself at the true size.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import spago_jax as sj
from spago_jax.errors import InputError

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
LENGTHS = np.array([5, 3], np.int32)
SPECS = (sj.spec("x", "f32[b, time, 3]"), sj.spec("lengths", "i32[b]"))


def program(function):
    return sj.compile(lambda x, lengths: function(x, lengths), *SPECS, buckets=sj.Buckets(time=(8,)), name="f")


def mask(x, lengths):
    return jnp.arange(x.shape[1]) < lengths[:, None]


MOVED = {
    "flip": (lambda x, n: jnp.flip(x, 1), "puts it first: rev at "),
    "a reversed slice": (lambda x, n: x[:, ::-1] * 2, "puts it first"),
    "a flip folded away and back": (lambda x, n: (x[:, ::-1].reshape(-1, 3) @ jnp.eye(3)).reshape(x.shape), "first"),
    "an end mark": (lambda x, n: jnp.concatenate([x, jnp.ones((2, 1, 3))], 1), "more is put behind it"),
    "an end mark by append": (lambda x, n: jnp.append(x, jnp.ones((2, 1, 3)), 1), "more is put behind it"),
    "a pad with an end mark": (lambda x, n: jnp.pad(x, ((0, 0), (0, 1), (0, 0)), constant_values=7.0), "behind it"),
    "zeros behind a bias": (lambda x, n: jnp.pad(x + 1, ((0, 0), (0, 1), (0, 0))), "more is put behind it"),
    "sort": (lambda x, n: jnp.sort(x, 1), "a sort mixes it"),
    "argsort": (lambda x, n: jnp.argsort(x, 1), "a sort mixes it"),
    "top k of all": (lambda x, n: lax.top_k(x.swapaxes(1, 2), x.shape[1])[0], "a sort mixes it"),
    "roll": (lambda x, n: jnp.roll(x, 1, 1), "more is put behind it|from the end"),
    "roll back": (lambda x, n: jnp.roll(x, -1, 1), "more is put behind it"),
    "the last": (lambda x, n: x[:, -1], "a slice from the end"),
    "the last of an affine map": (lambda x, n: (x @ jnp.ones((3, 4)) + 1)[:, -1:], "a slice from the end"),
    "the first of a flip": (lambda x, n: jnp.flip(x, 1)[:, 0], "puts it first"),
    "a set last place": (lambda x, n: x.at[:, -1].set(1.0), "the last place is written"),
    "an updated last place": (
        lambda x, n: lax.dynamic_update_slice(x, jnp.ones((2, 1, 3)), (0, x.shape[1] - 1, 0)),
        "the last place is written",
    ),
    "in a scan": (lambda x, n: lax.scan(lambda c, row: (c, row * 2), 0.0, x.swapaxes(0, 1)[::-1])[1], "puts it first"),
    "in a branch": (lambda x, n: lax.cond(n[0] > 1, lambda x: x[:, ::-1], lambda x: x, x), "puts it first"),
    "in a checkpoint": (jax.checkpoint(lambda x, n: jnp.sin(x[:, ::-1])), "puts it first"),
    "masked": (lambda x, n: jnp.where(mask(x, n)[..., None], x[:, ::-1], 0), "puts it first"),
    "added to itself": (lambda x, n: x + x[:, ::-1], "puts it first"),
    "quarter turn": (lambda x, n: jnp.rot90(x[0], 3), "puts it first"),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
def test_padding_that_does_not_stay_at_the_end_is_refused_with_the_line(name):
    function, cause = MOVED[name]
    run = program(function)
    with pytest.raises(InputError, match=r"^f: output 0 does not keep the padding of time at its end") as error:
        run(X, LENGTHS)
    assert re.search(cause, str(error.value))
    assert re.search(r"test_padded_axes\.py:\d+", str(error.value))
    assert "go by lengths instead" in str(error.value)
    assert run.traces == 0  # before any work
    full = np.concatenate([X, X[:, :3]], 1)
    np.testing.assert_allclose(run(full, LENGTHS), function(jnp.asarray(full), LENGTHS), rtol=1e-6)  # nothing is padded


FINE = {
    "elementwise": lambda x, n: jnp.tanh(x) * 2 + 1,
    "features": lambda x, n: jax.nn.softmax(x @ jnp.arange(12.0).reshape(3, 4), -1),
    "reversed features": lambda x, n: jnp.sort(x[..., ::-1], -1),
    "reversed rows": lambda x, n: x[::-1],
    "flat and back": lambda x, n: (x.reshape(-1, 3) @ jnp.ones((3, 2))).reshape(*x.shape[:-1], 2),
    "masked mean": lambda x, n: jnp.where(mask(x, n)[..., None], x, 0).sum(1) / n[:, None],
    "masked maximum": lambda x, n: jnp.where(mask(x, n)[..., None], x, -jnp.inf).max(1),
    "masked sort": lambda x, n: jnp.sort(jnp.where(mask(x, n)[..., None], x, jnp.inf), 1),
    "a start mark": lambda x, n: jnp.concatenate([jnp.ones((2, 1, 3)), x], 1),
    "without the first": lambda x, n: x[:, 1:] - x[:, :-1],
    "without the last": lambda x, n: x[:, :-1],
    "the first two": lambda x, n: x[:, :2],
    "twice reversed": lambda x, n: jnp.flip(jnp.flip(x, 1) * 3, 1),
    "a sum from the end": lambda x, n: jnp.flip(jnp.cumsum(jnp.flip(x, 1), 1), 1),
    "a reversed cumulative sum": lambda x, n: lax.cumsum(x, 1, reverse=True),
    "a reversed scan": lambda x, n: lax.scan(lambda c, v: (c + v, c * v), jnp.zeros((2, 3)), x.swapaxes(0, 1),
                                             reverse=True)[1],
    "windows": lambda x, n: sum(jnp.pad(x, ((0, 0), (1, 1), (0, 0)))[:, k : k + x.shape[1]] for k in range(3)),
    "a convolution": lambda x, n: lax.conv_general_dilated(x, jnp.ones((3, 3, 2)), (1,), "SAME",
                                                           dimension_numbers=("NWC", "WIO", "NWC")),
    "the last state": lambda x, n: lax.scan(
        lambda c, s: ((v := jnp.where(s[1][:, None], c + s[0], c)), v), jnp.zeros((2, 3)),
        (x.swapaxes(0, 1), mask(x, n).T))[1][-1],
    "the last by length": lambda x, n: x[jnp.arange(2), n - 1],
    "reversed within lengths": lambda x, n: jnp.where(
        mask(x, n)[..., None],
        jnp.take_along_axis(x, jnp.clip(n[:, None] - 1 - jnp.arange(x.shape[1]), 0)[..., None], 1), 0),
    "masked attention": lambda x, n: jax.nn.softmax(
        jnp.where(mask(x, n)[:, None], x @ x.swapaxes(1, 2), -1e9), -1) @ x,
    "zeros behind zeros": lambda x, n: jnp.pad(x * 2, ((0, 0), (0, 1), (0, 0))),
    "an end mark by length": lambda x, n: jnp.concatenate([x, jnp.zeros((2, 1, 3))], 1).at[jnp.arange(2), n].set(1.0),
    "neighbors, the last by length": lambda x, n: jnp.where(
        (jnp.arange(x.shape[1]) == n.max() - 1)[:, None], 9.0,
        jnp.concatenate([x[:, 1:], jnp.ones((2, 1, 3))], 1)),
    "positions": lambda x, n: x + jnp.sin(jnp.arange(x.shape[1])[:, None]),
    "a flipped sum": lambda x, n: jnp.flip(x, 1).sum(1),
    "stacked": lambda x, n: jnp.stack([x, x + 1], 1),
    "tiled features": lambda x, n: jnp.tile(x, (1, 1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_padding_that_stays_at_the_end_is_cut_off(name):
    function = FINE[name]
    np.testing.assert_allclose(
        program(function)(X, LENGTHS), function(jnp.asarray(X), jnp.asarray(LENGTHS)), rtol=1e-5, atol=1e-6
    )


def test_the_last_of_a_bucket_in_another_dimension_is_not_refused():
    """Padded is the batch alone: the flip over time moves no padding."""
    run = sj.compile(lambda x: x[:, ::-1], sj.spec("x", "f32[b, time]"), buckets=sj.Buckets(b=(4,), time=(5,)))
    np.testing.assert_array_equal(run(X[:, :, 0]), X[:, ::-1, 0])


def test_a_donated_argument_survives_the_refusal():
    run = sj.compile(
        lambda state, x: (state + 1, x[::-1]),
        sj.spec("x", "f32[time]"),
        donate="state",
        buckets=sj.Buckets(time=(8,)),
    )
    state = jnp.zeros(3)
    with pytest.raises(InputError, match="output 1 does not keep the padding of time"):
        run(state, X[0, :, 0])
    assert not state.is_deleted()
