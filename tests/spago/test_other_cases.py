"""Cases of spaGO's schema that its golden files do not hold. Oracle: spaGO's rules, by hand."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago import handlers  # noqa: F401  (they register themselves)
from spago.check import check
from spago.conventions import KINKS, table
from spago.golden import read_cases
from spago.parity import run_files

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {"abs": jnp.abs, "hard_tanh": jax.nn.hard_tanh, "relu": jax.nn.relu}


def arrays(**named):
    return [
        value
        if value is None
        else {"name": name, "shape": list(np.shape(value)), "data": list(map(_number, np.ravel(value)))}
        for name, value in named.items()
    ]


def _number(x):
    return float(x) if math.isfinite(x) else {math.inf: "Infinity", -math.inf: "-Infinity"}[x]


def column(*numbers):
    return np.array(numbers, float).reshape(-1, 1)


def golden_file(tmp_path, file, *cases, version="main"):
    entries = [{"id": str(i), "status": "ok", "seed": 0, "config": {}} | case for i, case in enumerate(cases)]
    kind, _, name = file.partition(".")
    document = {"schema": "spago-golden/1", "spago_version": version, "kind": kind, "name": name, "cases": entries}
    path = tmp_path / f"{file}.json"
    path.write_text(json.dumps(document))
    return path


def results(tmp_path, file, *cases, version="main"):
    return [check(case) for case in read_cases(golden_file(tmp_path, file, *cases, version=version))]


def operator(inputs, y, gy, grads, **more):
    return {
        "inputs": arrays(**inputs),
        "outputs": arrays(y=y),
        "output_grads": arrays(y=gy),
        "input_grads": arrays(**grads),
    } | more


def passes(tmp_path, file, *cases, version="main"):
    found = results(tmp_path, file, *cases, version=version)
    assert not [str(result) for result in found if not result.passed]


@pytest.mark.parametrize("aligned_with_all", [True, False])
def test_an_operand_that_is_absent(tmp_path, aligned_with_all):
    b, w1, w2, x1 = column(1.0), np.array([[2.0]]), np.array([[5.0, 6.0]]), column(3.0)
    grads = {"b": column(1.0), "w1": column(3.0), "x1": column(2.0), "w2": np.zeros((1, 2))}
    if aligned_with_all:
        grads["x2"] = None
    inputs = {"b": b, "w1": w1, "x1": x1, "w2": w2, "x2": None}
    passes(tmp_path, "op.Affine", operator(inputs, column(7.0), column(1.0), grads))


def test_an_operand_that_cannot_be_absent(tmp_path):
    case = operator({"x1": column(1.0), "x2": None}, column(1.0), column(1.0), {"x1": column(1.0)})
    (result,) = results(tmp_path, "op.Add", case)
    assert str(result).startswith("FAIL main/op.Add 0 inf  # IndexError")


@pytest.mark.parametrize(
    ("file", "settings", "x", "y", "slope"),
    [
        ("LeakyReLU", {"alpha": 0.3}, -2.0, -0.6, 0.3),
        ("ELU", {"alpha": 2.0}, -1.0, 2 * math.expm1(-1), 2 * math.exp(-1)),
        ("CELU", {"alpha": 2.0}, -1.0, 2 * math.expm1(-0.5), math.exp(-0.5)),
        ("SELU", {"alpha": 2.0, "scale": 3.0}, -1.0, 6 * math.expm1(-1), 6 * math.exp(-1)),
        ("SoftPlus", {"beta": 2.0, "threshold": 5.0}, 1.0, math.log1p(math.exp(2)) / 2, 1 / (1 + math.exp(-2))),
        ("SoftPlus", {"beta": 2.0, "threshold": 0.5}, 1.0, 1.0, 1.0),
        ("SoftShrink", {"lambda": 0.5}, -2.0, -1.5, 1.0),
        ("Threshold", {"threshold": 0.5, "k": 7.0}, 0.0, 7.0, 0.0),
    ],
)
def test_settings_as_operands(tmp_path, file, settings, x, y, slope):
    """Beside x, in spaGO's order, whatever they are called; their values are read, and get no gradient."""
    named = {name: column(value) for name, value in settings.items()}
    unnamed = {f"x{i + 1}": value for i, value in enumerate(named.values())}
    for operands in (named, unnamed):
        none = dict.fromkeys(operands)
        case = operator({"x": column(x), **operands}, column(y), column(2.0), {"x": column(2 * slope), **none})
        passes(tmp_path, f"op.{file}", case)
    passes(
        tmp_path,
        f"op.{file}",
        operator({"x": column(x)}, column(y), column(2.0), {"x": column(2 * slope)}, config=settings),
    )


