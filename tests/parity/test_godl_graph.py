"""goDl's own graph tests (rows G1 to G54 of the reference's section D.1), with their numbers and tolerances."""

import dataclasses

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax import flow
from spago_jax.core import count_parameters, flat
from spago_jax.nn import Linear

KEY = jax.random.key(0)
EYE = [[1.0, 0.0], [0.0, 1.0]]
TWO = [[2.0, 0.0], [0.0, 2.0]]


def lin(weight, bias=0.0):
    """y = x W' + b."""
    weight = jnp.array(weight, jnp.float32)
    return Linear(weight=weight, bias=jnp.zeros(weight.shape[0]) + jnp.array(bias, jnp.float32))


def entry():
    return flow.start(lin(EYE))


def built(flow_, x, **inputs):
    return flow_.build(KEY, jnp.array(x), **{name: jnp.array(value) for name, value in inputs.items()})


def run(flow_, x, **inputs):
    inputs = {name: jnp.array(value) for name, value in inputs.items()}
    net = built(flow_, x, **inputs)
    return jax.jit(lambda net, x, inputs: net(x, **inputs))(net, jnp.array(x), inputs)


def gradients(flow_, x):
    """Of the sum of the output, by path."""
    net = built(flow_, x)
    return {
        path.removeprefix("layers."): g
        for path, g in flat(sj.value_and_grad(lambda net: net(jnp.array(x)).sum())(net)[1]).items()
    }


def close(found, expected, tolerance=1e-5):
    helpers.close(found, np.array(expected, np.float32), tolerance, relative=0)


def tensors(net):
    return len(flat(net))


X = [[1.0, 2.0]]


def test_g1_g2_chain():
    parts = lin([[1, 0], [0, 1], [1, 1]]), lin([[1, 1, 1]])
    chain = flow.start(parts[0]).through(jax.nn.relu).through(parts[1])
    close(run(chain, X), [[6]], 1e-6)
    by_hand = jax.grad(lambda parts: parts[1](jax.nn.relu(parts[0](jnp.array(X)))).sum())(parts)
    found = gradients(chain, X)
    for name, layer in zip(("linear", "linear_2"), by_hand, strict=True):
        close(found[f"{name}.weight"], layer.weight)
        close(found[f"{name}.bias"], layer.bias)


def test_g3_a_flow_inside():
    inner = entry().through(jax.nn.relu)
    outer = flow.start(inner).through(lin([[1, 1]]))
    close(run(outer, [[3.0, -1.0]]), [[3]], 1e-6)
    assert tensors(built(outer, X)) == 4


def test_g4_also():
    close(run(entry().also(lin(TWO)), [[1.0, 3.0]]), [[3, 9]], 1e-6)


def test_g5_to_g8_split_and_merge():
    close(run(entry().split(lin(EYE, 1), lin(TWO)).merge(flow.add), X), [[4, 7]], 1e-6)
    two = entry().split(lin([[1, 0]]), lin([[0, 1]])).merge(flow.add)
    close(run(two, [[3.0, 5.0]]), [[8]], 1e-6)
    found = gradients(two, [[3.0, 5.0]])
    assert all(np.abs(found[f"{name}.bias"]).sum() > 0 for name in ("linear_2", "linear_3"))
    three = entry().split(lin([[1, 0], [0, 0]]), lin([[0, 0], [0, 1]]), lin(EYE, 1)).merge("add")
    net = built(three, X)
    for i in range(20):
        a, b = i + 1.0, i + 2.0
        close(net(jnp.array([[a, b]])), [[2 * a + 1, 2 * b + 1]])
    close(run(entry().split(lin([[1, 0]]), lin([[0, 1]]), lin([[1, 1]])).merge("add"), [[2.0, 3.0]]), [[10]])


