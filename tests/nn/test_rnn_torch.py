# SPDX-License-Identifier: BSD-2-Clause
"""LSTM, GRU and BiRNN against PyTorch in float64: forward and gradients, packed ragged sequences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.nn import GRU, LSTM, BiRNN, StackedRNN

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")

LENGTHS = [6, 1, 4, 6]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def numpy(tensor):
    return tensor.detach().numpy()


def lstm_from(theirs, layer, suffix=""):
    get = lambda name: numpy(getattr(theirs, f"{name}_l{layer}{suffix}"))  # noqa: E731
    return LSTM(
        input_weight=jnp.array(get("weight_ih")),
        recurrent_weight=jnp.array(get("weight_hh")),
        bias=jnp.array(get("bias_ih") + get("bias_hh")),
    )


def gru_from(theirs, layer, suffix=""):
    get = lambda name: numpy(getattr(theirs, f"{name}_l{layer}{suffix}"))  # noqa: E731
    own, hidden = get("bias_ih").copy(), get("bias_hh")
    out = len(own) // 3
    own[: 2 * out] += hidden[: 2 * out]
    return GRU(
        input_weight=jnp.array(get("weight_ih")),
        recurrent_weight=jnp.array(get("weight_hh")),
        bias=jnp.array(own),
        recurrent_bias=jnp.array(hidden[2 * out :]),
        reset_after=True,
    )


def build(kind, bidirectional, layers):
    torch.manual_seed(1)
    theirs = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
        5, 4, num_layers=layers, bidirectional=bidirectional, batch_first=True
    ).double()
    make = {"lstm": lstm_from, "gru": gru_from}[kind]
    ours = []
    for layer in range(layers):
        cell = make(theirs, layer)
        ours.append(BiRNN(cell, make(theirs, layer, "_reverse")) if bidirectional else cell)
    return theirs, StackedRNN(layers=tuple(ours))


def assert_same(a, b):
    np.testing.assert_allclose(a, numpy(b), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_same_weights_same_outputs_states_and_gradients(kind, bidirectional, layers):
    theirs, ours = build(kind, bidirectional, layers)
    x = torch.randn(4, 6, 5, dtype=torch.float64, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    packed, state = theirs(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    ends = state if kind == "gru" else state[0] + 0.5 * state[1]
    ((y * weights).sum() + ends.square().sum()).backward()

    def loss(model, xs):
        ys, states = model(xs, jnp.array(LENGTHS))
        flat = jax.tree.leaves(states, is_leaf=lambda s: hasattr(s, "hidden"))
        mixed = [s if kind == "gru" else s.hidden + 0.5 * s.cell for s in flat]
        total = jnp.sum(ys * numpy(weights)) + sum(jnp.sum(jnp.square(s)) for s in mixed)
        return total, (ys, jnp.stack(mixed))

    (_, (ys, states)), (model_grad, x_grad) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
        ours, jnp.array(numpy(x))
    )
    assert_same(ys, y)
    assert_same(states, ends)
    assert_same(x_grad, x.grad)
    for layer in range(layers):
        pairs = [("", model_grad.layers[layer])]
        if bidirectional:
            pairs = [("", model_grad.layers[layer].forward), ("_reverse", model_grad.layers[layer].backward)]
        for suffix, cell in pairs:
            assert_same(cell.input_weight, getattr(theirs, f"weight_ih_l{layer}{suffix}").grad)
            assert_same(cell.recurrent_weight, getattr(theirs, f"weight_hh_l{layer}{suffix}").grad)
            assert_same(cell.bias, getattr(theirs, f"bias_ih_l{layer}{suffix}").grad)
            if kind == "gru":
                assert_same(cell.recurrent_bias, getattr(theirs, f"bias_hh_l{layer}{suffix}").grad[8:])