def test_relu_at_zero(tmp_path):
    """spaGO's derivative is 1 there, ours 0: the case passes with spaGO's number, and with no other."""
    x, y, gy = column(0.0, 1.0, -1.0), column(0.0, 1.0, 0.0), column(3.0, 4.0, 5.0)
    passes(tmp_path, "op.ReLU", operator({"x": x}, y, gy, {"x": column(3.0, 4.0, 0.0)}))
    (result,) = results(tmp_path, "op.ReLU", operator({"x": x}, y, gy, {"x": column(0.0, 4.0, 0.0)}))
    assert not result.passed
    layer = {"config": {"activation": "ReLU", "params": None}}
    passes(tmp_path, "nn.activation", operator({"x": x}, y, gy, {"x": column(3.0, 4.0, 0.0)}, **layer))


@pytest.mark.parametrize(
    ("file", "settings", "x", "y", "theirs"),
    [
        ("LeakyReLU", {"alpha": 0.3}, 0.0, 0.0, 0.3), ("Abs", {}, 0.0, 0.0, 0.0),
        ("HardTanh", {}, 1.0, 1.0, 0.0), ("HardTanh", {}, -1.0, -1.0, 0.0),
        ("HardSigmoid", {}, 2.5, 1.0, 0.0), ("HardSigmoid", {}, -2.5, 0.0, 0.0),
        # at these the two agree
        ("ELU", {"alpha": 0.3}, 0.0, 0.0, 0.3), ("CELU", {"alpha": 0.3}, 0.0, 0.0, 1.0),
        ("SELU", {"alpha": 0.3, "scale": 2.0}, 0.0, 0.0, 0.6), ("SoftShrink", {"lambda": 0.5}, 0.5, 0.0, 0.0),
        ("Threshold", {"threshold": 1.0, "k": 0.5}, 1.0, 0.5, 0.0),
        ("SoftPlus", {"beta": 1.0, "threshold": 1.0}, 1.0, math.log1p(math.e), math.e / (1 + math.e)),
    ],
)  # fmt: skip
def test_other_kinks(tmp_path, file, settings, x, y, theirs):
    case = operator({"x": column(x)}, column(y), column(2.0), {"x": column(2 * theirs)}, config=settings)
    passes(tmp_path, f"op.{file}", case)


def test_max_and_min_at_ties(tmp_path):
    a, b, gy = column(1.0, 2.0, 3.0), column(1.0, 5.0, 0.0), column(2.0, 3.0, 4.0)
    larger, smaller = {"x1": column(0, 0, 4), "x2": column(0, 3, 0)}, {"x1": column(0, 3, 0), "x2": column(0, 0, 4)}
    passes(tmp_path, "op.Max", operator({"x1": a, "x2": b}, np.maximum(a, b), gy, larger))
    passes(tmp_path, "op.Min", operator({"x1": a, "x2": b}, np.minimum(a, b), gy, smaller))
    shared = {"x1": column(1, 0, 4), "x2": column(1, 3, 0)}
    (result,) = results(tmp_path, "op.Max", operator({"x1": a, "x2": b}, np.maximum(a, b), gy, shared))
    assert not result.passed


def test_lists_at_ties(tmp_path):
    one, two = column(1.0), column(2.0)
    # folded: the first two tie and get nothing, the third is below; then the third is above what tied
    case = operator({"x0": two, "x1": two, "x2": one}, two, one, {"x0": 0 * one, "x1": 0 * one, "x2": 0 * one})
    risen = operator({"x0": one, "x1": one, "x2": two}, two, one, {"x0": 0 * one, "x1": 0 * one, "x2": one})
    passes(tmp_path, "op.Maximum", case, risen)
    fallen = operator({"x0": two, "x1": two, "x2": one}, one, one, {"x0": 0 * one, "x1": 0 * one, "x2": one})
    passes(tmp_path, "op.Minimum", fallen)
    passes(
        tmp_path,
        "op.ScalarMax",
        operator({"x0": one, "x1": two, "x2": two}, two, one, {"x0": 0 * one, "x1": one, "x2": 0 * one}),
    )
    passes(tmp_path, "op.ReduceMax", operator({"x": column(2, 1, 2)}, two, two, {"x": column(2, 0, 0)}))


