"""goDl's observation tests with their numbers: rows G60 to G66, and the statistics of section A.6 of its reference."""

import jax
import jax.numpy as jnp
import pytest

import spago_jax as sj
from spago_jax.core import collect_taps
from spago_jax.errors import InputError
from spago_jax.nn import Linear
from spago_jax.train.watch import Trend, TrendGroup, Watch


def flushed(*epochs, name="loss"):
    watch = Watch()
    for values in epochs:
        watch.record(name, *values)
        watch.flush()
    return watch


@pytest.mark.parametrize(
    ("values", "window", "slope"), [([5, 4, 3, 2, 1], 0, -1), ([1, 3, 5, 7], 0, 2), ([1, 2, 3, 4, 3, 2, 1], 4, -1)]
)
def test_g60_slope(values, window, slope):
    assert Trend(values).slope(window) == slope


def test_g61_mean_slope_of_a_group():
    assert TrendGroup({"a": Trend([0, 2, 4]), "b": Trend([0, 1, 2])}).mean_slope() == 1.5


def test_g62_converged():
    assert Trend([1, 1.001, 0.999, 1, 1.001]).converged(0, 1e-4)


def test_g63_flush_takes_the_mean():
    assert list(flushed((2, 4, 6), (10, 20, 30)).trend("loss")) == [4, 20]


def test_g64_slope_of_what_was_flushed():
    assert flushed((1,), (0.8,), (0.6,), (0.4,), (0.2,)).trend("loss").slope() == pytest.approx(-0.2, abs=1e-12)


class Inner(sj.Module):
    linear: Linear

    def __call__(self, x):
        return sj.tap("inner", self.linear(x))


class Outer(sj.Module):
    block: Inner
    linear: Linear

    def __call__(self, x):
        return sj.tap("outer", self.linear(self.block(x)))


def times(factor):
    return Linear(weight=jnp.array([[factor]]), bias=jnp.zeros(1))


def test_g65_values_of_an_inner_part_have_a_history_of_their_own():
    model = Outer(Inner(times(1.0)), times(2.0))

    @jax.jit
    def forward(model, x):
        with collect_taps() as found:
            model(x)
        return dict(found)

    outer, inner = Watch(), Watch()
    for x in (3.0, 5.0, 7.0):
        found = forward(model, jnp.array([[x]]))
        outer.collect(found, "outer")
        inner.collect(found, "inner")
    assert outer.collected("outer") == [6, 10, 14]
    assert inner.collected("inner") == [3, 5, 7]
    # goDl answers nil for a part that is not there; here it is an error that names the nearest one.
    with pytest.raises(InputError, match=r"did you mean 'inner'\?"):
        inner.trend("iner")


def test_g66_csv(tmp_path):
    watch = flushed((0.5,), (1 / 3,))
    watch.record("accuracy", 0.25)
    watch.flush()
    watch.export_csv(tmp_path / "trends.csv", "loss", "accuracy")
    assert (tmp_path / "trends.csv").read_text() == "epoch,loss,accuracy\n1,0.5,0.25\n2,0.33333333,\n"


def test_fewer_than_two_points():
    for trend in (Trend(), Trend([1])):
        assert trend.slope() == 0
        assert not trend.stalled(0, 1.0)
        assert not trend.converged(0, 1.0)


def test_a_window_of_nothing_or_of_too_much_is_the_whole_series():
    trend = Trend([5, 4, 3, 3, 3])
    assert trend.slope(0) == trend.slope(-2) == trend.slope(5) == trend.slope(99) == pytest.approx(-0.5)
    assert trend.slope(3) == 0


def test_of_an_empty_series_mean_min_and_max_are_zero():
    assert (Trend().mean, Trend().min, Trend().max, Trend().latest) == (0, 0, 0, 0)


def test_all_of_an_empty_group_is_false():
    group = TrendGroup()
    assert not any((group.all_improving(), group.all_stalled(), group.all_converged(), group.any_improving()))


def test_an_empty_flush_is_not_counted_and_unknown_names_are_ignored():
    watch = Watch()
    watch.collect({"known": 1.0}, "unknown")
    assert watch.flush() == {}
    assert watch.flush_count == 0


def test_record_without_values_does_nothing_and_needs_no_tag_in_a_model():
    watch = Watch()
    watch.record("loss")
    assert watch.collected("loss") == []
    watch.record("loss", 0.5, 1.5)
    assert watch.collected("loss") == [0.5, 1.5]


def test_times_and_the_time_that_remains():
    now = [0.0]
    watch = Watch(clock=lambda: now[0])
    assert watch.elapsed == watch.last_flush_duration == watch.eta(10) == 0
    for _ in range(2):
        watch.record("loss", 1.0)
        now[0] += 3
        watch.flush()
    assert (watch.elapsed, watch.last_flush_duration, watch.eta(10), watch.eta(2)) == (6, 3, 6 / 2 * 8, 0)


def test_groups_expand_and_reset_forgets():
    watch = Watch(groups={"head": ("head_0", "head_1")})
    for name in ("head_0", "head_1", "loss"):
        watch.record(name, 1.0)
    watch.flush()
    assert list(watch.trends("head")) == ["head_0", "head_1"]
    watch.reset("head")
    assert list(watch.trends()) == ["loss"]
