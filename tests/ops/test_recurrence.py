# SPDX-License-Identifier: BSD-2-Clause
"""The driver: masks, directions, leading axes, resuming. Oracle: the same cell stepped in a Python loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.nn import GRU, LSTM, BiRNN, StackedRNN
from spago_jax.ops.recurrence import scan_bidirectional, scan_recurrence

LENGTHS = np.array([5, 2, 0, 7])


def make(kind: str, key=0, features=3, out=4, dtype=jnp.float32):
    init = {
        "lstm": lambda k: LSTM.init(k, features, out),
        "gru": lambda k: GRU.init(k, features, out),
        "gru_after": lambda k: GRU.init(k, features, out, reset_after=True),
    }[kind]
    cell = init(jax.random.key(key))
    noise = jax.random.split(jax.random.key(99 + key), len(jax.tree.leaves(cell)))
    leaves, tree = jax.tree.flatten(cell)
    leaves = [(x + 0.3 * jax.random.normal(k, x.shape)).astype(dtype) for x, k in zip(leaves, noise, strict=True)]
    return jax.tree.unflatten(tree, leaves)


def stepped(cell, xs, length, initial=None, reverse=False):
    """One example [time, in] through Python's own loop."""
    state = cell.initial_state((), xs.dtype) if initial is None else initial
    order = range(int(length))
    ys = [jnp.zeros(cell.out_features, xs.dtype)] * xs.shape[0]
    for t in reversed(order) if reverse else order:
        state, ys[t] = cell.step(state, cell.project(xs[t]))
    return jnp.stack(ys), state


CELLS = ["lstm", "gru", "gru_after"]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def inputs(shape=(4, 7, 3), seed=0, dtype=jnp.float64):
    return jax.random.normal(jax.random.key(seed), shape, dtype)


def close(a, b, tolerance=1e-9):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_batch_equals_a_python_loop_over_each_example(kind, given, reverse, kernel):
    cell, xs = make(kind, dtype=jnp.float64), inputs()
    initial = None
    if given:
        initial = jax.tree.map(
            lambda x: jax.random.normal(jax.random.key(3), x.shape, x.dtype), cell.initial_state((4,), xs.dtype)
        )
    ys, final = scan_recurrence(
        cell, xs, lengths=jnp.array(LENGTHS), initial=initial, reverse=reverse, kernel=kernel
    )
    for row in range(4):
        own = None if initial is None else jax.tree.map(lambda x, row=row: x[row], initial)
        expected, state = stepped(cell, xs[row], LENGTHS[row], own, reverse)
        close(ys[row], expected)
        close(jax.tree.map(lambda x, row=row: x[row], final), state)


