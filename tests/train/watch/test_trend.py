"""Trends against NumPy's least squares and variance."""

import math

import numpy as np
import pytest

from spago_jax.train.watch import STATES, Trend, TrendGroup

DRAW = np.random.default_rng(3)


@pytest.mark.parametrize("length", [2, 3, 7, 40])
@pytest.mark.parametrize("window", [-1, 0, 2, 5, 100])
def test_slope_is_that_of_least_squares(length, window):
    ys = DRAW.normal(size=length)
    last = ys if window <= 0 or window >= length else ys[-window:]
    expected = np.polyfit(np.arange(len(last)), last, 1)[0]
    assert Trend(ys).slope(window) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_fewer_than_two_points_have_no_slope_and_are_in_no_state():
    for values in ([], [3.0]):
        trend = Trend(values)
        assert trend.slope() == 0.0
        assert not any(trend.state(state, 0, 10.0) for state in STATES)


def test_an_empty_series():
    trend = Trend()
    assert (trend.mean, trend.min, trend.max, trend.latest, trend.last(3), len(trend)) == (0, 0, 0, 0, (), 0)


def test_mean_min_max_last_and_latest():
    trend = Trend([3, 1, 2])
    assert (trend.mean, trend.min, trend.max, trend.latest) == (2, 1, 3, 2)
    assert (trend.last(2), trend.last(9), trend.last()) == ((1, 2), (3, 1, 2), (3, 1, 2))
    assert repr(trend) == "Trend(3, 1, 2)"


def test_stalled_is_a_small_slope_either_way():
    assert Trend([1.0, 1.01, 1.0]).stalled(tolerance=0.02)
    assert Trend([1.0, 1.5]).stalled(tolerance=0.6)
    assert not Trend([1.5, 1.0]).stalled(tolerance=0.5)


def test_converged_takes_the_population_variance():
    ys = [1.0, 2.0, 4.0]
    variance = np.var(ys)  # divides by n
    assert Trend(ys).converged(tolerance=variance * 1.001)
    assert not Trend(ys).converged(tolerance=variance * 0.999)
    assert Trend([9.0, 1.0, 1.0]).converged(2, 1e-9)


def test_improving_and_diverging_follow_which_way_is_better():
    falling, rising = [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]
    assert Trend(falling).improving()
    assert not Trend(falling).diverging()
    assert Trend(rising).diverging()
    assert Trend(rising, higher_is_better=True).improving()
    assert Trend(falling, higher_is_better=True).diverging()
    assert not Trend(rising).diverging(tolerance=1.5)
    assert Trend([1.0, math.inf]).diverging()


def test_oscillating_needs_turns_above_the_tolerance():
    ys = [1.0, 2.0, 1.0, 2.0, 1.0]
    assert Trend(ys).oscillating()
    assert not Trend(ys).oscillating(tolerance=1.0)
    assert not Trend(ys[:3]).oscillating()
    assert not Trend([1, 2, 3, 4, 3]).oscillating()


def test_groups_ask_all_and_any():
    group = TrendGroup({"down": Trend([2, 1]), "up": Trend([1, 2]), "flat": Trend([1, 1])})
    assert group.any_improving()
    assert not group.all_improving()
    assert group.any_stalled()
    assert not group.all_stalled()
    assert group.any_converged()
    assert group.all_converged(tolerance=1.0)
    assert group.all_stalled(tolerance=1.5)
    assert group.slopes() == {"down": -1, "up": 1, "flat": 0}
    assert group.mean_slope() == 0


def test_of_an_empty_group_nothing_is_so():
    group = TrendGroup()
    assert not any((group.all_improving(), group.all_stalled(), group.all_converged(), group.any_improving()))
    assert group.mean_slope() == 0
    assert group.slopes() == {}
