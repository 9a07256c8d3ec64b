# SPDX-License-Identifier: BSD-2-Clause
"""The driver and its kernels: masks, directions, leading axes, resuming, gradients.

Oracles: the equations in NumPy float64, one example and one step at a time; for gradients the plain scan (whose
own gradients are held against PyTorch and spaGO in tests/nn).
"""

import functools

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.nn import GRU, LSTM, BiRNN, StackedRNN
from spago_jax.ops.lstm import LSTMState
from spago_jax.ops.recurrence import scan_bidirectional, scan_recurrence

BATCH, TIME, IN, OUT = 4, 7, 3, 4
LENGTHS = np.array([5, 2, 0, 7])
CELLS = ["lstm", "gru", "gru_after"]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


normal = functools.partial(helpers.normal, dtype=np.float64)


def close(found, expected, tolerance=1e-9):
    helpers.close(found, expected, tolerance)


def make(kind, seed=0, features=IN, out=OUT, dtype=np.float64):
    gates = 4 if kind == "lstm" else 3
    parts = {
        "input_weight": 0.6 * normal(gates * out, features, seed=10 + seed, dtype=dtype),
        "recurrent_weight": 0.6 * normal(gates * out, out, seed=20 + seed, dtype=dtype),
        "bias": normal(gates * out, seed=30 + seed, dtype=dtype),
    }
    if kind == "lstm":
        return LSTM(**parts)
    after = kind == "gru_after"
    return GRU(**parts, recurrent_bias=normal(out, seed=40 + seed, dtype=dtype) if after else None, reset_after=after)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(cell, xs, length, state=None, reverse=False):
    """One example [time, in] by the equations, in NumPy."""
    out = cell.out_features
    w, u, b = np.asarray(cell.input_weight), np.asarray(cell.recurrent_weight), np.asarray(cell.bias)
    h, c = (np.zeros(out), np.zeros(out)) if state is None else (np.asarray(s) for s in state)
    ys = np.zeros((len(xs), out))
    for t in reversed(range(length)) if reverse else range(length):
        z = w @ xs[t] + b
        if isinstance(cell, LSTM):
            i, f, g, o = np.split(z + u @ h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            zr, zu, zc = np.split(z, 3)
            ur, uu, uc = np.split(u, 3)
            r, p = sigmoid(zr + ur @ h), sigmoid(zu + uu @ h)
            if cell.reset_after:
                h = (1 - p) * np.tanh(zc + r * (uc @ h + np.asarray(cell.recurrent_bias))) + p * h
            else:
                h = p * np.tanh(zc + uc @ (r * h)) + (1 - p) * h
        ys[t] = h
    return ys, h, c


def states(kind, seed=50, scale=1.0):
    hidden = scale * normal(BATCH, OUT, seed=seed)
    return LSTMState(hidden, scale * normal(BATCH, OUT, seed=seed + 1)) if kind == "lstm" else hidden


def mixed(tree):
    """A scalar that depends on every number of a tree with another weight."""
    return sum(jnp.sum(jnp.cos(1.0 + jnp.arange(x.size)).reshape(x.shape) * x) for x in jax.tree.leaves(tree))


@functools.partial(jax.jit, static_argnames=("reverse", "kernel"))
def program(cell, xs, initial, lengths, *, reverse=False, kernel=True):
    def loss(cell, xs, initial):
        out = scan_recurrence(cell, xs, lengths=lengths, initial=initial, reverse=reverse, kernel=kernel)
        return mixed(out), out

    (_, out), grads = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(cell, xs, initial)
    return out, grads


@functools.partial(jax.jit, static_argnames=("kernel",))
def pair_program(cells, xs, initial, lengths, *, kernel=True):
    def loss(cells, xs, initial):
        out = scan_bidirectional(*cells, xs, lengths=lengths, initial=initial, kernel=kernel)
        return mixed(out), out

    (_, out), grads = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(cells, xs, initial)
    return out, grads


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_kernel_equals_the_equations_and_the_gradients_of_the_plain_scan(kind, reverse):
    cell, xs, zero, given = make(kind), normal(BATCH, TIME, IN), states(kind, scale=0.0), states(kind)
    full = np.full(BATCH, TIME)
    for initial, lengths in ((given, LENGTHS), (None, LENGTHS), (None, None)):
        (ys, final), grads = program(cell, xs, initial, lengths, reverse=reverse)
        for row in range(BATCH):
            own = None if initial is None else (initial if kind == "lstm" else (initial, initial))
            own = None if own is None else tuple(part[row] for part in own)
            length = TIME if lengths is None else LENGTHS[row]
            expected, hidden, memory = reference(cell, xs[row], length, own, reverse)
            close(ys[row], expected)
            close(final[0][row] if kind == "lstm" else final[row], hidden)
            if kind == "lstm":
                close(final[1][row], memory)
        plain, plain_grads = program(
            cell, xs, zero if initial is None else initial, full if lengths is None else lengths,
            reverse=reverse, kernel=False,
        )  # fmt: skip
        close((ys, final), plain)
        close(grads[:2], plain_grads[:2])
        if initial is not None:
            close(grads[2], plain_grads[2])


@pytest.mark.parametrize("kind", CELLS)
def test_bidirectional_kernel_equals_two_plain_scans(kind):
    cells, xs = (make(kind, 0), make(kind, 1)), normal(BATCH, TIME, IN)
    zero, given = (states(kind, scale=0.0),) * 2, (states(kind), states(kind, 60))
    for initial, lengths in ((given, LENGTHS), (None, LENGTHS), (None, None)):
        out, grads = pair_program(cells, xs, initial, lengths)
        full = np.full(BATCH, TIME) if lengths is None else lengths
        plain, plain_grads = pair_program(cells, xs, zero if initial is None else initial, full, kernel=False)
        close(out, plain)
        close(grads[:2], plain_grads[:2])
        if initial is not None:
            close(grads[2], plain_grads[2])


def test_the_two_forms_of_the_gru_in_one_bidirectional_layer():
    cells, xs = (make("gru"), make("gru_after", 1)), normal(BATCH, TIME, IN)
    (first, second), finals = jax.jit(lambda xs: scan_bidirectional(*cells, xs, lengths=LENGTHS))(xs)
    for row, length in enumerate(LENGTHS):
        for cell, ys, final, reverse in zip(cells, (first, second), finals, (False, True), strict=True):
            expected, hidden, _ = reference(cell, xs[row], length, reverse=reverse)
            close((ys[row], final[row]), (expected, hidden))


def test_a_reset_after_without_its_bias_has_a_bias_of_zero():
    cell, xs = make("gru_after"), normal(BATCH, TIME, IN)
    close(cell.replace(recurrent_bias=None)(xs), cell.replace(recurrent_bias=np.zeros(OUT))(xs), 0)


@pytest.mark.parametrize("kind", CELLS)
def test_nan_beyond_the_lengths_leaks_nowhere(kind):
    cell, xs, given = make(kind), normal(BATCH, TIME, IN), states(kind)
    real = np.broadcast_to((np.arange(TIME) < LENGTHS[:, None])[..., None], xs.shape)
    dirty = np.where(real, xs, np.nan)
    for kernel in (True, False):
        clean, clean_grads = program(cell, xs, given, LENGTHS, kernel=kernel)
        out, grads = program(cell, dirty, given, LENGTHS, kernel=kernel)
        close((out, grads), (clean, clean_grads), 0)
        assert not np.asarray(grads[1])[~real].any()
    both = (make(kind), make(kind, 1))
    initial = (given, given)
    close(pair_program(both, dirty, initial, LENGTHS), pair_program(both, xs, initial, LENGTHS), 0)


@pytest.mark.parametrize("kind", CELLS)
def test_resuming_from_a_state_equals_one_pass(kind):
    cell, xs = make(kind), normal(BATCH, TIME, IN)
    run = jax.jit(functools.partial(scan_recurrence, cell), static_argnames="reverse")
    whole, final = run(xs)
    head, state = run(xs[:, :3])
    tail, end = run(xs[:, 3:], initial=state)
    close((jnp.concatenate([head, tail], 1), end), (whole, final))
    whole, final = run(xs, reverse=True)
    tail, state = run(xs[:, 3:], reverse=True)
    head, end = run(xs[:, :3], reverse=True, initial=state)
    close((jnp.concatenate([head, tail], 1), end), (whole, final))


@pytest.mark.parametrize("lead", [(), (1,), (2, 3)])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_leading_axes_are_free(kind, lead):
    cell, xs = make(kind), normal(*lead, TIME, IN)
    lengths = np.random.default_rng(1).integers(0, TIME + 1, lead)
    ys, final = jax.jit(lambda xs, n: scan_recurrence(cell, xs, lengths=n))(xs, lengths)
    assert ys.shape == (*lead, TIME, OUT)
    for index in np.ndindex(*lead):
        expected, hidden, _ = reference(cell, xs[index], int(lengths[index]))
        close(ys[index], expected)
        close((final.hidden if kind == "lstm" else final)[index], hidden)


@pytest.mark.parametrize("time", [1, 2, 9])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_short_sequences(kind, time):
    cells, xs = (make(kind), make(kind, 1)), normal(2, time, IN)
    (first, second), _ = jax.jit(lambda xs: scan_bidirectional(*cells, xs))(xs)
    close(first[1], reference(cells[0], xs[1], time)[0])
    close(second[1], reference(cells[1], xs[1], time, reverse=True)[0])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_vmap_equals_a_batch_and_second_derivatives_agree(kind):
    cell, xs = make(kind), normal(BATCH, TIME, IN)

    def norm(xs, kernel):
        grad = jax.grad(lambda x: mixed(scan_recurrence(cell, x, lengths=LENGTHS, kernel=kernel)[0] ** 2))(xs)
        return jnp.sum(grad**2)

    fast, slow = (jax.jit(jax.grad(norm), static_argnums=1)(xs, kernel) for kernel in (True, False))
    close(fast, slow, 1e-8)
    one = jax.jit(jax.vmap(lambda x, n: scan_recurrence(cell, x, lengths=n)))(xs, LENGTHS)
    close(one, jax.jit(lambda x, n: scan_recurrence(cell, x, lengths=n))(xs, LENGTHS))


@pytest.mark.parametrize("kind", CELLS)
def test_bfloat16_is_finite_and_near_float32(kind):
    with jax.enable_x64(False):
        cell = jax.tree.map(lambda x: 0.3 * jnp.asarray(x), make(kind, features=16, out=32, dtype=np.float32))
        xs, lengths = normal(4, 20, 16, dtype=np.float32), np.array([20, 3, 0, 17])
        low = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (cell, jnp.asarray(xs)))
        (ys, _), grads = program(cell, xs, None, lengths)
        (ys_low, final), grads_low = program(*low, None, lengths)
        assert ys_low.dtype == jnp.bfloat16
        if kind == "lstm":
            assert final.cell.dtype == jnp.float32
        np.testing.assert_allclose(ys_low.astype(jnp.float32), ys, atol=0.03)
        for a, b in zip(jax.tree.leaves(grads_low), jax.tree.leaves(grads), strict=True):
            assert a.dtype == jnp.bfloat16
            assert np.linalg.norm(np.asarray(a, np.float32) - b) < 0.03 * np.linalg.norm(b)


