"""Buckets: ragged inputs meet few compiled programs, and the results are those of the unpadded function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spago_jax as sj
from spago_jax.compiler import CompileCounter
from spago_jax.errors import InputError

BUCKETS = sj.Buckets(batch=(2, 4), time=(4, 8))
FEATURES = 3


def sequence(rng, batch, time, features=FEATURES):
    return rng.standard_normal((batch, time, features)).astype(np.float32)


def masked_mean(x, lengths):
    """[batch, time, features] -> [batch, features]; a row of length 0 gives 0."""
    mask = jnp.arange(x.shape[1]) < lengths[:, None]
    total = jnp.where(mask[..., None], x, 0).sum(1)
    return total / jnp.maximum(lengths, 1)[:, None]


def masked_lstm(weights, x, lengths):
    """A small LSTM, written out: every state, the last state of each row, and the number of rows."""
    wx, wh, b = weights
    size = wh.shape[1]

    def step(state, inputs):
        h, c = state
        xt, alive = inputs
        i, f, g, o = jnp.split(xt @ wx.T + h @ wh.T + b, 4, axis=-1)
        c_new = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h_new = jax.nn.sigmoid(o) * jnp.tanh(c_new)
        h, c = jnp.where(alive, h_new, h), jnp.where(alive, c_new, c)
        return (h, c), jnp.where(alive, h_new, 0)

    batch, time = x.shape[:2]
    alive = (jnp.arange(time)[:, None] < lengths)[..., None]
    zero = jnp.zeros((batch, size), x.dtype)
    (h, _), ys = jax.lax.scan(step, (zero, zero), (jnp.swapaxes(x, 0, 1), alive))
    return {"states": jnp.swapaxes(ys, 0, 1), "last": h, "tokens": lengths.sum()}


SPECS = (sj.spec("x", f"f32[batch, time, {FEATURES}]"), sj.spec("lengths", "i32[batch]"))
MEAN = sj.compile(masked_mean, *SPECS, buckets=BUCKETS, name="mean")
LSTM = sj.compile(masked_lstm, *SPECS, buckets=BUCKETS, name="lstm")


def ragged(draw):
    batch, time = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    lengths = np.array(draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch)), np.int32)
    return np.random.default_rng(draw(st.integers(0, 99))), batch, time, lengths


@given(st.data())
@settings(max_examples=25)
def test_masked_mean_is_the_same_with_and_without_buckets(data):
    rng, batch, time, lengths = ragged(data.draw)
    x = sequence(rng, batch, time)
    expected = np.stack([row[:n].mean(0) if n else np.zeros(FEATURES) for row, n in zip(x, lengths, strict=True)])
    np.testing.assert_allclose(MEAN(x, lengths), expected, rtol=1e-4, atol=1e-6)
    assert MEAN.traces <= 4


@given(st.data())
@settings(max_examples=25)
def test_masked_lstm_is_the_same_with_and_without_buckets(data):
    rng, batch, time, lengths = ragged(data.draw)
    x = sequence(rng, batch, time)
    weights = tuple(np.random.default_rng(0).standard_normal(s).astype(np.float32) for s in ((8, 3), (8, 2), (8,)))
    out = LSTM(weights, x, lengths)
    assert out["states"].shape == (batch, time, 2)
    assert out["last"].shape == (batch, 2)
    assert int(out["tokens"]) == lengths.sum()
    for row in range(batch):  # each row alone, without any padding
        alone = _lstm_in_numpy(weights, x[row, : lengths[row]])
        np.testing.assert_allclose(out["states"][row, : lengths[row]], alone, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(out["states"][row, lengths[row] :], 0)
        np.testing.assert_allclose(out["last"][row], alone[-1] if len(alone) else np.zeros(2), rtol=1e-4, atol=1e-5)
    assert LSTM.traces <= 4


def _lstm_in_numpy(weights, x):
    wx, wh, b = (w.astype(np.float64) for w in weights)
    h = c = np.zeros(wh.shape[1])
    out = []
    for xt in x.astype(np.float64):
        i, f, g, o = np.split(wx @ xt + wh @ h + b, 4)
        sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out).reshape(-1, wh.shape[1])


def test_lengths_are_made_and_padding_rows_have_length_zero():
    program = sj.compile(lambda x, lengths: lengths, *SPECS, buckets=BUCKETS)
    seen = sj.compile(lambda x, lengths: jnp.zeros(()) + lengths.sum(), *SPECS, buckets=BUCKETS)
    x = np.ones((3, 5, FEATURES), np.float32)
    np.testing.assert_array_equal(program(x), [5, 5, 5])
    np.testing.assert_array_equal(program(x, lengths=None), [5, 5, 5])
    np.testing.assert_array_equal(program(x, [1, 2, 3]), [1, 2, 3])
    np.testing.assert_array_equal(program(lengths=np.array([1, 2, 3], np.int32), x=x), [1, 2, 3])
    assert program.traces == 1
    assert float(seen(x)) == 15  # the fourth row, which padding added, has length 0


def test_lengths_cannot_be_made_without_a_bucketed_time():
    program = sj.compile(masked_mean, *SPECS, buckets=sj.Buckets(batch=(4,)), name="mean")
    with pytest.raises(InputError, match=r"^mean: pass lengths: no bucketed dimension says how long a row is$"):
        program(np.ones((3, 5, FEATURES), np.float32))


def test_padding_is_zero_and_outputs_of_every_kind_are_cut():
    def kinds(x):
        batch, time = x.shape
        return {
            "same": x,
            "turned": x.T,
            "one more": jnp.pad(x, ((0, 0), (1, 0))),
            "first": x.reshape(-1)[:1],
            "pairs": jnp.zeros((time, time, batch + 2)),
            "constant": jnp.arange(4),  # as long as a bucket, and yet no axis of time
            "scalar": x.sum(),
        }

    program = sj.compile(kinds, sj.spec("x", "f32[batch, time]"), buckets=BUCKETS)
    x = np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32)
    out, expected = program(x), kinds(jnp.asarray(x))
    assert jax.tree.map(jnp.shape, out) == jax.tree.map(jnp.shape, expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), out, expected)
    x = x[:1, :2]  # the smallest bucket, by the rule found at another size
    assert jax.tree.map(jnp.shape, program(x)) == jax.tree.map(jnp.shape, kinds(jnp.asarray(x)))
    assert program.traces == 2


def test_an_output_that_follows_no_linear_rule():
    """A stride of 2: the size of the output is the rounded half."""
    program = sj.compile(lambda x: (x[:, ::2], x[:, 1::2]), sj.spec("x", "f32[batch, time]"), buckets=BUCKETS)
    for time in range(1, 9):
        x = np.arange(2 * time, dtype=np.float32).reshape(2, time)
        even, odd = program(x)
        np.testing.assert_array_equal(even, x[:, ::2])
        np.testing.assert_array_equal(odd, x[:, 1::2])
    assert program.traces == 2


@pytest.mark.parametrize(
    ("function", "dims"),
    [
        (lambda x: x.reshape(-1), "batch and time"),
        (lambda x: jnp.concatenate([x, x], axis=1), "time"),
        (lambda x: jnp.concatenate([x[:, 0], x[0]]), "batch and time"),
        (lambda x: jnp.zeros(20 - x.shape[1]), "time"),
    ],
)
def test_an_output_with_padding_inside_is_refused(function, dims):
    """To cut its end would give wrong numbers of the right shape."""
    program = sj.compile(lambda x: (x, function(x)), sj.spec("x", "f32[batch, time]"), buckets=BUCKETS, name="f")
    x = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    np.testing.assert_array_equal(program(x)[1], function(x))  # nothing was padded
    with pytest.raises(InputError, match=rf"^f: output 1 joins {dims} in one axis, so that padding lies inside it and"):
        program(x[:3, :7])


def test_a_function_that_takes_its_buckets_alone_cannot_be_cut():
    program = sj.compile(
        lambda x: x.reshape(x.shape[0], -1, 4).sum(-1),
        sj.spec("x", "f32[batch, time]"),
        buckets=BUCKETS,
        name="windows",
    )
    assert program(np.ones((2, 8), np.float32)).shape == (2, 2)  # as it is: nothing to cut
    with pytest.raises(InputError, match=r"^windows: cannot tell how to cut .*\{'batch': 2, 'time': 7\} .*pad "):
        program(np.ones((2, 7), np.float32))


def test_the_rule_is_found_anew_for_other_models_statics_and_free_sizes():
    specs = (sj.spec("x", "f32[time, d]"),)
    program = sj.compile(lambda w, x, n=1: (x @ w,) * n, *specs, static="n", buckets=sj.Buckets(time=(4,)))
    for d, out, n in ((2, 5, 1), (2, 6, 1), (3, 6, 1), (3, 6, 2), (2, 5, 1), (4, 4, 1)):
        result = program(np.ones((d, out), np.float32), np.ones((3, d), np.float32), n=n)
        assert [r.shape for r in result] == [(3, out)] * n


def test_an_axis_with_the_size_of_a_bucket_is_not_mistaken():
    program = sj.compile(lambda w, x: x @ w, sj.spec("x", "f32[time, 2]"), buckets=sj.Buckets(time=(4,)))
    assert program(np.ones((2, 4), np.float32), np.ones((3, 2), np.float32)).shape == (3, 4)


def test_errors():
    program = sj.compile(masked_mean, *SPECS, buckets=BUCKETS, name="mean")
    with pytest.raises(InputError, match=r"^time = 9 is beyond the largest bucket, 8 of \(4, 8\)$"):
        program(np.ones((2, 9, FEATURES), np.float32))
    with pytest.raises(InputError, match=r"^x: shape \[2, 3, 4\] does not fit f32\[batch, time, 3\]: 3 is 3, not 4$"):
        program(np.ones((2, 3, 4), np.float32))
    with pytest.raises(InputError, match=r"^lengths: shape \[3\] does not fit i32\[batch\]: batch is 2, not 3$"):
        program(np.ones((2, 3, FEATURES), np.float32), np.ones(3, np.int32))
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        program(lengths=np.ones(3, np.int32))
    assert program.traces == 0
    with pytest.raises(
        InputError, match=r"^mean: bucket 'tmie' is not a dimension of a spec \(x: .*did you mean 'time'\?"
    ):
        sj.compile(masked_mean, *SPECS, buckets=sj.Buckets(tmie=(4,)), name="mean")
    with pytest.raises(InputError, match=r"bucket 'time' is not a dimension of a spec \(there are no specs\)"):
        sj.compile(masked_mean, buckets=sj.Buckets(time=(4,)), name="mean")
    for bad in ((), (0, 4), (2.5,), (-1,)):
        with pytest.raises(InputError, match=r"^bucket 'time': sizes must be whole numbers of at least 1, got "):
            sj.Buckets(time=bad)


def test_fit_sorts_and_leaves_others_alone():
    buckets = sj.Buckets(time=(64, 16, 16))
    assert repr(buckets) == "Buckets(time=(16, 64))"
    assert [buckets.fit({"time": n, "d": 7})["time"] for n in (1, 16, 17, 64)] == [16, 16, 64, 64]
    assert buckets.fit({"d": 7}) == {"d": 7}


@pytest.mark.parametrize("convert", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_after_warmup_no_size_compiles_anything(convert):
    program = sj.compile(masked_mean, *SPECS, buckets=BUCKETS, name="mean").warmup().freeze()
    assert program.traces == 4
    arrays = [convert(np.ones((b, t, FEATURES), np.float32)) for b in (1, 3, 4) for t in (1, 2, 5, 8)]
    with CompileCounter() as counter:
        shapes = [program(x).shape for x in arrays]
    assert shapes == [(x.shape[0], FEATURES) for x in arrays]
    assert counter.compilations == 0
    with pytest.raises(sj.RetraceError, match=r"x: float32\[2, 4, 3\] -> int32\[2, 4, 3\]"):
        program(np.ones((2, 4, FEATURES), np.int32))


def test_add_compiles_the_bucket_that_holds_the_arguments():
    program = sj.compile(masked_mean, *SPECS, buckets=BUCKETS, name="mean")
    program.add(jax.ShapeDtypeStruct((3, 5, FEATURES), np.float32)).freeze()
    with CompileCounter() as counter:
        program(np.ones((4, 8, FEATURES), np.float32))
    assert (counter.compilations, program.traces) == (0, 1)
    assert program.report().costs[0].inputs == "x: float32[4, 8, 3], lengths: int32[4]"


def test_donated_and_static_arguments_with_buckets():
    program = sj.compile(
        lambda state, x, count, mode="sum": (state + x.sum(), {"sum": x * count, "copy": x}[mode]),
        sj.spec("x", "f32[time]"),
        donate="state",
        static=("count", "mode"),
        buckets=sj.Buckets(time=(4,)),
    )
    state = jnp.zeros(())
    state_2, y = program(state, np.ones(3, np.float32), 2)
    assert state.is_deleted()
    assert float(state_2) == 3
    np.testing.assert_array_equal(y, [2, 2, 2])
    _, y = program(state_2, np.ones(2, np.float32), count=2, mode="copy")
    np.testing.assert_array_equal(y, [1, 1])


def test_under_jit_and_grad():
    program = sj.compile(lambda x: x**2, sj.spec("x", "f32[time]"), buckets=sj.Buckets(time=(4,)))
    x = jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(jax.grad(lambda x: program(x).sum())(x), 2 * x)
    np.testing.assert_array_equal(jax.jit(program)(x), x**2)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_nothing_in_gives_nothing_out(shape):
    """Padded to a bucket and cut back to no rows, or no steps."""
    program = sj.compile(lambda x: (2 * x, x.sum(1)), sj.spec("x", "f32[batch, time]"), buckets=BUCKETS)
    doubled, total = program(np.ones(shape, np.float32))
    assert (doubled.shape, total.tolist()) == (shape, [0.0] * shape[0])
