"""Histories: what is collected, flushed, kept, written and restored."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import collect_taps, tap
from spago_jax.errors import CheckpointError, InputError
from spago_jax.train.watch import Watch


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def filled(*values, name="loss", **options):
    watch = Watch(**options)
    for value in values:
        watch.record(name, value)
        watch.flush()
    return watch


@jax.jit
def step(x):
    with collect_taps() as found:
        y = tap("square", x * x)
        tap("rows", jnp.stack([x, x + 2]))
    return y + 1, dict(found)


def test_it_collects_what_a_compiled_step_returns():
    watch = Watch()
    for x in (1.0, 2.0, 3.0):
        y, found = step(jnp.float32(x))
        watch.collect(found)
        watch.record("y", y)
    assert watch.collected("square") == [1, 4, 9]
    assert watch.flush() == {"rows": 3.0, "square": np.mean([1, 4, 9]), "y": np.mean([2, 5, 10])}
    assert watch.collected("square") == []


def test_values_stay_on_the_device_until_the_flush(monkeypatch):
    watch = Watch()
    transfers = []
    fetch = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda tree: transfers.append(tree) or fetch(tree))
    with jax.transfer_guard_device_to_host("disallow"):
        for x in (1.0, 2.0):
            watch.collect(step(jnp.float32(x))[1])
        assert transfers == []
    watch.flush()
    assert len(transfers) == 1


def test_names_that_were_not_found_are_passed_over():
    watch = Watch()
    watch.collect({"a": 1.0, "b": 2.0}, "a", "nowhere")
    assert watch.flush() == {"a": 1.0}


def test_a_value_that_is_traced_is_refused():
    watch = Watch()
    with pytest.raises(InputError, match=r"the value of 'loss' is being traced: return it from the compiled function"):
        jax.jit(lambda x: watch.record("loss", x))(1.0)


def test_recording_no_value_is_nothing():
    watch = Watch()
    watch.record("loss")
    assert watch.names() == []
    assert watch.flush() == {}
    assert watch.flush_count == 0


def test_flushing_some_names_leaves_the_others():
    watch = Watch(groups={"heads": ("head_0", "head_1")})
    for name in ("loss", "head_0", "head_1"):
        watch.record(name, 1.0, 3.0)
    assert watch.flush("heads") == {"head_0": 2.0, "head_1": 2.0}
    assert watch.collected("loss") == [1.0, 3.0]
    assert watch.flush() == {"loss": 2.0}


def test_on_flush_is_given_the_means():
    seen = []
    filled(1.0, 2.0, on_flush=seen.append)
    assert seen == [{"loss": 1.0}, {"loss": 2.0}]


def test_groups_and_patterns_are_expanded():
    watch = Watch(groups={"heads": ("head_0", "head_1")}, higher_is_better=["head_1"])
    for name in ("loss", "head_0", "head_1"):
        watch.record(name, 1.0)
        watch.flush()
        watch.record(name, 2.0)
        watch.flush()
    assert list(watch.trends("heads")) == ["head_0", "head_1"]
    assert list(watch.trends("head_*", "loss")) == ["head_0", "head_1", "loss"]
    assert list(watch.trends()) == ["loss", "head_0", "head_1"]
    assert [trend.improving() for trend in watch.trends("heads").values()] == [False, True]


def test_a_name_that_is_not_watched_is_refused_with_the_nearest():
    watch = filled(1.0)
    with pytest.raises(InputError, match=r"nothing is watched under 'los': did you mean 'loss'\?"):
        watch.trend("los")
    with pytest.raises(InputError, match=r"nothing is watched under 'los'"):
        watch.trends("los")
    assert len(Watch().trend("loss")) == 0  # before the first value no name is known


def test_reset_forgets_the_history():
    watch = filled(1.0, 2.0)
    watch.record("loss", 5.0)
    watch.reset("loss")
    assert len(watch.trend("loss")) == 0
    assert watch.flush() == {"loss": 5.0}
    watch.reset()
    assert watch.names() == []


def test_times():
    clock = Clock()
    watch = Watch(clock=clock)
    assert (watch.elapsed, watch.last_flush_duration, watch.eta(4)) == (0, 0, 0)
    watch.record("loss", 1.0)
    clock.now += 10
    watch.flush()
    assert (watch.elapsed, watch.last_flush_duration) == (10, 0)
    assert watch.eta(4) == 30  # 10 / 1 * 3
    watch.record("loss", 1.0)
    clock.now += 20
    watch.flush()
    assert (watch.elapsed, watch.last_flush_duration, watch.eta(4)) == (30, 20, 30)
    assert watch.eta(2) == 0


def test_csv_has_blanks_where_a_series_is_shorter(tmp_path):
    watch = filled(1.0, 0.123456789012)
    watch.record("dev", 3.0)
    watch.flush()
    watch.export_csv(tmp_path / "watch.csv")
    assert (tmp_path / "watch.csv").read_text() == "epoch,loss,dev\n1,1,3\n2,0.12345679,\n"
    watch.export_csv(tmp_path / "watch.csv", "dev")
    assert (tmp_path / "watch.csv").read_text() == "epoch,dev\n1,3\n"


def test_the_log(tmp_path):
    clock = Clock()
    watch = Watch(clock=clock)
    for value in (0.5, 0.0):
        watch.record("loss", value)
        clock.now += 2
        watch.flush()
    watch.write_log(tmp_path / "watch.log", 3)
    lines = (tmp_path / "watch.log").read_text().splitlines()
    assert lines[0].startswith("# 20")
    assert lines[1:] == ["epoch   1  loss=0.5000  [2.0 s  ETA 4.0 s]", "epoch   2  loss=0.0000  [2.0 s  ETA 2.0 s]"]


def test_there_is_nothing_to_write_before_the_first_flush(tmp_path):
    with pytest.raises(InputError, match="nothing to write: no values have been flushed yet"):
        Watch().export_csv(tmp_path / "watch.csv")


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot write .*watch\.csv: No such file or directory"):
        filled(1.0).export_csv(tmp_path / "nowhere" / "watch.csv")


def test_restored_it_goes_on():
    watch = filled(1.0, 2.0)
    watch.record("loss", jnp.float32(0.1))
    clock = Clock()
    other = Watch(clock=clock)
    other.restore(json.loads(json.dumps(watch.to_json())))
    assert other.flush_count == 2
    assert other.eta(4) == 0  # nothing was done yet in this process
    assert other.flush() == watch.flush()
    assert list(other.trend("loss")) == list(watch.trend("loss"))
