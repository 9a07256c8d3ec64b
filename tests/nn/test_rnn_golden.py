# SPDX-License-Identifier: BSD-2-Clause
"""LSTM, GRU, BiRNN and CRF against numbers computed by spaGO in float64 (forward, gradients, decoded paths)."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.nn import CRF, GRU, LSTM, BiRNN
from spago_jax.ops.lstm import LSTMState

LSTM_GATES = ("In", "For", "Cand", "Out")
GRU_GATES = ("Res", "Part", "Cand")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def cases(golden, version, name):
    path = golden / version / f"{name}.json"
    found = [case for case in json.loads(path.read_text())["cases"] if case["status"] == "ok"]
    assert found
    return found


def arrays(items):
    return {item["name"]: np.array(item["data"], np.float64).reshape(item["shape"]) for item in items if item}


def stacked(items):
    """A sequence of column vectors as [time, features]."""
    return jnp.array([np.array(item["data"], np.float64) for item in items])


def cell(kind, weights, prefix=""):
    gates = LSTM_GATES if kind == "lstm" else GRU_GATES

    def fused(form):
        return jnp.array(np.concatenate([weights[prefix + form.format(gate)] for gate in gates]))

    parts = {
        "input_weight": fused("W{}"),
        "recurrent_weight": fused("W{}Rec"),
        "bias": fused("B{}")[:, 0],
    }
    return LSTM(**parts) if kind == "lstm" else GRU(**parts)


def assert_cell_grads(kind, grads, expected, prefix=""):
    gates = LSTM_GATES if kind == "lstm" else GRU_GATES
    for form, array in (("W{}", grads.input_weight), ("W{}Rec", grads.recurrent_weight), ("B{}", grads.bias)):
        for gate, block in zip(gates, jnp.split(array, len(gates)), strict=True):
            name = prefix + form.format(gate)
            if name in expected:
                np.testing.assert_allclose(block.ravel(), expected[name].ravel(), rtol=1e-9, atol=1e-9, err_msg=name)


def check(case, model, run, assert_grads):
    def loss(model, xs):
        ys = run(model, xs)
        return jnp.sum(ys * stacked(case["output_grads"])), ys

    (_, ys), (grads, x_grad) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(model, stacked(case["inputs"]))
    np.testing.assert_allclose(ys, stacked(case["outputs"]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(x_grad, stacked(case["input_grads"]), rtol=1e-9, atol=1e-9)
    assert_grads(grads, arrays(case["param_grads"]))


def check_initial_state(case, model):
    *inputs, cell_init, hidden_init = case["inputs"]
    *input_grads, cell_grad, hidden_grad = case["input_grads"]

    def loss(model, xs, state):
        ys, _ = model(xs, initial=state)
        return jnp.sum(ys * stacked(case["output_grads"])), ys

    state = LSTMState(hidden=stacked([hidden_init])[0], cell=stacked([cell_init])[0])
    (_, ys), grads = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(model, stacked(inputs), state)
    np.testing.assert_allclose(ys, stacked(case["outputs"]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(grads[1], stacked(input_grads), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(grads[2].hidden, stacked([hidden_grad])[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(grads[2].cell, stacked([cell_grad])[0], rtol=1e-9, atol=1e-9)
    assert_cell_grads("lstm", grads[0], arrays(case["param_grads"]))


@pytest.mark.parametrize("version", ["main", "v0.7.0"])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_cells(golden, version, kind):
    for case in cases(golden, version, f"nn.{kind}"):
        if case["config"].get("refined_gates"):
            continue
        model = cell(kind, arrays(case["params"]))
        if case["id"].startswith("initial_state"):
            check_initial_state(case, model)
            continue
        check(case, model, lambda m, xs: m(xs)[0], lambda g, e: assert_cell_grads(kind, g, e))


@pytest.mark.parametrize("version", ["main", "v0.7.0"])
@pytest.mark.parametrize("kind", ["bilstm", "bigru", "bibilstm"])
@pytest.mark.parametrize("merge", ["concat", "sum", "prod", "avg"])
def test_birnn(golden, version, kind, merge):
    chosen = [case for case in cases(golden, version, "nn.birnn") if case["id"].startswith(f"{kind}_{merge}/")]
    assert chosen
    base = "gru" if kind == "bigru" else "lstm"
    for case in chosen:
        weights = arrays(case["params"])
        stack = "L" if "L.0.Positive.WIn" in weights else "Layers"
        prefixes = (f"{stack}.0.", f"{stack}.1.") if kind == "bibilstm" else ("",)
        merges = ("concat", merge) if kind == "bibilstm" else (merge,)
        model = tuple(
            BiRNN(cell(base, weights, f"{prefix}Positive."), cell(base, weights, f"{prefix}Negative."), merge=how)
            for prefix, how in zip(prefixes, merges, strict=True)
        )

        def run(model, xs):
            for layer in model:
                xs, _ = layer(xs)
            return xs

        def assert_grads(grads, expected, prefixes=prefixes):
            for prefix, layer in zip(prefixes, grads, strict=True):
                assert_cell_grads(base, layer.forward, expected, f"{prefix}Positive.")
                assert_cell_grads(base, layer.backward, expected, f"{prefix}Negative.")

        check(case, model, run, assert_grads)


OLDER = [pytest.param(version, marks=pytest.mark.slow) for version in ("v0.7.0", "v1.0.1")]


@pytest.mark.parametrize("version", ["main", *OLDER])
def test_crf(golden, version):
    for case in cases(golden, version, "nn.crf"):
        transitions = jnp.array(arrays(case["params"])["TransitionScores"])
        emissions, target = stacked(case["inputs"]), jnp.array(case["config"]["target"])
        scale = case["output_grads"][0]["data"][0]

        def loss(crf, emissions, target=target):
            return -crf.log_likelihood(emissions, target)

        value, (crf_grad, grad) = jax.jit(jax.value_and_grad(loss, (0, 1)))(CRF(transitions), emissions)
        np.testing.assert_allclose(value, case["outputs"][0]["data"][0], rtol=1e-9)
        np.testing.assert_allclose(scale * grad, stacked(case["input_grads"]), rtol=1e-9, atol=1e-9)
        expected = arrays(case["param_grads"])["TransitionScores"]
        np.testing.assert_allclose(scale * crf_grad.transitions, expected, rtol=1e-9, atol=1e-9)
        decoded = case["extra"]["decode"]
        assert CRF(transitions)(emissions).tolist() == [int(tag) for tag in decoded]
