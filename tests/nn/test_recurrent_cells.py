# SPDX-License-Identifier: BSD-2-Clause
"""All recurrent cells: masks, directions, states, dtypes, errors; what single cells have beside.

Oracles: one example alone, one step at a time; the plain scan; NumPy float64 written out; PyTorch for SRN. Their
numbers are held against spaGO's in the parity run.
"""

import functools

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spago.golden import read_cases
from spago.handlers.recurrent_cells import lstm_arrays

from spago_jax import nn
from spago_jax.errors import InputError
from spago_jax.nn.recurrent.birnn import CELLS
from spago_jax.ops.linear_attention_scan import linear_attention_scan
from spago_jax.ops.recurrence import scan_recurrence

BATCH, TIME, SIZE = 4, 7, 4
LENGTHS = np.array([5, 2, 0, 7])
OPTIONS = {
    "mist": {"delays": 3},
    "nru": {"memory": 8, "heads": 2, "norm": True},
    "skip_lstm": {"actions": 3, "policy_features": 5},
    "srnn": {"hidden": 5},
    "tpr": {"symbols": 3, "roles": 5},
}
every = pytest.mark.parametrize("name", sorted(CELLS))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


normal = functools.partial(helpers.normal, dtype=np.float64)


def close(found, expected, tolerance=1e-9):
    helpers.close(found, expected, tolerance)


@functools.cache
def make(name, seed=0):
    """A cell in float64 with no zeros in it."""
    with jax.enable_x64(False):
        cell = CELLS[name].init(jax.random.key(seed), SIZE, SIZE, **OPTIONS.get(name, {}))
    leaves, tree = jax.tree.flatten(cell)
    noise = np.random.default_rng(seed)
    return jax.tree.unflatten(tree, [np.asarray(x, np.float64) + 0.3 * noise.normal(size=x.shape) for x in leaves])


def mixed(tree):
    """A scalar that depends on every number of a tree with another weight."""
    return sum(jnp.sum(jnp.cos(1.0 + jnp.arange(x.size)).reshape(x.shape) * x) for x in jax.tree.leaves(tree))


@functools.partial(jax.jit, static_argnames=("reverse", "kernel"))
def run(cell, xs, lengths, *, reverse=False, kernel=True):
    """Outputs, final state, gradients of the cell and the inputs."""

    def loss(cell, xs):
        out = scan_recurrence(cell, xs, lengths=lengths, reverse=reverse, kernel=kernel)
        return mixed(out), out

    (_, out), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(cell, xs)
    return out, grads


@functools.partial(jax.jit, static_argnames="reverse")
def outputs(cell, xs, lengths=None, initial=None, *, reverse=False):
    return cell(xs, lengths, initial=initial, reverse=reverse)


@jax.jit
def step(cell, state, x):
    return cell.step(state, cell.project(x))


def steps(cell, xs):
    """One example [time, in], one step at a time."""
    state, ys = cell.initial_state((), xs.dtype), []
    for x in xs:
        state, y = step(cell, state, x)
        ys.append(y)
    return np.stack(ys), state


@every
def test_a_ragged_batch_equals_single_examples_step_by_step_in_both_directions(name):
    cell, xs = make(name), normal(BATCH, TIME, SIZE)
    for reverse in (False, True):
        ys, final = outputs(cell, xs, LENGTHS, reverse=reverse)
        for row, length in enumerate(LENGTHS):
            assert not np.asarray(ys[row, length:]).any()
            own = jax.tree.map(lambda leaf, row=row: leaf[row], final)
            if length == 0:
                close(own, cell.initial_state((), np.float64), 0)
                continue
            one = xs[row, :length][::-1] if reverse else xs[row, :length]
            expected, state = steps(cell, one)
            close(ys[row, :length], expected[::-1] if reverse else expected)
            close(own, state)


@every
def test_nan_beyond_the_lengths_leaks_nowhere(name):
    cell, xs = make(name), normal(BATCH, TIME, SIZE)
    real = np.broadcast_to((np.arange(TIME) < LENGTHS[:, None])[..., None], xs.shape)
    clean = run(cell, xs, LENGTHS, reverse=True)
    close(run(cell, np.where(real, xs, np.nan), LENGTHS, reverse=True), clean, 0)
    assert not np.asarray(clean[1][1])[~real].any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["rla", "srnn"])
def test_kernels_equal_the_plain_scan(name, reverse):
    cell, xs = make(name), normal(BATCH, TIME, SIZE)
    fast, slow = (run(cell, xs, LENGTHS, reverse=reverse, kernel=kernel) for kernel in (True, False))
    close(fast, slow)


