"""Loops against hand-unrolled JAX: values and gradients, for whole batches and row by row; what compiles, and when."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax import flow
from spago_jax.core import Rng, flat
from spago_jax.nn import Dropout, Linear

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (5, 3)) * 2
BODY = Linear(weight=jax.random.normal(jax.random.key(2), (3, 3)) * 0.8, bias=jnp.array([0.1, -0.2, 0.3]))
LONG = 0.9  # halts once the longest number of a row is below this


@pytest.fixture
def wide():
    """``BODY`` and ``X`` in float64, whose rounding no comparison sees."""
    with jax.enable_x64(True):
        yield jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (BODY, X))


def body(layer, x):
    return jnp.tanh(layer(x))


class Tanh(sj.Module):
    layer: Linear

    def __call__(self, x):
        return body(self.layer, x)


def short(state):
    return LONG - jnp.abs(state[:1]).max()


def rows_short(state):
    return LONG - jnp.abs(state).max(-1)


def unrolled(layer, x, form, per, most):
    """What the loop means, with Python's own control flow."""
    count = 0
    if per == "example":
        pairs = [unrolled(layer, row[None], form, "batch", most) for row in x]
        return jnp.concatenate([y for y, _ in pairs]), [n for _, n in pairs]
    while count < most:
        if form == "while" and float(short(x)) > 0:
            break
        x = body(layer, x)
        count += 1
        if form == "until" and float(short(x)) > 0:
            break
    return x, count


def loop(form, per, most, **options):
    unfinished = flow.start().loop(Tanh(BODY), **options)
    condition = short if per == "batch" else rows_short
    made = unfinished.while_ if form == "while" else unfinished.until
    return made(condition, most, per=per).tag("loop").build(KEY, X)


@pytest.mark.parametrize(
    ("form", "per", "options"),
    [
        ("while", "batch", {}),
        ("while", "example", {}),
        ("until", "batch", {"unroll": 2}),
        ("until", "example", {}),
    ],
)
def test_values_and_gradients_equal_the_unrolled_loop(form, per, options):
    net = loop(form, per, 6, **options)
    y, seen = jax.jit(lambda net, x: net.observe(x))(net, X)
    expected, count = unrolled(BODY, X, form, per, 6)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    assert seen["loop.iterations"].tolist() == count
    if per == "example":
        assert len(set(count)) > 1  # rows do halt at different times
    weight = jnp.arange(15.0).reshape(5, 3) / 10
    ours = jax.jit(jax.grad(lambda net, x: (net(x) * weight).sum(), (0, 1)))(net, X)

    def by_hand(layer, x):
        if per == "batch":
            for _ in range(count):
                x = body(layer, x)
            return (x * weight).sum()
        total = 0.0
        for row, n, w in zip(x, count, weight, strict=True):
            for _ in range(n):
                row = body(layer, row)
            total = total + (row * w).sum()
        return total

    layer, x = jax.jit(jax.grad(by_hand, (0, 1)))(BODY, X)
    np.testing.assert_allclose(ours[0].layers["loop"]["body"].layer.weight, layer.weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours[1], x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"remat": True}, {"unroll": 3}])
def test_times(options, wide):
    layer, x = wide
    net = flow.start().loop(Tanh(layer), **options).times(4).build(KEY, x)

    def by_hand(layer, x):
        for _ in range(4):
            x = body(layer, x)
        return x

    np.testing.assert_allclose(net(x), by_hand(layer, x), rtol=1e-6)
    ours = jax.jit(jax.grad(lambda net: (net(x) ** 2).sum()))(net).layers["loop"]["body"].layer
    theirs = jax.grad(lambda layer: (by_hand(layer, x) ** 2).sum())(layer)
    np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-4, atol=1e-6)


def test_truncated_back_propagation(wide):
    layer, x = wide
    net = flow.start().loop(Tanh(layer), truncate=2).times(5).build(KEY, x)

    def by_hand(layer, x):
        for i in range(5):
            x = body(layer, jax.lax.stop_gradient(x) if i % 2 == 0 else x)
        return x

    np.testing.assert_allclose(net(x), by_hand(layer, x), rtol=1e-6)
    ours = jax.jit(jax.grad(lambda net, x: net(x).sum(), (0, 1)))(net, x)
    theirs = jax.jit(jax.grad(lambda layer: by_hand(layer, x).sum()))(layer)
    np.testing.assert_allclose(ours[0].layers["loop"]["body"].layer.weight, theirs.weight, rtol=1e-4, atol=1e-6)
    assert not np.asarray(ours[1]).any()


def test_nothing_is_compiled_when_the_count_changes():
    net = loop("while", "batch", 20)
    program = sj.compile(lambda net, x: net.observe(x), name="net")
    counts = {int(program(net, X * scale)[1]["loop.iterations"]) for scale in (0.1, 0.5, 1.0, 3.0)}
    assert len(counts) > 1
    assert program.traces == 1


def test_the_trace_of_a_loop():
    net = flow.start().loop(lambda x: 2 * x, trace=True).times(3).tag("loop").build(KEY, "f32[1]")
    assert net.observe(jnp.ones(1))[1]["loop.trace"].ravel().tolist() == [1.0, 2.0, 4.0, 8.0]
    most = (
        flow.start().loop(lambda x: 2 * x, trace=jnp.max).until(lambda x: x.max() - 3, 9).tag("t").build(KEY, "f32[1]")
    )
    assert most.observe(jnp.ones(1))[1]["t.trace"].tolist()[:3] == [1.0, 2.0, 4.0]
    assert most.observe(jnp.ones(1))[1]["t.iterations"] == 2


