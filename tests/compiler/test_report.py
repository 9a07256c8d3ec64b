"""What programs cost, against numbers that can be worked out."""

import jax
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler.report import Cost


def f32(*shape):
    return np.ones(shape, np.float32)


def test_a_matrix_product_costs_two_operations_a_cell_and_step():
    m, k, n = 64, 128, 32
    (cost,) = sj.compile(lambda a, b: a @ b, name="matmul").add(f32(m, k), f32(k, n)).report().costs
    assert cost.flops == 2 * m * k * n
    assert cost.argument_bytes == 4 * (m * k + k * n)
    assert cost.output_bytes == 4 * m * n
    assert cost.bytes_accessed == 4 * (m * k + k * n + m * n)
    assert cost.donated_bytes == 0
    assert cost.peak_bytes >= cost.argument_bytes + cost.output_bytes
    assert cost.peak_bytes <= cost.argument_bytes + cost.output_bytes + cost.temporary_bytes
    assert cost.compile_seconds > 0
    assert cost.reason == "first call"


def test_donation_lowers_the_peak():
    def step(state, x):
        return state + x

    plain = sj.compile(step).add(f32(1000), f32(1000)).report().costs[0]
    donated = sj.compile(step, donate="state").add(f32(1000), f32(1000)).report().costs[0]
    assert donated.donated_bytes == 4000
    assert donated.peak_bytes == plain.peak_bytes - 4000


def test_a_large_temporary_is_seen():
    (cost,) = sj.compile(lambda x: (x @ x.T).sum() + (x @ x.T).max()).add(f32(500, 2)).report().costs
    assert cost.temporary_bytes >= 4 * 500 * 500


def test_signatures_that_were_compiled_by_a_call_are_measured_when_asked():
    program = sj.compile(lambda x: x * 2, name="double")
    program(f32(3))
    program.add(f32(4))
    called, added = program.report().costs
    assert called.reason == "first call; timed again for this report"
    assert added.reason == "x: float32[3] -> float32[4]"
    assert program.report().costs[0] is called
    assert program.traces == 2


def test_text():
    program = sj.compile(lambda model, x: model @ x, name="apply").add(f32(100, 100), f32(100)).freeze()
    lines = str(program.report()).splitlines()
    assert lines[0] == "apply: 1 compiled signature(s), 1 trace(s), frozen"
    assert lines[1] == "  model: float32[100, 100], x: float32[100]"
    assert lines[2].startswith(
        "    20 kFLOP, 40.8 kB moved, peak 40.8 kB (arguments 40.4 kB, temporaries 0 B, reused 0 B)"
    )
    assert lines[2].endswith(" s: first call")


def test_a_model_with_many_arrays_is_counted_not_listed():
    layers = [{"weight": f32(2, 2), "bias": f32(2)} for _ in range(5)]
    program = sj.compile(lambda model, x, y: x, name="f").add({"layers": layers}, f32(1), f32(2))
    assert program.report().costs[0].inputs == "x: float32[1], y: float32[2], and 10 more"
    deep = sj.compile(lambda model: model["a"]["b"]["c"], name="g").add({"a": {"b": {"c": f32(1)}}})
    assert deep.report().costs[0].inputs == "model.a.b.c: float32[1]"


class Backend:
    """A backend without an analysis; each answer is what some backend gives."""

    def __init__(self, cost, memory):
        self._cost, self._memory = cost, memory

    def cost_analysis(self):
        return self._answer(self._cost)

    def memory_analysis(self):
        return self._answer(self._memory)

    @staticmethod
    def _answer(value):
        if isinstance(value, Exception):
            raise value
        return value


@pytest.mark.parametrize("missing", [None, NotImplementedError("no"), jax.errors.JaxRuntimeError("UNIMPLEMENTED: no")])
@pytest.mark.parametrize("cost", [None, {}, [], "same"])
def test_backends_without_an_analysis(missing, cost):
    got = Cost.of(Backend(missing if cost == "same" else cost, missing), "x", 1.5, "why")
    assert (got.flops, got.bytes_accessed, got.peak_bytes, got.compile_seconds) == (0, 0, 0, 1.5)


def test_backends_that_report_a_list_or_no_peak():
    class Memory:
        argument_size_in_bytes, output_size_in_bytes, temp_size_in_bytes, alias_size_in_bytes = 100, 50, 10, 40

    got = Cost.of(Backend([{"flops": 7.0}], Memory()), "x", 0.0, "")
    assert (got.flops, got.peak_bytes) == (7, 120)
    Memory.peak_memory_in_bytes = 150  # type: ignore[attr-defined]
    assert Cost.of(Backend([{"flops": 7.0}], Memory()), "x", 0.0, "").peak_bytes == 150
    Memory.peak_memory_in_bytes = 90  # type: ignore[attr-defined]  # less than what it allocates
    assert Cost.of(Backend([{"flops": 7.0}], Memory()), "x", 0.0, "").peak_bytes == 120


def test_the_peak_is_at_least_what_it_needs_at_once():
    """Temporaries are one allocation beside the arguments and the outputs, whatever XLA says of the peak."""
    program = sj.compile(lambda x: jax.numpy.sort(x @ x.T, 0)[::2].T @ x[::2], "f32[128, 64]")
    (cost,) = program.report(roofline=False).costs
    assert cost.temporary_bytes > 0
    assert cost.peak_bytes >= cost.argument_bytes + cost.output_bytes + cost.temporary_bytes - cost.donated_bytes
