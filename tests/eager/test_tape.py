# SPDX-License-Identifier: BSD-2-Clause
"""Tapes: time steps, truncation, programs. Oracles: spaGO's golden numbers, hand-unrolled JAX with stop_gradient."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spago_jax import eager
from spago_jax.eager import Tape, Var
from spago_jax.errors import InputError


def test_the_perceptron_becomes_a_program():
    with Tape() as tape:
        x, w, b = Var(-0.8, name="x"), Var(0.4, name="w"), Var(-0.2, name="b")
        y = eager.ops.sigmoid(w * x + b)
    program = tape.program(y)
    assert float(program(jnp.float32(-0.8), jnp.float32(0.4), jnp.float32(-0.2))) == float(y)
    assert float(program(x=jnp.float32(1.0), w=jnp.float32(1.0), b=jnp.float32(0.0))) == pytest.approx(0.7310586)
    assert program.traces == 1
    assert tape.graph(y).inputs == ("x", "w", "b")


def test_a_program_of_several_outputs_and_unnamed_values():
    with Tape() as tape:
        x = Var([1.0, 2.0], name="x")
        low, high = eager.apply(jnp.split, x * Var(3.0), 2)
        total = low + high
    assert [v.tolist() for v in tape.program(total, high)(jnp.array([2.0, 3.0]))] == [[15.0], [9.0]]
    assert tape.program()(jnp.array([2.0, 3.0])).tolist() == [15.0]  # what was not used again


def test_a_tape_differentiates_as_a_graph():
    with Tape() as tape:
        x = Var(2.0, name="x")
        y = x * x * x
    first = tape.graph(y).gradient("x")
    second = first.select("x").gradient("x")
    assert float(first(jnp.float32(2.0))["x"]) == 12.0
    assert float(second(jnp.float32(2.0))["x"]) == 12.0


def test_names_must_be_unique():
    with Tape() as tape:
        y = Var(1.0, name="x") + Var(2.0, name="x")
    with pytest.raises(InputError, match="two variables are named 'x'"):
        tape.program(y)


def test_an_output_from_before_the_tape():
    y = Var(1.0) * 2.0
    with Tape() as tape:
        pass
    with pytest.raises(InputError, match="was not computed while this tape was open"):
        tape.program(y)
    with pytest.raises(InputError, match="nothing was computed"):
        tape.program()


def test_dot_colours_by_time_step():
    with Tape() as tape:
        x = Var(1.0, name='a "quoted" name')
        y = x * x
        tape.next_time_step()
        y = y + x
    text = tape.dot()
    assert '"a \\"quoted\\" name\\nfloat32[]"' in text
    assert text.count("->") == 4
    fills = [line.split("fillcolor=")[1][:9] for line in text.splitlines() if "fillcolor" in line]
    assert fills[0] == fills[1] != fills[2]


@pytest.mark.parametrize("back_steps", [0, 1, 2, 3, 4, 10])
def test_truncation_against_hand_unrolled_jax(back_steps):
    """What operators of time step T - back_steps and earlier made is cut off; T - back_steps < 0 cuts nothing."""
    steps = 5
    rng = np.random.default_rng(0)
    w0, u0 = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    xs = rng.normal(size=(steps, 3))

    def unrolled(w, u):
        h, stop = jnp.zeros(3), steps - 1 - back_steps
        for t in range(steps):
            drive = u @ xs[t]
            if t <= stop:
                drive = jax.lax.stop_gradient(drive)
            h = jnp.tanh(w @ h + drive)
            if t <= stop:
                h = jax.lax.stop_gradient(h)
        return h.sum()

    with jax.enable_x64(True):
        expected = jax.grad(unrolled, argnums=(0, 1))(jnp.asarray(w0), jnp.asarray(u0))
        with Tape() as tape:
            w, u = Var(w0), Var(u0)
            h: Any = jnp.zeros(3)
            for t in range(steps):
                if t:
                    tape.next_time_step()
                h = eager.ops.tanh(w @ h + u @ xs[t])
            loss: Any = h.sum()
            if back_steps == 0:  # the loss itself is of the last time step: nothing is differentiated
                with pytest.raises(InputError, match="depends on no variable"):
                    loss.backward(back_steps=0)
                return
            loss.backward(back_steps=back_steps)
        np.testing.assert_allclose(w.grad, expected[0], atol=1e-12)
        np.testing.assert_allclose(u.grad, expected[1], atol=1e-12)


def _arrays(entries):
    return {e["name"]: np.array(e["data"], np.float64).reshape(e["shape"]) for e in entries}


@pytest.mark.parametrize("index", [0, 1])
def test_truncated_character_lm_against_spago(golden, index):
    """spaGO 0.7 trains its character LM with Truncate(back_step), a time step for each character."""
    case = json.loads((golden / "v0.7.0" / "nlp.charlm_tbptt.json").read_text())["cases"][index]
    vocabulary, chars = case["config"]["vocabulary"], case["config"]["chars"]
    ops = eager.ops
    with jax.enable_x64(True), Tape() as tape:
        p = {name: Var(array, name=name) for name, array in _arrays(case["params"]).items()}
        h = c = np.zeros((case["config"]["hidden_size"], 1))
        losses = []
        for at, char in enumerate(chars):
            tape.next_time_step()
            x = p[f"Embeddings.{vocabulary.index(char)}"]

            def gate(name, x=x, h=h):
                return p[f"RNN.W{name}"] @ x + p[f"RNN.B{name}"] + p[f"RNN.W{name}Rec"] @ h

            i, o, f = (ops.sigmoid(gate(name)) for name in ("In", "Out", "For"))
            c = i * ops.tanh(gate("Cand")) + f * c
            h = o * ops.tanh(c)
            logits = p["Decoder.W"] @ h + p["Decoder.B"]
            if at + 1 < len(chars):
                losses.append((logits, vocabulary.index(chars[at + 1])))
        total: Any = sum(ops.logsumexp(logits) - logits[target, 0] for logits, target in losses) / len(losses)
        total.backward(back_steps=case["config"]["back_step"])
        assert float(total) == pytest.approx(case["outputs"][0]["data"][0], abs=1e-12)
        expected = _arrays(case["param_grads"])
        assert {name for name, var in p.items() if var.grad is not None} >= set(expected)
        for name, var in p.items():
            np.testing.assert_allclose(var.grad if var.grad is not None else 0.0, expected.get(name, 0.0), atol=1e-9)


def test_linear_regression_eagerly_learns_what_the_compiled_loop_learns():
    """A tenth of spaGO's example, so that it stays quick; the whole of it is in the notebook."""
    rate, epochs, n = 0.001, 2, 200
    xs = np.arange(n, dtype=np.float32) / n
    optimizer = optax.sgd(rate, momentum=0.9, nesterov=True)
    w, b = Var(0.0, name="w"), Var(0.0, name="b")
    trainer = eager.Optimizer([w, b], optimizer)
    for _ in range(epochs):
        for x in xs:
            error = w * x + b - (3.0 * x + 1.0)
            (error * error).backward()
            trainer.step()

    def body(carry, x):
        params, state = carry
        grads = jax.grad(lambda p: (p[0] * x + p[1] - (3.0 * x + 1.0)) ** 2)(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), None

    start = [jnp.float32(0.0), jnp.float32(0.0)]
    (params, _), _ = jax.lax.scan(body, (start, optimizer.init(start)), np.tile(xs, epochs))
    np.testing.assert_allclose([float(w), float(b)], np.array(params), rtol=1e-5)


def test_what_gradients_stop_at_is_computed_again_for_other_inputs():
    """stop_gradient is an operation of the program, not the number that it gave once; the oracle is JAX's own."""
    with Tape() as tape:
        x = Var([1.0, 2.0], name="x")
        y = (eager.stop_gradient(x) * x + eager.stop_gradient(x * 3.0)).sum()
    program = tape.program(y)
    new = jnp.array([4.0, -1.0])

    def oracle(x):
        return (jax.lax.stop_gradient(x) * x + jax.lax.stop_gradient(x * 3.0)).sum()

    assert float(program(new)) == float(oracle(new)) == 26.0
    np.testing.assert_array_equal(tape.graph(y).gradient("x")(new)["x"], jax.grad(oracle)(new))
    y.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 2.0])
