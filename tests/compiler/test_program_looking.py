# SPDX-License-Identifier: BSD-2-Clause
"""What a Program tells of itself. Oracles: jax.grad, hand counts, NumPy."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler import DonationWarning
from spago_jax.compiler.peaks import Peaks, measured_peaks, time_calls
from spago_jax.errors import InputError
from spago_jax.nn import Linear


def loss(model, x):
    return jnp.square(jnp.tanh(model(x))).sum()


@pytest.fixture(scope="module")
def program():
    return sj.compile(loss, Linear.init(jax.random.key(0), 3, 2), "f32[5, 3]")


def test_specs_as_text_arrays_and_structs():
    program = sj.compile(lambda a, b, c: a + b + c, "f32[3]", jnp.ones(3), jax.ShapeDtypeStruct((3,), jnp.float32))
    assert program.traces == 1
    program.freeze()(jnp.ones(3), jnp.ones(3), jnp.ones(3))


def test_more_specs_than_arguments():
    with pytest.raises(InputError, match="2 specs, but 1 argument"):
        sj.compile(jnp.sin, "f32[3]", "f32[3]")


def test_gradient_program_against_jax(program):
    model, x = Linear.init(jax.random.key(1), 3, 2), jax.random.normal(jax.random.key(2), (5, 3))
    expected = sj.flat(jax.grad(loss)(model, x))
    found = sj.graph(program).gradient("model.*").compile()(model, x)
    assert set(found) == {"model.weight", "model.bias"}
    for path, value in found.items():
        np.testing.assert_allclose(value, expected[path.removeprefix("model.")], rtol=1e-6)
    assert set(sj.graph(program).gradient().compile()(model, x)) == {"model.weight", "model.bias", "x"}


def test_graph_has_the_paths_of_the_model(program):
    assert sj.graph(program).inputs == ("model.weight", "model.bias", "x")


def test_texts(program):
    assert "stablehlo.dot_general" in program.stablehlo()
    assert program.hlo().startswith("HloModule")
    assert re.search(r'op_name="[^"]*Linear', program.hlo())  # the modules' names reach the profiler


def test_a_program_without_a_signature_says_so():
    with pytest.raises(InputError, match="has no signature yet: call it, or add"):
        sj.graph(sj.compile(loss))


def test_time_copies_what_is_donated():
    step = sj.compile(lambda state: state + 1.0, donate="state")
    state = jnp.ones(8)
    timing = step.time(state, n=3)
    assert len(timing.seconds) == 3
    assert timing.best <= timing.median
    np.testing.assert_array_equal(state, np.ones(8))  # still alive


def test_time_does_not_count_the_setup():
    now = 0.0

    def passes(seconds):
        nonlocal now
        now += seconds

    timing = time_calls(lambda: passes(1.0), 3, setup=lambda: passes(20.0) or (), clock=lambda: now)
    assert timing.seconds == (1.0, 1.0, 1.0)


def test_profile_writes_a_trace(program, tmp_path):
    model, x = Linear.init(jax.random.key(1), 3, 2), jnp.ones((5, 3))
    folder = program.profile(tmp_path / "trace", model, x, n=2)
    assert list(folder.rglob("*.xplane.pb"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the profile"):
        program.profile(tmp_path / "file", model, x)


def test_a_donated_buffer_that_fits_no_output_is_named():
    step = sj.compile(lambda state, x: {"w": state["w"] + x.sum()}, donate="state", name="step")
    state = {"w": jnp.ones(3), "old": jnp.ones((2, 2))}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step.add(state, jnp.ones(3))
    assert [w.category for w in caught] == [DonationWarning]
    assert "step: donated, but no output has that shape and dtype: state.old: float32[2, 2]" in str(caught[0].message)
    assert "no output can take it over: state.old: float32[2, 2]" in str(step.report(roofline=False))


def test_a_donation_that_is_reused_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = sj.compile(lambda state: state * 2.0, donate="state").add(jnp.ones(1000))
    assert step.report(roofline=False).costs[0].donated_bytes == 4000


def test_roofline_of_a_large_product_and_of_a_sum():
    product = sj.compile(lambda a: a @ a, "f32[512, 512]").report()
    assert "compute bound" in str(product)
    total = sj.compile(lambda a: a + 1.0, "f32[4000000]").report()
    assert "memory bound" in str(total)
    assert "dispatch bound" in str(sj.compile(lambda a: a + 1.0, "f32[2]").report())


def test_peaks_are_those_of_a_computer():
    peaks = measured_peaks()
    assert 1e9 < peaks.flops["float32"] < 1e16
    assert 1e8 < peaks.bytes < 1e14
    assert 1e-7 < peaks.call_seconds < 1e-2
    assert measured_peaks() is peaks


def test_the_roofline_by_hand():
    peaks = Peaks({"float32": 100.0}, 10.0, 0.001)
    assert peaks.seconds(1000.0, 10.0) == 10.0
    assert peaks.seconds(10.0, 1000.0) == 100.0


def test_buckets_from_lengths():
    buckets = sj.Buckets.for_lengths(2, time=[3, 4, 4, 5, 30, 31])
    assert buckets.sizes == {"time": (8, 32)}
    assert buckets.waste(time=[3, 4, 4, 5, 30, 31]) == pytest.approx(1 - 77 / (4 * 8 + 2 * 32))
    with pytest.raises(InputError, match="did you mean 'time'"):
        buckets.waste(tme=[3])
    with pytest.raises(InputError, match="length 40 is beyond the largest bucket, 32"):
        buckets.waste(time=[40])


def test_a_stabilized_program_is_right_where_the_formula_overflows():
    def naive(x):
        return jnp.log(1 + jnp.exp(x))

    program = sj.compile(naive, "f32[2]", stabilize=True, name="softplus")
    x = jnp.array([800.0, -80.0])
    np.testing.assert_allclose(program.freeze()(x), np.logaddexp(0.0, np.asarray(x, np.float64)), rtol=1e-6)
    assert not np.isfinite(sj.compile(naive)(x)[0])
    total = sj.compile(lambda x: jnp.log(1 + jnp.exp(x)).sum(), "f32[2]", stabilize=True)
    np.testing.assert_allclose(sj.graph(total).gradient("x").compile()(x)["x"], [1.0, np.exp(-80.0)], rtol=1e-5)
