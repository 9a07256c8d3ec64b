"""Oracle: NumPy float64 by formulas that hold over the whole range (``rewrite/cases.py``)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from stability_cases import CASES
from stability_proof import measure

from spago_jax.compiler.graph import graph
from spago_jax.compiler.rewrite import stabilize, stabilized, table
from spago_jax.compiler.rewrite.patterns import STABILITY

DOCS = Path(__file__).resolve().parents[3] / "docs" / "stabilization.md"
# A few units of float32 rounding (6e-8); softmax of exponents up to 100 takes their difference, rounded, into exp.
BOUND = {"exp(x) / sum(exp(x))": 6e-6, "log(softmax(x))": 6e-6}
# XLA's own simplifier meets these where the whole is compiled, in values but not in derivatives.
MET_BY_XLA = {"log(exp(x))", "exp(x) * exp(y)"}
# Digits are lost near 1 only, fewer than all of them.
LOSES_SOME = {"1 - x^2"}


def rules(function, *args):
    return [rewrite.rule for rewrite in graph(function, *args).stabilize().rewrites]


@pytest.mark.parametrize("case", CASES, ids=[case.rule for case in CASES])
def test_every_rule_over_the_whole_range(case):
    assert case.rule in rules(case.naive, f"f32[{case.size}]")
    value, gradient = measure(case)
    assert value.failures == gradient.failures == 0
    assert max(value.error, gradient.error) < BOUND.get(case.rule, 6e-7)
    assert value.compared > 700
    if case.rule not in MET_BY_XLA | LOSES_SOME:
        assert value.naive_failures + gradient.naive_failures > 0


def test_digits_that_one_minus_a_square_loses():
    x = jnp.float32(0.9999)
    truth = 1 - float(x) ** 2
    assert abs(float(1 - x * x) / truth - 1) > 1e-5
    assert abs(float(stabilized(lambda x: 1 - x * x)(x)) / truth - 1) < 2e-7


def test_every_rule_has_a_case_and_stands_in_the_page():
    names = {rule.name for rule in STABILITY.all}
    assert names - {case.rule for case in CASES} == {"-(-x)"}
    assert len(names) >= 15
    page = DOCS.read_text("utf-8")
    assert all(f"| `{case.rule}`" in page for case in CASES)


@pytest.mark.parametrize(
    "one",
    [1, 1.0, np.float32(1), jnp.float32(1), np.ones(3, np.float32), jnp.ones(3), jnp.full((3,), 1.0),
     np.ones(1, np.float32)],
    ids=["int", "float", "numpy", "jax", "numpy array", "jax array", "full", "size 1"],
)  # fmt: skip
def test_constants_are_matched_by_value(one):
    assert rules(lambda x: jnp.log(one + x), "f32[3]") == ["log(1 + x)"]
    assert rules(lambda x: jnp.log(x + one), "f32[3]") == ["log(1 + x)"]
    assert rules(lambda x: jnp.log(one - x), "f32[3]") == ["log(1 - x)"]
    assert rules(lambda x: jnp.exp(x) - one, "f32[3]") == ["exp(x) - 1"]


def test_what_is_not_the_formula_is_left():
    for function in (
        lambda x: jnp.log(x - 1), lambda x: jnp.log(x + 2), lambda x: jnp.log(1.0000002 + x), lambda x: jnp.exp(x) + 1,
        lambda x: jnp.log(x + jnp.array([1.0, 1.0, 2.0])), lambda x: 2 - jax.nn.sigmoid(x), jax.nn.softmax,
        lambda x: jnp.exp(x) / jnp.sum(jnp.exp(2 * x)), lambda x: jnp.sqrt(jnp.sum(x**3)), jax.nn.log_softmax,
        jax.nn.softplus, jax.nn.logsumexp, jnp.expm1,
    ):  # fmt: skip
        assert rules(function, "f32[3]") == []


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axes", [0, 1, (0, 1), (1, 2), (0, 1, 2), -1])
def test_log_sum_exp_over_any_axes(axes, keepdims):
    x = 300 * np.random.default_rng(0).normal(size=(2, 3, 4)).astype("f")

    def naive(x):
        return jnp.log(jnp.sum(jnp.exp(x), axes, keepdims=keepdims))

    assert not np.isfinite(naive(x)).all()
    np.testing.assert_allclose(stabilized(naive)(x), jax.nn.logsumexp(x, axes, keepdims=keepdims), rtol=1e-6)
    np.testing.assert_allclose(
        stabilized(lambda x: naive(x) * 1)(x), jax.nn.logsumexp(x, axes, keepdims=keepdims), rtol=1e-6
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_softmax_by_hand_over_any_axis(axis):
    x = 300 * np.random.default_rng(0).normal(size=(2, 2, 2)).astype("f")

    def naive(x):
        powers = jnp.exp(x)
        return powers / jnp.sum(powers, axis, keepdims=True)

    np.testing.assert_allclose(stabilized(naive)(x), jax.nn.softmax(x, axis), rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(
        stabilized(lambda x: jnp.log(naive(x)))(x), jax.nn.log_softmax(x, axis), rtol=1e-6, atol=1e-12
    )
    assert rules(lambda x: jnp.exp(x) / jnp.exp(x).sum(0), "f32[3, 3]") == ["exp(x) / sum(exp(x))"]
    # a sum that meets other rows than those it was taken of is no softmax
    assert rules(lambda x: jnp.exp(x) / jnp.exp(x).sum(1), "f32[3, 3]") == []


def test_labels_chosen_out_of_a_softmax():
    logits = jnp.array([[1000.0, 0.0, -1000.0], [0.0, 1000.0, 3.0]])
    labels = jnp.array([1, 0])

    def loss(logits, labels):
        p = jax.nn.softmax(logits)
        return -jnp.log(jnp.take_along_axis(p, labels[:, None], 1)).mean()

    made = graph(loss, logits, labels).stabilize()
    assert [r.rule for r in made.rewrites] == ["log(softmax(x))"]
    assert not np.isfinite(loss(logits, labels))
    assert float(made(logits, labels)) == 1000
    np.testing.assert_allclose(jax.grad(made)(logits, labels), [[0.5, -0.5, 0], [-0.5, 0.5, 0]], atol=1e-7)


def test_values_that_others_use_too_stay_as_they_were():
    """Gorgonia's defects 11 and 12: rewrites took 1 + a, and the softmax, from their other users."""

    def f(x):
        total, p = 1 + x, jax.nn.softmax(x)
        return jnp.log(total), total, jnp.log(p), p

    made = graph(f, "f32[3]").stabilize()
    assert [r.rule for r in made.rewrites] == ["log(1 + x)", "log(softmax(x))"]
    x = jnp.array([0.5, 1.0, 2.0])
    for found, wanted in zip(made(x), f(x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_array_equal(made(x)[1], f(x)[1])
    np.testing.assert_array_equal(made(x)[3], f(x)[3])


@jax.jit
def hand_sigmoid(x):
    return 1 / (1 + jnp.exp(-x))


def test_calls_are_seen_through():
    assert rules(lambda x: jnp.log(hand_sigmoid(x)), "f32[3]") == ["log(sigmoid(x))"]
    assert rules(lambda x: jnp.log(jax.jit(jax.nn.softmax)(x)), "f32[3]") == ["log(softmax(x))"]
    assert rules(jax.jit(jax.jit(lambda x: jnp.log(1 + x))), "f32[3]") == ["log(1 + x)"]
    assert rules(jax.checkpoint(lambda x: jnp.log(1 + jnp.exp(x))), "f32[3]") == ["log(1 + exp(x))"]


def test_a_function_with_its_own_derivative_keeps_it():
    @jax.custom_jvp
    def f(x):
        return jnp.log(1 + jnp.exp(x))

    f.defjvp(lambda p, t: (f(p[0]), 7 * t[0]))
    assert rules(f, "f32[]") == []
    assert jax.grad(stabilized(f))(0.0) == 7


def test_bodies_of_loops_and_branches():
    ones = np.ones(3, np.float32)

    def f(x):
        def step(c, row):
            return c + jnp.log(1 + jnp.exp(row)), jnp.log(row * row + ones)

        c, y = lax.scan(step, x * 0, jnp.stack([x, x]))
        c = lax.fori_loop(0, 2, lambda i, v: jnp.log(jnp.exp(v) + ones), c)
        return lax.cond(x[0] > 0, lambda v: v, lambda v: jnp.sqrt(v**2), c).sum() + y.sum()

    found = graph(f, "f32[3]").stabilize()
    assert sorted(r.rule for r in found.rewrites) == ["log(1 + exp(x))", "log(1 + exp(x))", "log(1 + x)", "sqrt(x^2)"]
    x = jnp.array([500.0, 1.0, -500.0])
    assert not np.isfinite(f(x))
    assert np.isfinite(found(x))
    gradient = jax.grad(lambda v: stabilized(f)(v))(jnp.array([1.0, 2.0, 3.0]))  # through the while loop's scan form
    np.testing.assert_allclose(gradient, jax.grad(f)(jnp.array([1.0, 2.0, 3.0])), rtol=1e-5)


def test_report_names_the_line_that_wrote_it():
    def f(rate):
        doubled = rate * 2
        return jnp.log(1 + doubled)

    (rewrite,) = graph(f, "f32[]").stabilize().rewrites
    assert (rewrite.before, rewrite.after) == ("log(1 + (rate * 2))", "log1p(rate * 2)")
    assert rewrite.place.file.endswith("test_stabilize.py")
    assert (
        Path(rewrite.place.file).read_text("utf-8").splitlines()[rewrite.place.line - 1].strip()
        == "return jnp.log(1 + doubled)"
    )
    assert "log(1 + (rate * 2)) -> log1p(rate * 2)" in table([rewrite])


def test_wrapper_under_every_transformation():
    def f(x, *, scale=1.0, mode="plain"):
        assert mode == "plain"
        return jnp.log(1 + jnp.exp(x["a"] * scale))

    g = stabilized(f)
    assert float(g({"a": 800.0})) == 800
    assert float(jax.jit(g)({"a": 800.0}, scale=2.0)) == 1600
    assert float(jax.grad(lambda x: g({"a": x}))(800.0)) == 1
    assert float(jax.grad(jax.grad(lambda x: g({"a": x})))(1.0)) == pytest.approx(0.19661193)
    np.testing.assert_allclose(jax.vmap(lambda x: g({"a": x}))(jnp.array([0.0, 800.0])), [np.log(2), 800])
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(lambda x: g({"a": x}))))(jnp.array([0.0, 800.0])), [0.5, 1])
    weight = jnp.float32(3)
    assert float(jax.grad(lambda w: stabilized(lambda x: jnp.log(1 + jnp.exp(w * x)))(800.0))(weight)) == 800