@pytest.mark.parametrize("time", [1, 5, 8, 9])
def test_chunks_of_linear_attention_equal_one_pass_step_by_step(time):
    k, v, q = np.abs(normal(time, 2, 3)), normal(time, 2, 4, seed=1), np.abs(normal(time, 2, 3, seed=2))
    memory, normaliser = normal(2, 3, 4, seed=3), np.abs(normal(2, 3, seed=4))
    ys, *final = linear_attention_scan(k, v, q, memory, normaliser, chunk=4)
    for t in range(time):
        memory = memory + k[t][:, :, None] * v[t][:, None, :]
        normaliser = normaliser + k[t]
        close(ys[t], np.einsum("bi,bij->bj", q[t], memory) / (np.einsum("bi,bi->b", q[t], normaliser)[:, None] + 1e-12))
    close(final, [memory, normaliser])


@every
def test_a_state_continues_exactly_and_leading_axes_are_free(name):
    cell, xs = make(name), normal(2, 3, TIME, SIZE)
    whole, final = outputs(cell, xs)
    first, state = outputs(cell, xs[..., :3, :])
    second, end = outputs(cell, xs[..., 3:, :], initial=state)
    close((np.concatenate([first, second], axis=-2), end), (whole, final))
    expected, own = steps(cell, xs[1, 2])
    close((whole[1, 2], jax.tree.map(lambda leaf: leaf[1, 2], final)), (expected, own))


@every
def test_birnn_over_any_cell_is_one_each_way(name):
    first, second, xs = make(name), make(name, 1), normal(BATCH, TIME, SIZE)
    rnn = nn.BiRNN(forward=first, backward=second)
    ys, states = jax.jit(rnn.__call__)(xs, LENGTHS)
    (forward, end), (backward, begin) = outputs(first, xs, LENGTHS), outputs(second, xs, LENGTHS, reverse=True)
    close((ys, states), (np.concatenate([forward, backward], -1), (end, begin)))
    assert rnn.out_features == ys.shape[-1]


