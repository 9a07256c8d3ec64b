"""Buffers that a loop fills: collected where that is the same, copied where it is not."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from run_onnx import check

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytestmark = pytest.mark.oracle

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def fill(place, *, start=0, read=False, step=1):
    """A loop that writes running sums into a buffer at ``place(turn, rows)``."""

    def run(x, turns):
        def body(state):
            t, total, buffer = state
            total = total + x[jnp.minimum(t, x.shape[0] - 1)]
            row = total + buffer[0] if read else total
            return t + step, total, lax.dynamic_update_index_in_dim(buffer, row, place(t, x.shape[0]), 0)

        first = (start, jnp.zeros(3), jnp.full(x.shape, 7.0))
        return lax.while_loop(lambda s: s[0] < turns, body, first)[1:]

    return run


CASES = {
    "forward": (fill(lambda t, n: t), True),
    "from the end": (fill(lambda t, n: n - 1 - t), True),
    "by twos": (fill(lambda t, n: t, step=2), True),
    "shifted": (fill(lambda t, n: t + 1), True),
    "always the same row": (fill(lambda t, n: 2), False),
    "some rows again": (fill(lambda t, n: t % 3), False),
    "a buffer that is read": (fill(lambda t, n: t, read=True), False),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_loop_fills(name, tmp_path):
    run, collected = CASES[name]
    calls = [{"x": X, "turns": np.int32(turns)} for turns in (0, 1, 4, 5)]
    check(tmp_path / "m.onnx", lambda x, turns: run(x, turns), (), ("f32[n, 3]", "i32[]"), calls)
    loop = next(node for node in onnx.load(tmp_path / "m.onnx").graph.node if node.op_type == "Loop")
    assert len(loop.output) == (4 if collected else 3)


def test_a_buffer_that_the_condition_reads_is_carried(tmp_path):
    def run(x):
        def body(state):
            t, buffer = state
            return t + 1, lax.dynamic_update_index_in_dim(buffer, x[t], t, 0)

        return lax.while_loop(lambda s: (s[0] < x.shape[0]) & (s[1].sum() < 1.0), body, (0, jnp.zeros(x.shape)))

    check(tmp_path / "m.onnx", run, (), ("f32[n, 3]",), [{"x": X}, {"x": abs(X)}])