def test_second_application_changes_nothing():
    first = graph(
        lambda x: jnp.log(1 + jnp.exp(x)) + jnp.log(jax.nn.softmax(x)) + jnp.sqrt(jnp.sum(x**2)), "f32[3]"
    ).stabilize()
    assert stabilize(first.jaxpr).rewrites == ()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64])
def test_other_dtypes(dtype):
    with jax.enable_x64(True):
        x = jnp.asarray([3.0, 4.0], dtype) * (float(jnp.finfo(dtype).max) / 16)
        norm = stabilized(lambda x: jnp.sqrt(jnp.sum(x**2)))(x)
        assert norm.dtype == dtype
        assert float(norm) == pytest.approx(5 / 16 * float(jnp.finfo(dtype).max), rel=4 * float(jnp.finfo(dtype).eps))
        unit = stabilized(lambda x: x / jnp.sqrt(jnp.sum(x**2)))(x)
        assert unit.dtype == dtype
        np.testing.assert_allclose(np.asarray(unit, float), [0.6, 0.8], rtol=4 * float(jnp.finfo(dtype).eps))
        total = stabilized(lambda x: jnp.log(jnp.sum(jnp.exp(x))))(jnp.asarray([800, 800], dtype))
        assert total.dtype == dtype
        assert float(total) == pytest.approx(800 + np.log(2), rel=2 * float(jnp.finfo(dtype).eps))
        soft = stabilized(lambda x: jnp.log(1 + jnp.exp(x)))(jnp.asarray(800, dtype))
        assert soft.dtype == dtype
        assert float(soft) == 800