@pytest.mark.oracle
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_srn_equals_pytorch(activation):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.nn.RNN(5, SIZE, nonlinearity=activation, batch_first=True).double()
    get = lambda part: getattr(theirs, f"{part}_l0").detach().numpy()  # noqa: E731
    ours = nn.SRN(get("weight_ih"), get("weight_hh"), bias=get("bias_ih") + get("bias_hh"), activation=activation)
    x = torch.randn(BATCH, TIME, 5, dtype=torch.float64, requires_grad=True)
    lengths = [5, 2, 1, 7]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed, state = theirs(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    weights = torch.cos(1.0 + torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    ends = torch.cos(1.0 + torch.arange(state[0].numel(), dtype=torch.float64)).reshape(state[0].shape)
    ((y * weights).sum() + (state[0] * ends).sum()).backward()
    (ys, final), (cell, dx) = run(ours, x.detach().numpy(), np.array(lengths))
    close((ys, final, dx), tuple(part.detach().numpy() for part in (y, state[0], x.grad)))
    for part, found in (("weight_ih", cell.input_weight), ("weight_hh", cell.recurrent_weight), ("bias_ih", cell.bias)):
        close(found, getattr(theirs, f"{part}_l0").grad.numpy())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_ran_importance_is_the_weight_of_each_candidate():
    cell, xs = make("ran"), normal(BATCH, TIME, SIZE)
    found = np.asarray(jax.jit(cell.importance)(xs, LENGTHS))
    for row, length in enumerate(LENGTHS):
        ys, _ = steps(cell, xs[row]) if length else (np.zeros((TIME, SIZE)), None)
        before = np.concatenate([np.zeros((1, SIZE)), ys[:-1]])
        z = xs[row] @ cell.input_weight[: 2 * SIZE].T + cell.bias[: 2 * SIZE] + before @ cell.recurrent_weight.T
        i, f = np.split(sigmoid(z), 2, axis=-1)
        expected = np.zeros((TIME, TIME))
        for t in range(length):
            for k in range(t + 1):
                expected[t, k] = (i[k] * np.prod(f[k + 1 : t + 1], axis=0)).max()
        close(found[row], expected)


def test_skip_lstm_actions_are_spagos(golden):
    cases = list(read_cases(golden / "v0.7.0" / "nn.lstmsc.json"))
    assert cases
    for case in cases[::2]:
        layers = [
            nn.Linear(case.params[f"PolicyGradient.Layers.{i}.W"], case.params[f"PolicyGradient.Layers.{i}.B"][:, 0])
            for i in (0, 2)
        ]
        cell = nn.SkipLSTM(
            **lstm_arrays(case.params), policy_hidden=layers[0], policy_output=layers[1], mix=case.config["lambda"]
        )
        xs = np.stack([x[:, 0] for _, x in case.inputs])
        found = jax.jit(cell.actions)(xs)
        close(found.probabilities[1:], np.array(case.extra["actions"]))
        close(found.log_prob[1:], np.array(case.extra["log_prob_actions"]))
        assert found.action[1:].tolist() == case.extra["skip_index"]
        assert not np.asarray(found.probabilities[0]).any()
        grads = jax.jit(jax.grad(lambda cell, xs: jnp.sum(cell.actions(xs).log_prob)))(cell, xs)
        assert np.abs(grads.policy_output.weight).sum() > 0
        assert not np.asarray(grads.input_weight).any()


def test_spagos_gru_is_a_gru_whose_reset_comes_before_the_product():
    cell, xs = make("gru"), normal(TIME, SIZE)
    w, u, b = (np.split(part, 3) for part in (cell.input_weight, cell.recurrent_weight, cell.bias))
    h, expected = np.zeros(SIZE), []
    for x in xs:
        r, p = sigmoid(w[0] @ x + b[0] + u[0] @ h), sigmoid(w[1] @ x + b[1] + u[1] @ h)
        h = p * np.tanh(w[2] @ x + b[2] + u[2] @ (h * r)) + (1 - p) * h
        expected.append(h)
    close(jax.jit(cell.__call__)(xs)[0], np.stack(expected))


def test_fsmn_detached_gives_the_memory_no_gradient():
    xs = normal(TIME, SIZE)
    detached = make("fsmn")
    detached = detached.replace(bias=detached.bias + 9)  # every relu is open
    attached = detached.replace(detach=False)
    slope = jax.jit(jax.grad(lambda x, cell: jnp.sum(cell(x)[0][-1])))
    one, other = slope(xs, detached), slope(xs, attached)
    assert not np.asarray(one[:-1]).any()
    assert np.abs(other[:-1]).sum() > 0
    close(detached(xs), attached(xs), 0)


def test_mist_falls_back_to_the_papers_attention_and_takes_spagos():
    for attention, rows in ((None, 12), (5, 15)):
        shapes = jax.eval_shape(lambda k, a=attention: nn.MIST.init(k, 3, 5, delays=2, attention=a), jax.random.key(0))
        assert shapes.input_weight.shape == (rows, 3)


def test_bibilstm_concatenates_first():
    rnn = nn.bibilstm(jax.random.key(0), 3, 2, merge="avg", cell="cfn")
    xs = normal(TIME, 3)
    middle, _ = nn.BiRNN(rnn.layers[0].forward, rnn.layers[0].backward, merge="concat")(xs)
    close(rnn(xs)[0], nn.BiRNN(rnn.layers[1].forward, rnn.layers[1].backward, merge="avg")(middle)[0], 1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda k: nn.LTM.init(k, 3, 4),
            "LTM adds its output to its input: out_features is 4, expected in_features, 3",
        ),
        (lambda k: nn.RLA.init(k, 3, 4), "RLA keeps the size of its input: out_features is 4, expected in_features, 3"),
        (lambda k: nn.RefinedLSTM.init(k, 3, 4), "RefinedLSTM multiplies its gates by its input: out_features is 4"),
        (lambda k: nn.MIST.init(k, 3, 4, delays=3, attention=2), "MIST: attention is 2, expected at least delays, 3"),
        (lambda k: nn.NRU.init(k, 3, 4, memory=6, heads=2), r"memory \* heads is 6 \* 2 = 12, expected a square"),
        (lambda k: nn.TPR.init(k, 3, 4, role_features=3), "role_features is 3, expected a divisor of out_features 4"),
        (lambda k: nn.SkipLSTM.init(k, 3, 4, mix=2.0), r"SkipLSTM: mix is 2.0, expected a number in \[0, 1\]"),
        (lambda k: nn.HORN.init(k, 3, 4, order=0), "HORN: order is 0, expected a whole number of at least 1"),
        (lambda k: nn.IndRNN.init(k, 3, 4, activation="rel"), "did you mean 'relu'"),
        (lambda k: nn.SentenceLSTM.init(k, 3, 4, form="spagoo"), "unknown form 'spagoo', did you mean 'spago'"),
        (lambda k: nn.BiRNN.init(k, 3, 4, cell="lstmm"), "unknown cell 'lstmm', did you mean 'lstm'"),
    ],
)
def test_errors(build, message):
    with pytest.raises(InputError, match=message):
        build(jax.random.key(0))


def test_the_states_shape_is_checked():
    cell = make("horn")
    with pytest.raises(InputError, match=r"the initial state has shape \(2, 3, 4\), expected \(4, 3, 4\)"):
        cell(normal(BATCH, TIME, SIZE), initial=cell.initial_state((2,), np.float64))