def test_refs_are_the_same_at_each_iteration():
    net = flow.start().tag("x").loop(lambda state, x: state + x).times(3).using("x").build(KEY, "f32[batch]")
    assert net(jnp.array([1.0, 5.0])).tolist() == [4.0, 20.0]


def test_randomness_differs_between_iterations():
    net = flow.start().loop(Dropout.init(0.5)).times(2).build(KEY, "f32[batch]")
    x = jnp.ones(2000)
    y = net(x, rng=Rng.seed(0))
    assert set(np.unique(y)) == {0.0, 4.0}
    assert 0.2 < float((y > 0).mean()) < 0.3  # both masks, not one mask twice
    assert (net(x) == 1).all()


class Halt(sj.Module):
    layer: Linear

    def __call__(self, state):
        return self.layer(state)


def act_by_hand(layer, halt, x, most, epsilon, counts=None):
    """Graves (2016), equations 5 to 8, one row at a time; ``counts`` where they are known and cannot be compared."""
    outputs, ponder = [], []
    for place, row in enumerate(x):
        state, spent, out = row, 0.0, 0.0
        for n in range(most):
            state = body(layer, state)
            h = jax.nn.sigmoid(halt(state)[0])
            if n + 1 == most or (float(spent + h) >= 1 - epsilon if counts is None else n + 1 == counts[place]):
                remainder = 1 - spent
                out = out + remainder * state
                ponder.append(n + 1 + remainder)
                break
            out, spent = out + h * state, spent + h
        outputs.append(out)
    return jnp.stack(outputs), jnp.stack(ponder)


def test_adaptive_computation_time():
    halt = Linear(weight=jnp.array([[1.0, -2.0, 0.5]]), bias=jnp.array([-0.5]))
    net = flow.start().loop(Tanh(BODY)).adaptive(Halt(halt), 6, cost=0.1).tag("think").build(KEY, X)
    y, seen = jax.jit(lambda net, x: net.observe(x))(net, X)
    expected, ponder = act_by_hand(BODY, halt, X, 6, 0.01)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen["think.ponder"], ponder.mean(), rtol=1e-5)
    np.testing.assert_allclose(net.losses(seen), 0.1 * ponder.mean(), rtol=1e-5)
    assert len(set(seen["think.iterations"].tolist())) > 1

    counts = seen["think.iterations"].tolist()

    def ours(net):
        y, seen = net.observe(X)
        return (y**2).sum() + net.losses(seen)

    def theirs(layer, halt):
        y, ponder = act_by_hand(layer, halt, X, 6, 0.01, counts)
        return (y**2).sum() + 0.1 * ponder.mean()

    found = flat(jax.jit(jax.grad(ours))(net))
    layer, halting = jax.jit(jax.grad(theirs, (0, 1)))(BODY, halt)
    np.testing.assert_allclose(found["layers.think.body.layer.weight"], layer.weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["layers.think.condition.layer.weight"], halting.weight, rtol=1e-4, atol=1e-5)


def test_adaptive_rows_beyond_the_lengths_take_no_part():
    net = flow.start().loop(Tanh(BODY)).adaptive(flow.learned_halt(), 5).tag("t").build(KEY, "f32[batch, time, 3]")
    xs = jax.random.normal(KEY, (2, 4, 3))
    lengths = jnp.array([4, 2])
    y, seen = net.observe(xs, lengths=lengths)
    other, again = net.observe(xs.at[1, 2:].set(99.0), lengths=lengths)
    np.testing.assert_array_equal(y[1, :2], other[1, :2])
    assert seen["t.ponder"] == again["t.ponder"]
    assert not np.asarray(y[1, 2:]).any()
    np.testing.assert_allclose(y[1, :2], net(xs[1:, :2])[0], rtol=1e-6)  # as without padding


def test_loops_within_vmap_and_second_derivatives():
    net = loop("until", "batch", 4)
    one_by_one = jnp.stack([net(x[None])[0] for x in X])
    np.testing.assert_allclose(jax.vmap(lambda x: net(x[None])[0])(X), one_by_one, rtol=1e-6)
    f = lambda x: net(x[None]).sum()  # noqa: E731
    hessian = jax.jit(jax.jacrev(jax.grad(f)))(X[0])
    step = 1e-3
    slope = jax.jit(jax.grad(f))
    finite = jnp.stack([(slope(X[0] + step * e) - slope(X[0] - step * e)) / (2 * step) for e in jnp.eye(3)])
    np.testing.assert_allclose(hessian, finite, rtol=2e-2, atol=2e-3)


def test_the_backward_pass_keeps_states_and_not_the_weights_of_each_iteration():
    net = flow.start().loop(Tanh(Linear.init(KEY, 64, 64))).until(lambda s: s[0, 0] - 11, 30).build(KEY, "f32[5, 64]")
    jaxpr = str(jax.make_jaxpr(jax.grad(lambda net, x: net(x).sum()))(net, jnp.ones((5, 64))))
    assert "f32[30,5,64]" in jaxpr
    assert "f32[30,64,64]" not in jaxpr