def test_g9_to_g13_loops_of_a_fixed_count():
    close(run(entry().loop(lin(TWO)).times(3), X), [[8, 16]])
    close(run(entry().loop(lin(EYE, [0.1, 0.2])).times(5), X), [[1.5, 3.0]])
    close(gradients(entry().loop(lin(EYE, [0.1, 0.2])).times(5), X)["loop.body.bias"], [5, 5], 1e-4)
    body = lin([[3, 0], [0, 3]], [1, 1])
    once = run(entry().loop(body).times(1), [[2.0, 5.0]])
    close(once, [[7, 16]])
    close(once, body(jnp.array([[2.0, 5.0]])))
    chained = entry().loop(lin(EYE, 1)).times(4).through(lin([[1, 1]]))
    close(run(chained, [[0.0, 0.0]]), [[8]])
    close(gradients(chained, [[0.0, 0.0]])["loop.body.bias"], [4, 4])
    assert tensors(built(entry().loop(lin(EYE)).times(3), X)) == 4


def test_g14_traces_of_a_body_with_memory():
    # The body counts its calls; `fresh` starts it anew at each call of the flow, as goDl resets what can be reset.
    counter = flow.start(lambda x: x).through(lambda x, count: x * 0 + count + 1).using("count").tag("count")
    net = built(entry().loop(counter, fresh=True, trace="count").times(3).tag("loop"), X)
    for _ in range(2):
        _, seen = net.observe(jnp.array(X))
        close(seen["loop.trace"][:, 0, 0], [0, 1, 2, 3], 1e-6)


def test_g15_to_g17_tags():
    close(run(entry().tag("here").through(lin([[1, 1]])), [[3.0, 5.0]]), [[8]], 1e-6)
    close(run(entry().tag("src").through(lin(TWO)).through(flow.add).using("src"), [[1.0, 3.0]]), [[3, 9]], 1e-6)
    twice = entry().tag("ctx").split(lambda x, ctx: x + ctx, lambda x, ctx: x + ctx).using("ctx").merge("add")
    close(run(twice, [[1.0, 3.0]]), [[4, 12]], 1e-6)


def test_g18_g19_inputs():
    close(run(entry().input("aux").through(flow.add).using("aux"), X, aux=[[10.0, 20.0]]), [[11, 22]], 1e-6)
    doubled = flow.start(lin(TWO)).input("aux").through(flow.add).using("aux")
    net = built(doubled, X, aux=X)
    main, aux = jax.grad(lambda x, aux: net(x, aux=aux).sum(), (0, 1))(jnp.array(X), jnp.array([[10.0, 20.0]]))
    close(main, [[2, 2]])
    close(aux, [[1, 1]])
    both = entry().input("a", "b").through(flow.add).using("a").through(flow.add).using("b")
    close(run(both, [[1.0, 1.0]], a=[[10.0, 10.0]], b=[[100.0, 100.0]]), [[111, 111]])


def above(limit):
    return lambda state: state.max() - limit


@pytest.mark.parametrize(
    ("limit", "most", "x", "expected", "iterations"),
    [(10, 10, X, [[8, 16]], 3), (50, 100, X, [[32, 64]], 5), (0, 10, [[3.0, 7.0]], [[3, 7]], 0)],
)
def test_g20_to_g22_while(limit, most, x, expected, iterations):
    net = built(entry().loop(lin(TWO)).while_(flow.threshold(limit), most).tag("loop"), x)
    y, seen = net.observe(jnp.array(x))
    close(y, expected)
    assert seen["loop.iterations"] == iterations


def test_g23_gradients_through_while():
    loop = entry().loop(lin(EYE, [0.1, 0.2])).while_(flow.threshold(2.7), 10)
    assert built(loop, X).observe(jnp.array(X))[1]["loop.iterations"] == 4
    close(gradients(loop, X)["loop.body.bias"], [4, 4], 1e-4)


@pytest.mark.parametrize(
    ("body", "condition", "most", "expected", "iterations"),
    [
        (lin(TWO), above(50), 100, [[32, 64]], 5),
        (lin(TWO), lambda s: jnp.float32(-1), 3, [[8, 16]], 3),
        (lin(EYE, [0.1, 0.2]), above(2.5), 20, [[1.3, 2.6]], 3),
    ],
)
def test_g24_to_g26_until(body, condition, most, expected, iterations):
    net = built(entry().loop(body).until(condition, most).tag("loop"), X)
    y, seen = net.observe(jnp.array(X))
    close(y, expected)
    assert seen["loop.iterations"] == iterations