def test_the_largest_of_no_positive_scalar(tmp_path):
    """spaGO gives the first of them."""
    inputs = {"x0": column(-3.0), "x1": column(-1.0)}
    (result,) = results(
        tmp_path, "op.ScalarMax",
        operator(inputs, column(-3.0), column(1.0), {"x0": column(1.0), "x1": column(0.0)}, status="spago_quirk"),
    )  # fmt: skip
    assert result.passed
    assert "starts at zero" in result.note


def test_the_logarithm_of_zero_in_old_versions(tmp_path):
    y = column(math.log(1e-8), 0.0)
    case = operator({"x": column(0.0, 1.0)}, y, column(2.0, 3.0), {"x": column(2e8, 3.0)})
    passes(tmp_path, "op.Log", case, version="v0.7.0")


def rates(kind, initial, final, rate, steps, lr, fixed):
    config = {"kind": kind, "init": initial, "final": final, "rate": rate, "iter": steps}
    return {"config": config, "extra": {"lr": lr, "fixed": fixed}}


def test_schedules_of_equal_ends(tmp_path):
    passes(
        tmp_path,
        "optim.decay",
        rates("hyperbolic", 0.1, 0.1, 0.5, 4, [0.1] * 4, [0.1] * 4),
        rates("exponential", 0.1, 0.1, 0.5, 4, [0.1] * 4, [0.1] * 4),
        rates("hyperbolic", 0.1, 0.01, 0.0, 3, [0.1] * 3, [0.1] * 3),
    )


def test_a_hyperbolic_rate_stays_where_it_reached_the_final_one(tmp_path):
    # 1 / (1 + t): 1, 1/3, 1/4 <= 0.3, where it stays; asked from the initial rate each time, it goes on
    case = rates("hyperbolic", 1.0, 0.3, 1.0, 5, [1, 1 / 3, 1 / 4, 1 / 4, 1 / 4], [1, 1 / 3, 1 / 4, 1 / 5, 1 / 6])
    passes(tmp_path, "optim.decay", case)


def test_a_case_that_cannot_be_read_is_a_line_and_the_others_are_checked(tmp_path):
    good = operator(
        {"x1": column(1.0), "x2": column(2.0)}, column(3.0), column(1.0), {"x1": column(1.0), "x2": column(1.0)}
    )
    path = golden_file(tmp_path, "op.Add", good | {"status": "fine"}, good, good | {"inputs": 3}, good | {"config": 1})
    document = json.loads(path.read_text())
    document["cases"].append("a case")
    path.write_text(json.dumps(document))
    passed, failed, lines = run_files([path], "float64")
    assert (passed, failed) == (1, 4)
    assert [line.split()[0] for line in lines] == ["FAIL", "PASS", "FAIL", "FAIL", "FAIL"]
    assert "status 'fine' is none of" in lines[0]
    path.write_text('{"schema": "spago-golden/1", "cases": {}}')
    assert "its cases are not a list" in run_files([path], "float64")[2][0]


@pytest.mark.parametrize("name", KINKS)
def test_the_table_says_what_our_functions_do(name):
    from spago_jax.ops import activations

    function = FUNCTIONS.get(name) or getattr(activations, name)
    settings = {"alpha": 0.3} if name == "leaky_relu" else {}
    kink = KINKS[name]
    for point in kink.points:
        slope = jax.grad(lambda x: function(x, *settings.values()))(point)
        if math.isnan(kink.ours(settings)):
            assert min(abs(float(slope) - side) for side in (0.0, 0.1, 0.2)) < 1e-6
        else:
            assert float(slope) == kink.ours(settings) == float(kink.text[1])


def test_the_table_stands_in_the_page():
    assert table() in (ROOT / "docs" / "spago.md").read_text("utf-8")
