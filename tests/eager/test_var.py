# SPDX-License-Identifier: BSD-2-Clause
"""Eager variables. Oracles: spaGO's README, PyTorch's autograd, jax.grad of the same function."""

import gc
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spago_jax import eager
from spago_jax.eager import Var, backward
from spago_jax.eager.backward import _PROGRAMS
from spago_jax.errors import InputError
from spago_jax.nn import BiRNN, Linear


def test_the_first_example_of_spago():
    a, b = Var(2.0, name="a"), Var(5.0, name="b")
    c = a + b
    assert float(c) == 7.0
    c.accumulate_grad(0.5)
    backward(c)
    assert float(a.grad) == 0.5
    assert float(b.grad) == 0.5


def test_the_perceptron_of_spago():
    x, w, b = Var(-0.8, name="x"), Var(0.4, name="w"), Var(-0.2, name="b")
    y = eager.ops.sigmoid(w * x + b)
    assert float(y) == pytest.approx(1 / (1 + np.exp(0.52)), abs=1e-7)
    y.backward()
    slope = float(y) * (1 - float(y))
    assert [float(v.grad) for v in (w, x, b)] == pytest.approx([-0.8 * slope, 0.4 * slope, slope], abs=1e-7)


BINARY = ["add", "sub", "mul", "truediv", "pow", "matmul"]


@pytest.mark.oracle
@pytest.mark.parametrize("name", BINARY)
def test_operators_against_pytorch(name):
    import operator

    import torch

    rng = np.random.default_rng(0)
    shapes = ((3, 4), (4, 2)) if name == "matmul" else ((3, 4), (1, 4))
    a, b = (rng.uniform(0.5, 2.0, shape).astype(np.float32) for shape in shapes)
    ours = [Var(a), Var(b)]
    theirs: list[Any] = [torch.tensor(v, requires_grad=True) for v in (a, b)]
    y, z = getattr(operator, name)(*ours), getattr(operator, name)(*theirs)
    grad = rng.normal(size=z.shape).astype(np.float32)
    y.backward(grad)
    z.backward(torch.tensor(grad))
    np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=2e-6)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.oracle
def test_a_program_with_python_control_flow_against_pytorch():
    import torch

    def program(x: Any, w: Any, tanh: Any) -> Any:
        total = x.sum() * 0.0
        for step in range(20):
            x = tanh(x @ w) + x[0] if x.sum().item() > 0 else x * 0.5 - 1.0 / (2.0 + step)
            total = total + (x * x).mean()
        return total

    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(4, 4)).astype(np.float32), rng.normal(size=(4, 4)).astype(np.float32)
    ours = [Var(x), Var(w)]
    theirs: list[Any] = [torch.tensor(v, requires_grad=True) for v in (x, w)]
    y, z = program(ours[0], ours[1], eager.ops.tanh), program(theirs[0], theirs[1], torch.tanh)
    y.backward()
    z.backward()
    assert float(y) == pytest.approx(z.item(), rel=1e-5)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=2e-4, atol=2e-5)


def test_reflected_operators_and_numbers():
    x = Var([1.0, 2.0])
    for y, expected in ((3 - x, [2, 1]), (2 / x, [2, 1]), (2**x, [2, 4]), (1 + x, [2, 3]), (np.ones(2) * x, [1, 2])):
        assert isinstance(y, Var)
        np.testing.assert_allclose(y.value, expected)


def test_several_outputs_at_once():
    x = Var(3.0)
    backward(x * x, x + x, grads=[1.0, 10.0])
    assert float(x.grad) == 26.0


def test_gradients_accumulate_until_zero_grad():
    x = Var(3.0)
    (x * x).backward()
    (x * x).backward()
    assert float(x.grad) == 12.0
    x.zero_grad()
    assert x.grad is None


def test_one_variable_used_twice_in_one_operation():
    x = Var(3.0)
    (x * x * x).backward()
    assert float(x.grad) == 27.0


def test_stop_gradient_against_spago(golden):
    import json

    for case in json.loads((golden / "v0.7.0" / "op.NewWrapNoGrad.json").read_text())["cases"]:
        with jax.enable_x64(True):
            x1, x2 = (Var(np.array(x["data"]).reshape(x["shape"])) for x in case["inputs"])
            y = eager.stop_gradient(x1) * x2
            y.backward(np.array(case["output_grads"][0]["data"]).reshape(y.shape))
            assert x1.grad is None
            np.testing.assert_allclose(np.ravel(x2.grad), case["input_grads"][1]["data"], atol=1e-12)


def test_a_computed_var_keeps_its_gradient_when_asked():
    x = Var(2.0)
    y = (x * x).keep_grad()
    z = y * 3.0
    z.backward()
    assert float(y.grad) == 3.0
    assert float(x.grad) == 12.0


def test_a_variable_that_is_changed_after_use_is_differentiated_as_it_was():
    w = Var(3.0)
    y = w * w
    w.value = 100.0
    y.backward()
    assert float(w.grad) == 6.0


def test_a_variable_that_is_changed_between_two_uses():
    w = Var(3.0)
    first = w * w
    w.value = 5.0
    (first + w * w).backward()
    assert float(w.grad) == 16.0


def test_integers_flow_through_without_a_gradient():
    x = Var([3.0, 1.0, 2.0])
    order = eager.ops.argsort(x)
    assert not order.requires_grad
    y = eager.ops.take(x, order) * jnp.array([1.0, 10.0, 100.0])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [100.0, 1.0, 10.0])