def test_float32_is_near_float64():
    low, high = (make("lstm", features=16, out=32, dtype=dtype) for dtype in (np.float32, np.float64))
    xs = normal(4, 20, 16)
    ys, _ = jax.jit(lambda xs: scan_recurrence(high, xs))(xs)
    ys_low, _ = jax.jit(lambda xs: scan_recurrence(low, xs))(xs.astype(np.float32))
    assert ys_low.dtype == jnp.float32
    np.testing.assert_allclose(ys_low, ys, atol=2e-5)


def test_errors_name_the_shapes():
    cell = make("lstm")
    with pytest.raises(InputError, match=r"xs has shape \(3,\), expected \[..., time, features\]"):
        scan_recurrence(cell, jnp.ones(3))
    with pytest.raises(InputError, match=r"lengths have shape \(2,\), expected \(4,\): one for each sequence"):
        scan_recurrence(cell, jnp.ones((4, 7, 3)), lengths=jnp.ones(2, int))
    with pytest.raises(InputError, match=r"the initial state has shape \(2, 4\), expected \(4, 4\)"):
        scan_recurrence(cell, jnp.ones((4, 7, 3)), initial=cell.initial_state((2,), jnp.float32))


@pytest.mark.parametrize("merge", ["concat", "sum", "prod", "avg"])
def test_birnn_merges(merge):
    rnn, xs = BiRNN(make("lstm"), make("lstm", 1), merge=merge), normal(TIME, IN)
    ys, _ = jax.jit(rnn.__call__)(xs)
    first, second = reference(rnn.forward, xs, TIME)[0], reference(rnn.backward, xs, TIME, reverse=True)[0]
    expected = {
        "concat": np.concatenate([first, second], -1),
        "sum": first + second,
        "prod": first * second,
        "avg": (first + second) / 2,
    }[merge]
    close(ys, expected)
    assert rnn.out_features == ys.shape[-1]


def test_a_stack_is_its_layers_in_turn_with_dropout_between():
    from spago_jax import Rng

    rnn = StackedRNN.init(jax.random.key(0), IN, OUT, layers=2, bidirectional=True, dropout=0.5, variational=True)
    xs = normal(BATCH, TIME, IN)

    @jax.jit
    def both(rnn, xs):
        first, state = rnn.layers[0](xs, LENGTHS)
        return rnn(xs, LENGTHS), (rnn.layers[1](first, LENGTHS)[0], state), rnn(xs, LENGTHS, rng=Rng.seed(0))[0]

    (ys, finals), (second, state), dropped = both(rnn, xs)
    close((ys, finals[0]), (second, state), 1e-12)
    assert rnn.out_features == ys.shape[-1] == 8
    assert np.abs(dropped - ys).max() > 1e-3