def _loss(cell, xs, initial, reverse, kernel, lengths):
    ys, final = scan_recurrence(
        cell, xs, lengths=lengths, initial=initial, reverse=reverse, kernel=kernel
    )
    weights = jnp.cos(jnp.arange(ys.size)).reshape(ys.shape)
    ends = sum(jnp.sum(jnp.sin(1.0 + jnp.arange(leaf.size)).reshape(leaf.shape) * leaf) for leaf in jax.tree.leaves(final))
    return jnp.sum(weights * ys) + ends


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_kernel_gradients_equal_those_of_the_plain_scan(kind, given, reverse, ragged):
    cell, xs = make(kind, dtype=jnp.float64), inputs()
    lengths = jnp.array(LENGTHS) if ragged else None
    initial = jax.tree.map(
        lambda x: jax.random.normal(jax.random.key(3), x.shape, x.dtype), cell.initial_state((4,), xs.dtype)
    )
    if given:
        grads = [
            jax.value_and_grad(_loss, argnums=(0, 1, 2))(cell, xs, initial, reverse, kernel, lengths)
            for kernel in (True, False)
        ]
    else:
        grads = [
            jax.value_and_grad(lambda c, x: _loss(c, x, None, reverse, kernel, lengths), argnums=(0, 1))(cell, xs)  # noqa: B023
            for kernel in (True, False)
        ]
    close(*grads)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_bidirectional_kernel_equals_two_plain_scans(kind, given, ragged):
    first, second = make(kind, 0, dtype=jnp.float64), make(kind, 1, dtype=jnp.float64)
    xs = inputs()
    lengths = jnp.array(LENGTHS) if ragged else None
    state = jax.tree.map(
        lambda x: jax.random.normal(jax.random.key(3), x.shape, x.dtype), first.initial_state((4,), xs.dtype)
    )
    initial = (state, jax.tree.map(lambda x: -x, state)) if given else None

    def loss(cells, xs, initial, kernel):
        out = scan_bidirectional(*cells, xs, lengths=lengths, initial=initial, kernel=kernel)
        return sum(jnp.sum(jnp.cos(jnp.arange(x.size)).reshape(x.shape) * x) for x in jax.tree.leaves(out)), out

    argnums = (0, 1, 2) if given else (0, 1)
    fast, slow = (
        jax.value_and_grad(loss, argnums, has_aux=True)((first, second), xs, initial, kernel)
        for kernel in (True, False)
    )
    close(fast, slow)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_nan_beyond_the_lengths_leaks_nowhere(kind, reverse):
    cell, xs = make(kind, dtype=jnp.float64), inputs()
    lengths = jnp.array(LENGTHS)
    real = (jnp.arange(7) < lengths[:, None])[..., None]
    dirty = jnp.where(real, xs, jnp.nan)
    run = jax.value_and_grad(
        lambda cell, xs: _loss(cell, xs, None, reverse, True, lengths), argnums=(0, 1)
    )
    clean_value, clean_grads = run(cell, xs)
    value, grads = run(cell, dirty)
    close((value, grads), (clean_value, clean_grads))
    assert np.all(np.asarray(grads[1])[~np.broadcast_to(real, xs.shape)] == 0)
    ys, _ = scan_recurrence(cell, dirty, lengths=lengths, reverse=reverse)
    assert np.all(np.asarray(ys)[~np.broadcast_to(real, ys.shape)] == 0)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("extra", [1, 9])
def test_more_padding_changes_no_bit_in_float32(kind, extra):
    with jax.enable_x64(False):
        cell, xs = make(kind), inputs(dtype=jnp.float32)
        lengths = jnp.array(LENGTHS)
        wide = jnp.pad(xs, ((0, 0), (0, extra), (0, 0)), constant_values=7.0)
        for reverse in (False, True):
            ys, final = scan_recurrence(cell, xs, lengths=lengths, reverse=reverse)
            ys2, final2 = scan_recurrence(cell, wide, lengths=lengths, reverse=reverse)
            close((ys, final), (ys2[:, :7], final2), 1e-6)
            assert not np.any(np.asarray(ys2[:, 7:]))


@pytest.mark.parametrize("kind", CELLS)
def test_resuming_from_a_state_equals_one_pass(kind):
    cell, xs = make(kind, dtype=jnp.float64), inputs()
    ys, final = scan_recurrence(cell, xs)
    head, state = scan_recurrence(cell, xs[:, :3])
    tail, end = scan_recurrence(cell, xs[:, 3:], initial=state)
    close((jnp.concatenate([head, tail], 1), end), (ys, final))
    tail, state = scan_recurrence(cell, xs[:, 3:], reverse=True)
    head, end = scan_recurrence(cell, xs[:, :3], reverse=True, initial=state)
    ys, final = scan_recurrence(cell, xs, reverse=True)
    close((jnp.concatenate([head, tail], 1), end), (ys, final))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3)])
def test_leading_axes_are_free(kind, lead):
    cell, xs = make(kind, dtype=jnp.float64), inputs((*lead, 7, 3))
    lengths = jax.random.randint(jax.random.key(1), lead, 0, 8)
    ys, final = scan_recurrence(cell, xs, lengths=lengths)
    assert ys.shape == (*lead, 7, 4)
    for index in np.ndindex(*lead):
        one, state = scan_recurrence(cell, xs[index], lengths=lengths[index])
        close((ys[index], jax.tree.map(lambda x: x[index], final)), (one, state))  # noqa: B023