def test_g27_g28_until():
    close(gradients(entry().loop(lin(EYE, [0.1, 0.2])).until(above(2.5), 20), X)["loop.body.bias"], [3, 3], 1e-4)
    body = lin(EYE)
    assert tensors(built(flow.start(body).loop(body).until(lin([[1, 1]]), 5), X)) == 4  # the body counts once


def test_g29_to_g32_gates():
    def gate(router):
        return entry().gate(router, [lin(EYE), lin(TWO)])

    softmax = lambda logits: lambda x: jax.nn.softmax(jnp.array([logits]))  # noqa: E731
    close(run(gate(softmax([0.0, 0.0])), [[2.0, 4.0]]), [[3, 6]])
    close(run(gate(softmax([10.0, -10.0])), [[2.0, 4.0]]), [[2, 4]], 1e-3)
    reads = entry().tag("ref").gate(lambda x, ref: jax.nn.softmax(x + ref), [lin(EYE), lin(TWO)]).using("ref")
    close(run(reads, [[1.0, 3.0]]), [[1.982, 5.946]], 1e-3)
    assert tensors(built(entry().gate(lin(EYE), [lin(EYE), lin(TWO)]), X)) == 8


def states(flow_, xs):
    net = built(flow_, xs[0])
    step = jax.jit(lambda net, x, state: net(x, state))
    state, found = net.initial_state(jnp.array(xs[0])), []
    for x in xs:
        y, state = step(net, jnp.array(x), state)
        found.append(y)
    return found


def test_g33_to_g35_forward_references():
    for part in (flow.state_add, flow.add):
        carries = entry().through(part).using("memory").tag("memory")
        for found, expected in zip(states(carries, [X] * 3), ([[1, 2]], [[2, 4]], [[3, 6]]), strict=True):
            close(found, expected, 1e-6)
    close(states(carries, [[[1.0, 1.0]]])[0], [[1, 1]], 1e-6)  # a fresh state before the call


def test_g36_a_forward_reference_in_the_body_of_a_loop():
    body = flow.start(flow.state_add).using("memory").tag("memory")
    close(states(entry().loop(body).times(4), [X])[0], [[8, 16]])


def test_g37_g38_forward_and_backward():
    mixed = entry().through(flow.state_add).using("m").tag("m").through(flow.add).using("m")
    for found, expected in zip(states(mixed, [X, X]), ([[2, 4]], [[4, 8]]), strict=True):
        close(found, expected, 1e-6)
    written = entry().through(flow.add).using("s").through(lin(TWO)).tag("s")
    for found, expected in zip(states(written, [X, X]), ([[2, 4]], [[6, 12]]), strict=True):
        close(found, expected)
    net = built(written, X)

    def second(net):
        _, state = net(jnp.array(X))
        return net(jnp.array(X), state)[0].sum()

    assert np.abs(sj.value_and_grad(second)(net)[1].layers["s"].weight).sum() > 0


def test_g39_to_g44_switch():
    def doubled(x):
        return 2 * x

    def tripled(x):
        return 3 * x

    close(run(entry().switch(flow.fixed_selector(1), [doubled, tripled]), X), [[3, 6]])
    close(run(entry().switch(flow.fixed_selector(0), [doubled, tripled]), X), [[2, 4]])

    ran = []

    def counting(name):
        def branch(x):
            jax.debug.callback(lambda: ran.append(name))
            return x

        return branch

    run(entry().switch(flow.fixed_selector(1), [counting("first"), counting("second")]), X)
    jax.effects_barrier()
    assert ran == ["second"]

    found = gradients(entry().switch(flow.fixed_selector(1), [lin(EYE, [10, 20]), lin(EYE, [100, 200])]), X)
    close(found["switch.branch_1.bias"], [1, 1])
    close(found["switch.branch_0.bias"], [0, 0])  # goDl: none; `skip_unused` makes zero gradients mean none

    argmax = flow.layer(flow.ArgmaxSelector, 2)
    net = built(entry().switch(argmax, [doubled, tripled]), X)
    net = net.replace(layers=net.layers | {"switch": {"selector": flow.ArgmaxSelector(lin([[-1, 1], [1, -1]]))}})
    close(net(jnp.array([[1.0, 2.0]])), [[2, 4]])
    close(net(jnp.array([[2.0, 1.0]])), [[6, 3]])

    reads = entry().tag("ref").switch(lambda x, ref: ref[0, 1] - 1, [doubled, tripled]).using("ref")
    close(run(reads, X), [[3, 6]])

    shared = lin(EYE)
    assert tensors(built(flow.start(shared).switch(lin(EYE), [shared, lin(TWO)]), X)) == 6