def test_second_derivatives_of_norms_and_softmax_equal_those_of_the_formulas():
    x = jnp.array([0.5, -1.0, 2.0])
    for f in (
        lambda x: jnp.sqrt(jnp.sum(x**2)),
        lambda x: (x / jnp.sqrt(jnp.sum(x**2)))[0], lambda x: jnp.sqrt(x[0] ** 2 + x[1] ** 2),
        lambda x: (jnp.exp(x) / jnp.exp(x).sum())[0], lambda x: jnp.log(jnp.exp(x) / jnp.exp(x).sum())[0],
        lambda x: jnp.log(jnp.exp(x).sum()), lambda x: jnp.log(jnp.mean(jnp.exp(x))), lambda x: 1 - jnp.tanh(x[0]) ** 2,
        lambda x: jnp.log(x[2] + jnp.sqrt(x[2] ** 2 + 1)), lambda x: jnp.log(jnp.exp(x[2]) - jnp.exp(x[0])),
    ):  # fmt: skip
        np.testing.assert_allclose(jax.hessian(stabilized(f))(x), jax.hessian(f)(x), rtol=2e-4, atol=3e-6)


def test_models_are_stabilised_without_changing_them(model_loss):
    loss, args = model_loss
    made = graph(loss, *args)
    found = made.stabilize()
    np.testing.assert_allclose(jax.jit(found)(*args), jax.jit(made)(*args), rtol=1e-5)
    if "attention" in loss.__qualname__:
        assert "exp(x) / sum(exp(x))" in [r.rule for r in found.rewrites]
