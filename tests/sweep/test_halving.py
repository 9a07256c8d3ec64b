"""Successive halving's rungs against the papers, and who survives them."""

import math

import pytest

from spago_jax.optim import OptimizerConfig
from spago_jax.optim.schedules import follows_length
from spago_jax.sweep.halving import ranked, rungs, survivors
from spago_jax.sweep.schema import Halving
from spago_jax.train.task import Score

# Li et al. 2018, "Hyperband", table 1 (R = 81, eta = 3): n_i and r_i of each bracket.
HYPERBAND = {
    (81, 1): [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    (27, 3): [(27, 3), (9, 9), (3, 27), (1, 81)],
    (9, 9): [(9, 9), (3, 27), (1, 81)],
    (6, 27): [(6, 27), (2, 81)],
    (5, 81): [(5, 81)],
}


@pytest.mark.parametrize("start", HYPERBAND)
def test_the_brackets_of_hyperband(start):
    trials, epochs = start
    assert rungs(Halving(trials=trials, eta=3, min_epochs=epochs, max_epochs=81)) == HYPERBAND[start]


@pytest.mark.parametrize("n", [2, 5, 12, 16, 33, 100])
def test_sizes_are_those_of_jamieson_and_talwalkar(n):
    # Algorithm 1: S_0 has n arms, S_{k+1} the floor(|S_k| / 2) best of S_k, until one is left.
    sizes, size = [], n
    while size >= 1:
        sizes.append(size)
        size = size // 2
    found = rungs(Halving(trials=n, eta=2, min_epochs=1, max_epochs=10**6))
    assert [rung.trials for rung in found] == sizes
    assert len(found) == math.floor(math.log2(n)) + 1
    assert [rung.epochs for rung in found[:-1]] == [2**i for i in range(len(found) - 1)]
    assert found[-1].epochs == 10**6  # the one that is left has nobody to be measured against


@pytest.mark.parametrize(("n", "eta", "low", "high"), [(12, 3, 2, 18), (20, 4, 1, 10), (7, 2, 3, 50), (64, 5, 2, 7)])
def test_every_rung_is_the_formula(n, eta, low, high):
    found = rungs(Halving(trials=n, eta=eta, min_epochs=low, max_epochs=high))
    for i, rung in enumerate(found):
        assert rung.trials == n // eta**i
        if i < len(found) - 1:
            assert rung.epochs == low * eta**i < high
    assert found[-1].epochs == high


def test_few_trials_end_before_the_epochs_do():
    assert rungs(Halving(trials=2, eta=3, min_epochs=1, max_epochs=100)) == [(2, 1), (1, 100)]


def test_survivors_are_the_best_and_the_earlier_of_equals():
    scores = {1: 0.5, 2: 0.9, 3: None, 4: 0.9, 5: 0.1, 6: 0.5}
    for mode in ("max", "min"):
        sign = -1 if mode == "max" else 1
        order = sorted((k for k, v in scores.items() if v is not None), key=lambda k: (sign * scores[k], k))
        assert list(ranked(scores, Score("f1", mode))) == order
        for count in range(8):
            assert survivors(scores, count, Score("f1", mode)) == sorted(order[:count])


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("constant", None),
        ({"name": "step", "every": 2}, None),
        ("hyperbolic", None),
        ({"name": "cosine", "steps": 100}, None),
        ({"name": "constant", "warmup": 30}, None),
        ({"name": "constant", "warmup": 0.1}, "optimizer.schedule.warmup is a part of all steps"),
        ("linear", "the linear schedule follows the number of all steps"),
        ("cosine", "the cosine schedule follows the number of all steps"),
        ("exponential", "the exponential schedule follows the number of all steps"),
    ],
)
def test_which_runs_can_go_on(schedule, reason):
    config = OptimizerConfig.model_validate({"schedule": schedule})
    assert follows_length(config) == reason


@pytest.mark.parametrize("schedule", ["constant", "hyperbolic", {"name": "step", "every": 2},
                                      {"name": "cosine", "steps": 40, "warmup": 5}])  # fmt: skip
def test_a_run_that_can_go_on_has_the_rates_of_a_long_one(schedule):
    from spago_jax.optim.schedules import build_schedule

    config = OptimizerConfig.model_validate({"schedule": schedule})
    assert follows_length(config) is None
    short = build_schedule(config.schedule, total_steps=20, steps_per_epoch=10)
    long = build_schedule(config.schedule, total_steps=60, steps_per_epoch=10)
    assert [float(short(t)) for t in range(20)] == [float(long(t)) for t in range(20)]