def test_g45_to_g50_map():
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    close(run(entry().map(lin(TWO)).each(), rows), np.array(rows) * 2)
    close(run(entry().tag("items").map(lin(TWO)).over("items"), rows[:2]), np.array(rows[:2]) * 2)
    close(gradients(entry().map(lin(EYE, [0.1, 0.2])).each(), rows)["map.body.bias"], [3, 3])
    four = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    close(run(flow.start(lin(np.eye(4))).map(lin(EYE)).slices(2), four), four)
    close(gradients(flow.start(lin(np.eye(4))).map(lin(EYE, [0.1, 0.2])).slices(2), four[:1])["map.body.bias"], [2, 2])
    eight = np.arange(1.0, 9.0, dtype=np.float32)[None]
    for data, make in ((rows, lambda m: m.each()), (eight, lambda m: m.slices(4))):
        start = flow.start(lin(np.eye(np.shape(data)[1])))
        one_by_one = run(make(start.map(lin(TWO, [0.1, 0.2]))), data)
        close(run(make(start.map(lin(TWO, [0.1, 0.2])).batched()), data), one_by_one)
    close(gradients(entry().map(lin(EYE, [0.1, 0.2])).batched().each(), rows[:2])["map.body.bias"], [2, 2])


def test_g51_reshape():
    eight = np.arange(8.0, dtype=np.float32)[None]
    close(run(flow.start(flow.reshape(4, 2)).through(flow.reshape(1, 8)), eight), eight)


def test_g52_a_body_that_is_also_the_entry():
    calls = []

    def body(x):
        jax.debug.callback(lambda: calls.append(1))
        return x

    close(run(flow.start(body).loop(body).times(5), [[42.0]]), [[42]])
    jax.effects_barrier()
    assert len(calls) == 6


def test_g54_every_method_in_one_flow():
    @dataclasses.dataclass(frozen=True)
    class Light:
        def __call__(self, x):
            return x

    linear = flow.linear
    net = (
        flow.start(linear(2))
        .tag("input")
        .through(jax.nn.gelu)
        .through(flow.layer_norm())
        .split(linear(2), linear(2))
        .tag_group("head")
        .merge(flow.mean)
        .also(linear(2))
        .loop(flow.start(linear(2)).through(jax.nn.gelu))
        .times(2)
        .tag("refined")
        .gate(flow.softmax_router(2), [linear(2), linear(2)])
        .using("input")
        .switch(flow.fixed_selector(0), [Light(), linear(2)])
        .using("refined")
        .map(linear(2))
        .each()
        .map(linear(1))
        .slices(2)
        .through(flow.state_add)
        .using("memory")
        .tag("memory")
        .loop(linear(2))
        .while_(flow.threshold(5.0), 5)
        .loop(linear(2))
        .until(flow.learned_halt(), 7)
        .through(flow.reshape(1, 2))
        .through(linear(2))
        .build(KEY, "f32[1, 2]")
    )
    y, state = net(jnp.array(X))
    assert y.shape == (1, 2)
    assert state["memory"].shape == (1, 2)
    assert np.isfinite(y).all()
    assert count_parameters(net) == sum(np.size(leaf) for leaf in jax.tree.leaves(net))
    _, grads = sj.value_and_grad(lambda net: net(jnp.array(X))[0].sum())(net)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