@pytest.mark.parametrize("time", [1, 2, 3, 9])
@pytest.mark.parametrize("kind", CELLS)
def test_short_sequences(kind, time):
    cell, xs = make(kind, dtype=jnp.float64), inputs((2, time, 3))
    for kernel in (True, False):
        ys, _ = scan_recurrence(cell, xs, kernel=kernel)
        close(ys[1], stepped(cell, xs[1], time)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_jit_vmap_and_a_second_derivative(kind):
    cell, xs = make(kind, dtype=jnp.float64), inputs()
    lengths = jnp.array(LENGTHS)
    ys, final = jax.jit(lambda c, x, n: scan_recurrence(c, x, lengths=n))(cell, xs, lengths)
    close((ys, final), jax.vmap(lambda x, n: scan_recurrence(cell, x, lengths=n))(xs, lengths))

    def norm(xs, kernel):
        grad = jax.grad(lambda x: jnp.sum(scan_recurrence(cell, x, lengths=lengths, kernel=kernel)[0] ** 2))(xs)
        return jnp.sum(grad**2)

    close(jax.grad(norm)(xs, True), jax.grad(norm)(xs, False), 1e-8)


@pytest.mark.parametrize("kind", CELLS)
def test_bfloat16_is_finite_and_near_float32(kind):
    with jax.enable_x64(False):
        cell, xs = make(kind, features=16, out=32), inputs((4, 40, 16), dtype=jnp.float32)
        lengths = jnp.array([40, 3, 0, 17])
        low = jax.tree.map(lambda x: x.astype(jnp.bfloat16), cell)

        def loss(cell, xs):
            ys, final = scan_recurrence(cell, xs, lengths=lengths)
            return jnp.sum(ys.astype(jnp.float32) ** 2), (ys, final)

        (_, (ys, _)), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(cell, xs)
        (_, (ys_low, final)), grads_low = jax.value_and_grad(loss, (0, 1), has_aux=True)(low, xs.astype(jnp.bfloat16))
        assert ys_low.dtype == jnp.bfloat16
        if kind == "lstm":
            assert final.cell.dtype == jnp.float32
        np.testing.assert_allclose(ys_low.astype(jnp.float32), ys, atol=0.06)
        for a, b in zip(jax.tree.leaves(grads_low), jax.tree.leaves(grads), strict=True):
            assert a.dtype == jnp.bfloat16
            a = np.asarray(a, np.float32)
            assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b)


def test_errors_name_the_shapes():
    cell = make("lstm")
    with pytest.raises(InputError, match=r"xs has shape \(3,\), expected \[..., time, features\]"):
        scan_recurrence(cell, jnp.ones(3))
    with pytest.raises(InputError, match=r"lengths have shape \(2,\), expected \(4,\): one for each sequence"):
        scan_recurrence(cell, jnp.ones((4, 7, 3)), lengths=jnp.ones(2, int))
    with pytest.raises(InputError, match=r"the initial state has shape \(2, 4\), expected \(4, 4\)"):
        scan_recurrence(cell, jnp.ones((4, 7, 3)), initial=cell.initial_state((2,), jnp.float32))


def test_a_stack_is_its_layers_in_turn():
    rnn = StackedRNN.init(jax.random.key(0), 3, 4, layers=2, bidirectional=True, dropout=0.5)
    xs, lengths = inputs(), jnp.array(LENGTHS)
    ys, states = rnn(xs, lengths)
    first, state = rnn.layers[0](xs, lengths)
    second, _ = rnn.layers[1](first, lengths)
    close((ys, states[0]), (second, state))
    assert rnn.out_features == ys.shape[-1] == 8


@pytest.mark.parametrize("merge", ["concat", "sum", "prod", "avg"])
def test_birnn_merges(merge):
    rnn = BiRNN.init(jax.random.key(0), 3, 4, merge=merge)
    xs = inputs((7, 3))
    ys, _ = rnn(xs)
    first, second = stepped(rnn.forward, xs, 7)[0], stepped(rnn.backward, xs, 7, reverse=True)[0]
    expected = {
        "concat": jnp.concatenate([first, second], -1),
        "sum": first + second,
        "prod": first * second,
        "avg": (first + second) / 2,
    }[merge]
    close(ys, expected, 1e-7)
    assert rnn.out_features == ys.shape[-1]
