"""Switches: rows that choose for themselves, gradients, and optimizers that pass over what was not chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import spago_jax as sj
from spago_jax import flow
from spago_jax.core import flat
from spago_jax.core.taps import collect_taps

KEY = jax.random.key(0)
X = jnp.array([[1.0, 2.0], [-3.0, 0.5], [2.0, -1.0], [-1.0, -4.0]])


def by_sign(x):
    return (x[:, 0] > 0).astype(jnp.int32)


def test_rows_choose_for_themselves():
    layers = flow.copies(flow.linear(3), 2)
    net = flow.start().switch(by_sign, layers, per="example").tag("y").build(KEY, X)
    first, second = net.layers["y"]["branch_0"], net.layers["y"]["branch_1"]
    expected = np.stack([(second if row[0] > 0 else first)(row) for row in X])
    y, seen = jax.jit(lambda net, x: net.observe(x))(net, X)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert seen["y.index"].tolist() == [1, 0, 1, 0]

    def by_hand(pair, x):
        return sum((pair[int(row[0] > 0)](row) ** 2).sum() for row in x)

    ours = jax.jit(jax.grad(lambda net, x: (net(x) ** 2).sum(), (0, 1)))(net, X)
    theirs = jax.grad(
        lambda pair, x: sum((pair[i](row) ** 2).sum() for i, row in zip([1, 0, 1, 0], x, strict=True)), (0, 1)
    )((first, second), X)
    assert by_hand((first, second), np.asarray(X)) > 0
    for name, layer in zip(("branch_0", "branch_1"), theirs[0], strict=True):
        np.testing.assert_allclose(ours[0].layers["y"][name].weight, layer.weight, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5, atol=1e-6)


def test_no_value_reaches_a_branch_that_was_not_meant_for_it():
    # The square root of a negative number is NaN, and its gradient at 0 infinite: neither may leak into other rows.
    net = (
        flow.start().switch(by_sign, [lambda x: jnp.zeros_like(x), jnp.sqrt], per="example").build(KEY, "f32[batch, 1]")
    )
    x = jnp.array([[4.0], [-1.0], [0.0]])
    y, slope = net(x), jax.jit(jax.grad(lambda x: net(x).sum()))(x)
    assert y.ravel().tolist() == [2.0, 0.0, 0.0]
    assert slope.ravel().tolist() == [0.25, 0.0, 0.0]


def test_a_branch_that_no_row_chose_does_not_run():
    ran = []

    def noted(name):
        def branch(x):
            jax.debug.callback(lambda: ran.append(name))
            return x

        return branch

    net = flow.start().switch(by_sign, [noted("first"), noted("second")], per="example").build(KEY, X)
    jax.jit(net)(jnp.abs(X))
    jax.effects_barrier()
    assert ran == ["second"]


@pytest.mark.parametrize("optimizer", [optax.adamw(0.1, weight_decay=0.1), optax.sgd(0.1, momentum=0.9)])
def test_what_was_not_chosen_is_not_moved(optimizer):
    # Oracle: an optimizer over the chosen branch alone, at the steps where it was chosen (Adam's count is shared, so
    # the branch is chosen at every step of the first three, and then rests).
    net = flow.start().switch(lambda x: x[0, 0], flow.copies(flow.linear(2), 2)).build(KEY, "f32[batch, 2]")
    skipping = flow.skip_unused(optimizer, net)
    loss = lambda net, x: (net(x) ** 2).sum()  # noqa: E731

    @jax.jit
    def step(net, state, x):
        updates, state = skipping.update(jax.grad(loss)(net, x), state, net)
        return optax.apply_updates(net, updates), state

    state, alone = skipping.init(net), net.layers["switch"]["branch_1"]
    alone_state = optimizer.init(alone)
    for _ in range(3):
        net, state = step(net, state, jnp.array([[1.0, 0.5]]))
        grads = jax.grad(lambda layer: (layer(jnp.array([[1.0, 0.5]])) ** 2).sum())(alone)
        updates, alone_state = optimizer.update(grads, alone_state, alone)
        alone = optax.apply_updates(alone, updates)
    for name, value in flat(alone).items():
        np.testing.assert_allclose(flat(net)[f"layers.switch.branch_1.{name}"], value, rtol=1e-6)
    before, memory = flat(net), flat(state)
    net, state = step(net, state, jnp.array([[0.0, 0.5]]))
    for name, value in flat(net).items():
        assert np.array_equal(value, before[name]) == ("branch_1" in name), name
    kept = [name for name in memory if "branch_1" in name]
    assert kept
    assert all(np.array_equal(flat(state)[name], memory[name]) for name in kept)


def test_branches_with_memory_keep_it_while_others_run():
    count = flow.start().through(lambda x, n: x * 0 + n + 1).using("n").tag("n")
    net = flow.start().switch(lambda x: x[0, 0], [count, lambda x: x]).build(KEY, "f32[batch, 1]")
    state, found = net.initial_state("f32[1, 1]"), []
    for index in (0.0, 1.0, 0.0):
        y, state = jax.jit(net.__call__)(jnp.array([[index]]), state)
        found.append(float(y[0, 0]))
    assert found == [1.0, 1.0, 2.0]


def test_taps_of_branches():
    inner = flow.start(lambda x: x + 1).tag("more")
    net = flow.start().switch(lambda x: x[0, 0], [inner, lambda x: x]).tag("s").build(KEY, "f32[batch, 1]")
    with collect_taps() as found:
        net(jnp.array([[0.0]]))
    assert found["s/branch_0/more"].tolist() == [[1.0]]
    with collect_taps() as found:
        net(jnp.array([[1.0]]))
    assert found["s/branch_0/more"].tolist() == [[0.0]]  # it did not run
    assert "branch_0" in str(sj.graph(net, "f32[2, 1]").text()) or found