def test_functions_with_settings_and_several_outputs():
    x = Var(jnp.arange(6.0).reshape(2, 3))
    first, second = eager.apply(jnp.split, x, 2, axis=0)
    np.testing.assert_array_equal(second.value, [[3, 4, 5]])
    (second * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0, 0], [2, 2, 2]])
    assert first.shape == (1, 3)


def test_equal_structure_shares_one_compiled_program():
    def once():
        x = Var(jnp.ones(3))
        (eager.ops.sin(x) * 2.0 + x[1]).sum().backward()

    once()
    before = len(_PROGRAMS)
    for _ in range(5):
        once()
    assert len(_PROGRAMS) == before


def test_settings_of_another_type_are_another_operation():
    x = Var([0.0, 3.0])
    assert eager.apply(jnp.clip, x, 0, 1).value.tolist() == [0.0, 1.0]
    assert eager.apply(lambda v, flag: v * 2 if flag is True else v, x, True).value[1] == 6.0


def test_a_module_runs_eagerly_as_it_does_compiled():
    model = BiRNN.init(jax.random.key(0), 4, 3)
    xs, lengths = jax.random.normal(jax.random.key(1), (2, 5, 4)), jnp.array([5, 3])

    def loss(model):
        return jnp.square(model(xs, lengths=lengths)[0]).sum()

    expected, wanted = jax.jit(jax.value_and_grad(loss))(model)
    live = eager.variables(model)
    ys, _ = eager.apply(live, xs, lengths=lengths)
    found = eager.ops.square(ys).sum()
    found.backward()
    np.testing.assert_allclose(found.value, expected, rtol=1e-6)
    grads = eager.gradients(live)
    for mine, other in zip(jax.tree.leaves(grads), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_values_gives_the_module_back():
    layer = Linear.init(jax.random.key(0), 3, 2)
    again = eager.values(eager.variables(layer))
    np.testing.assert_array_equal(again(jnp.ones(3)), layer(jnp.ones(3)))


def test_what_nobody_holds_is_freed():
    x = Var(jnp.ones(3))
    y = x * 2.0
    ref = weakref.ref(y)
    z = y + 1.0
    del y
    assert ref() is not None
    del z
    gc.collect()
    assert ref() is None


def test_a_chain_of_ten_thousand_operations_does_not_overflow_the_stack():
    from spago_jax.eager.backward import _Replay

    x = Var(1.0)
    y = x
    for _ in range(10_000):
        y = y + x
    assert len(_Replay([y], -1)._steps) == 10_000


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: Var([1.0, 2.0]).__mul__(2.0).backward(), "is not a scalar: give it a gradient of its shape"),
        (lambda: (Var(1.0) * 2.0).backward([1.0, 2.0]), "a gradient of shape [2] does not fit"),
        (lambda: (Var(1) * 2).backward(1), "depends on no variable that requires a gradient"),
        (lambda: backward(), "at least one output"),
        (lambda: backward(Var(1.0) * 2.0, grads=[1.0, 2.0]), "1 output(s), but 2 gradient(s)"),
        (lambda: (Var(1.0) * 2.0).backward(back_steps=-1), "back_steps = -1: expected 0 or more"),
        (lambda: setattr(Var(1.0) * 2.0, "value", 3.0), "was computed: only variables can be given a new value"),
        (lambda: setattr(Var(1.0, name="w"), "value", [3.0]), "its shape is [], the new value has [1]"),
        (lambda: Var(Var(1.0)), "it is a Var already"),
        (lambda: Var([1.0]).accumulate_grad([1.0, 2.0]), "a gradient of shape [2] does not fit"),
        (lambda: eager.Optimizer([Var(1)], optax.sgd(1.0)), "no variable that requires a gradient"),
    ],
)
def test_errors(act, message):
    with pytest.raises(InputError) as caught:
        act()
    assert message in str(caught.value)


def test_a_misspelt_function():
    with pytest.raises(AttributeError, match="did you mean 'softmax'"):
        eager.ops.sofmax  # noqa: B018


def test_slices_index_on_every_python():
    """Python 3.11 cannot hash them."""
    x = Var(np.arange(12.0).reshape(3, 4))
    for index in (slice(1, None), (slice(None), slice(1, None, 2)), (..., None), slice(np.int64(1), 3), -1):
        picked = x[index]
        np.testing.assert_array_equal(picked.value, np.asarray(x.value)[index])
    x[1:, ::2].sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]])
    with pytest.raises(InputError, match=r"item: its settings must be hashable .*a slice goes by Python numbers"):
        x[Var(1) :]


def test_vars_are_not_pickled():
    import pickle

    with pytest.raises(InputError, match=r"^Var cannot be pickled, it belongs to this process: pickle eager\.values"):
        pickle.dumps({"x": Var(1.0) * 2})


def test_a_copy_is_a_variable_of_its_own_with_the_same_history():
    import copy

    x = Var(2.0, name="x")
    y = copy.deepcopy({"y": x * x})["y"]
    y.backward()
    assert float(x.grad) == 4.0
    other = copy.copy(x)
    other.value = 5.0
    assert (float(x), float(other), other.name, float(other.grad)) == (2.0, 5.0, "x", 4.0)
    (other * 3.0).backward()
    assert (float(x.grad), float(other.grad)) == (4.0, 7.0)
