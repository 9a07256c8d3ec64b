"""Runs in segments: equal to a plain call where they finish, and stopped between segments where they are asked to."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax import flow
from spago_jax.errors import InputError

KEY = jax.random.key(0)
X = jnp.array([[1.0, 2.0], [0.1, 0.3]])


def double(x):
    return 2 * x


def counter():
    return flow.start().through(lambda x, n: x + n + 1).using("n").tag("n")


FLOWS = {
    "times": lambda: flow.start(double).tag("first").loop(double).times(7).tag("loop").through(double),
    "while": lambda: flow.start().loop(double).while_(flow.threshold(100), 50).tag("loop"),
    "no iteration": lambda: flow.start().loop(double).while_(flow.threshold(0), 50).tag("loop"),
    "until": lambda: flow.start().loop(double).until(flow.threshold(100), 50).tag("loop"),
    "once": lambda: flow.start().loop(double).until(flow.threshold(0), 50).tag("loop"),
    "rows": lambda: flow.start().loop(double).until(flow.threshold(10, per="example"), 9, per="example").tag("loop"),
    "memory": lambda: flow.start().loop(counter()).times(5).tag("loop").through(flow.add).using("m").tag("m"),
    "fresh": lambda: flow.start().loop(counter(), fresh=True).times(5).tag("loop"),
    "branches": lambda: flow.start().switch(lambda x: 1, [double, counter()]).map(double).each().tag("loop"),
}


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_finished_run_equals_a_call(name, size):
    net = FLOWS[name]().build(KEY, X)
    state = net.initial_state(X) or None
    for _ in range(2):
        expected, seen = jax.jit(lambda net, x, state: net.observe(x, state))(net, X, state)
        outcome = flow.run(net, X, state, iterations=size)
        assert outcome.finished
        after = None
        if net.plan.stateful:
            expected, after = expected
        np.testing.assert_allclose(outcome.value, expected, rtol=1e-6)
        assert jax.tree.structure(outcome.state) == jax.tree.structure(after)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), outcome.state, after)
        if "loop.iterations" in seen:
            np.testing.assert_array_equal(outcome.iterations["loop"], seen["loop.iterations"])
        state = outcome.state


def slow(x):
    """About 20 ms an iteration, by the host's clock: the limits below are far from both sides of it."""

    def wait(x):
        threading.Event().wait(0.02)
        return np.asarray(x)

    return jax.pure_callback(wait, jax.ShapeDtypeStruct(x.shape, x.dtype), x) + 1


@pytest.mark.parametrize(
    "make", [lambda loop: loop.times(10_000), lambda loop: loop.until(flow.threshold(1e9), 10_000)]
)
def test_a_limit_of_time_gives_back_what_there_is(make):
    net = make(flow.start(double).tag("first").loop(slow)).tag("loop").through(double).build(KEY, "f32[1, 2]")
    outcome = flow.run(net, X[:1], timeout=0.5, iterations=4)
    assert outcome.reason == "timeout"
    assert not outcome.finished
    assert outcome.step == "loop"
    done = int(outcome.iterations["loop"])
    assert 0 < done < 10_000
    np.testing.assert_allclose(outcome.value, 2 * X[:1] + done, rtol=1e-6)  # the running state
    assert list(outcome.tags) == ["first"]
    assert outcome.state is None
    assert outcome.seconds >= 0.5


@pytest.mark.parametrize("name", ["times", "while", "until", "branches"])
def test_it_is_cancelled_between_segments(name):
    cancel = threading.Event()
    cancel.set()
    outcome = flow.run(FLOWS[name]().build(KEY, X), X, cancel=cancel, iterations=2)
    assert outcome.reason == "cancelled"


def test_what_nobody_stops_ends():
    assert flow.run(FLOWS["times"]().build(KEY, X), X, cancel=threading.Event(), timeout=100.0).finished


def test_mistakes():
    net = FLOWS["times"]().build(KEY, X)
    with pytest.raises(InputError, match="run: timeout is 0, expected seconds above 0"):
        flow.run(net, X, timeout=0)
    with pytest.raises(InputError, match="run: iterations is 0, expected at least 1"):
        flow.run(net, X, iterations=0)
    with pytest.raises(InputError, match="step_times: rounds is 0, expected at least 1"):
        flow.step_times(net, X, rounds=0)
    with pytest.raises(InputError, match="this flow has no input 'aux'"):
        flow.run(net, X, aux=X)


def test_step_times_are_those_of_the_steps():
    net = flow.start(double).tag("fast").loop(slow).times(2).tag("slow").build(KEY, "f32[1, 2]")
    times = flow.step_times(net, X[:1], rounds=2)
    assert list(times) == ["fast", "slow"]
    assert times["slow"] > times["fast"]  # 40 ms of waiting against one product
