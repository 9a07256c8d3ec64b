"""Which trials a sweep has: against itertools, against the distributions that were asked for, and against the seed."""

import itertools
import math

import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.sweep.schema import Range, Sweep, Values
from spago_jax.sweep.trials import Trial, combinations, draw, trials
from spago_jax.train.yaml_source import parse_override


def sweep(method, **parameters):
    keys = {key.replace("__", "."): value for key, value in parameters.items()}
    return Sweep.model_validate({"name": "s", "base": "b.yaml", "method": method, "parameters": keys})


def test_a_grid_is_the_product():
    lists = {"seed": [1, 2, 3], "model.hidden": [[8], [4, 4]], "optimizer.name": ["adam", "sgd"]}
    found = trials(sweep("grid", **{key.replace(".", "__"): value for key, value in lists.items()}))
    assert [tuple(trial.values.values()) for trial in found] == list(itertools.product(*lists.values()))
    assert [trial.number for trial in found] == list(range(1, 13))
    assert all(list(trial.values) == list(lists) for trial in found)


def test_draws_are_the_same_by_seed_and_differ_by_seed():
    def drawn(seed, count=20):
        return [t.values for t in trials(sweep({"kind": "random", "trials": count, "seed": seed}, a=LOG, b=[1, 2, 3]))]

    assert drawn(4) == drawn(4)
    assert drawn(4) != drawn(5)
    assert drawn(4, 50)[:20] == drawn(4)


# Worked out once by this very code, and written down so that no later version draws others.
KNOWN = [
    {"optimizer.learning_rate": 0.0009465, "model.dropout": 0.0},
    {"optimizer.learning_rate": 0.02836, "model.dropout": 0.2},
    {"optimizer.learning_rate": 0.01541, "model.dropout": 0.4},
]


def test_draws_do_not_change_from_version_to_version():
    rate = {"low": 3e-4, "high": 3e-2, "scale": "log"}
    found = trials(
        sweep({"kind": "random", "trials": 3, "seed": 1}, optimizer__learning_rate=rate, model__dropout=[0.0, 0.2, 0.4])
    )
    assert [trial.values for trial in found] == KNOWN


def test_a_parameter_more_changes_no_other():
    method = {"kind": "random", "trials": 30, "seed": 2}
    few = [trial.values["a"] for trial in trials(sweep(method, a=LOG))]
    assert [trial.values["a"] for trial in trials(sweep(method, b=LOG, a=LOG))] == few


def test_no_combination_is_drawn_twice():
    found = trials(sweep({"kind": "random", "trials": 12, "seed": 3}, a=[1, 2, 3], b=["x", "y"], c=[True, False]))
    drawn = [tuple(trial.values.values()) for trial in found]
    assert sorted(drawn, key=repr) == sorted(itertools.product([1, 2, 3], ["x", "y"], [True, False]), key=repr)


def test_more_trials_than_combinations():
    with pytest.raises(InputError) as error:
        trials(sweep({"kind": "random", "trials": 7}, a=[1, 2], b={"low": 1, "high": 3, "integer": True}))
    assert str(error.value) == (
        "method.trials = 7: the parameters have only 6 combinations, and none is tried twice; "
        "try fewer, or use method: grid"
    )
    assert combinations(Range(low=0, high=1)) == math.inf


LOG = {"low": 1e-5, "high": 1e-1, "scale": "log"}


def kolmogorov_smirnov(parts):
    """The largest distance of the sample's distribution from the even one on [0, 1]."""
    ordered = np.sort(parts)
    n = len(ordered)
    return max(np.max(np.arange(1, n + 1) / n - ordered), np.max(ordered - np.arange(n) / n))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_ranges_are_drawn_evenly_on_their_scale(scale):
    n, low, high = 2000, 1e-4, 1e-1
    found = trials(
        sweep({"kind": "random", "trials": n, "seed": 11}, a={"low": low, "high": high, "scale": scale}, b=LOG)
    )
    drawn = np.array([trial.values["a"] for trial in found])
    assert low <= drawn.min() < drawn.max() <= high
    if scale == "log":
        parts = np.log(drawn / low) / np.log(high / low)
    else:
        parts = (drawn - low) / (high - low)
    # The 1 % point of Kolmogorov's distribution is 1.63 / sqrt(n).
    assert kolmogorov_smirnov(parts) < 1.63 / math.sqrt(n)
    other = np.log([trial.values["b"] for trial in found])
    assert abs(np.corrcoef(parts, other)[0, 1]) < 2.58 / math.sqrt(n)  # two parameters are drawn apart


def test_choices_and_whole_numbers_are_drawn_evenly():
    n = 3000
    method = {"kind": "random", "trials": n, "seed": 5}
    found = trials(sweep(method, a=["x", "y", "z"], b={"low": 1, "high": 6, "integer": True}, c=LOG))
    for key, values in (("a", ["x", "y", "z"]), ("b", [1, 2, 3, 4, 5, 6])):
        counts = np.array([sum(trial.values[key] == value for trial in found) for value in values])
        assert counts.sum() == n
        expected = n / len(values)
        # The 1 % points of chi squared with 2 and 5 degrees of freedom.
        assert ((counts - expected) ** 2 / expected).sum() < {3: 9.21, 6: 15.09}[len(values)]


def test_whole_numbers_on_a_logarithmic_scale():
    numbers = Range(low=1, high=256, scale="log", integer=True)
    drawn = [draw(numbers, part) for part in np.linspace(0, 1, 4001, endpoint=False)]
    assert all(isinstance(value, int) for value in drawn)
    assert (min(drawn), max(drawn)) == (1, 256)
    below = sum(value < 16 for value in drawn) / len(drawn)
    assert below == pytest.approx(math.log(16) / math.log(257), abs=1e-3)


def test_numbers_are_short_and_within_their_range():
    assert draw(Range(low=0, high=1), 1 / 3) == 0.3333
    assert draw(Range(low=1000, high=1001), 1 / 3) == 1000.333
    for part in np.linspace(0, 1, 100, endpoint=False):
        assert 0.123456789 <= draw(Range(low=0.123456789, high=0.2), float(part)) <= 0.2


def test_the_ends_of_choices():
    values = Values(choice=("a", "b", "c"))
    assert [draw(values, part) for part in (0.0, 0.34, 0.9999999)] == ["a", "b", "c"]


def test_folders_are_named_after_number_and_settings():
    trial = Trial(3, {"model.hidden": [64, 32], "optimizer.learning_rate": 2e-3, "data.train": "/a b/c<d>.txt"})
    assert trial.folder == "003-hidden-64-32-learning_rate-0.002-train-a-b-c-d-.txt"
    assert Trial(12, {"a": "x" * 200}).folder == "012-a-" + "x" * 37
    assert Trial(1234, {"a": 1}).folder == "1234-a-1"


def test_overrides_give_the_values_back():
    values = {"a": [64, [1]], "b": 1e-05, "c": None, "d": "yes", "e": {"name": "x y", "k": 1.5}, "f": True, "g": "a: b"}
    parsed = dict(parse_override(text) for text in Trial(1, values).overrides)
    assert parsed == values
    assert Trial(1, {"a": 1e-05, "b": [1]}).about == "a=1e-05, b=[1]"
