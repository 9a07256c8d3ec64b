"""What a graph warns of, and what it does not."""

import inspect
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler.graph import graph


def said(function, *specs):
    return [str(one) for one in graph(function, *specs).warnings()]


def test_unused_inputs_are_found_however_deep():
    def run(a, b, c, d):
        total, _ = jax.lax.scan(lambda t, x: (t + x[0], x[1] * d), a, (b, c))
        return total

    # c and d only make what the scan returns and nobody reads.
    assert said(run, "f32[]", "f32[4]", "f32[4]", "f32[]") == [
        "unused input: c f32[4] does not reach any output; remove it",
        "unused input: d f32 does not reach any output; remove it",
    ]


def test_what_is_used_for_printing_or_for_control_is_used():
    def run(x, y, n, p):
        jax.debug.print("{y}", y=y)
        x = jax.lax.fori_loop(0, n, lambda i, x: x * 2.0, x)
        return jax.lax.cond(p, lambda x: x, lambda x: x * 2, x)

    assert said(run, "f32[]", "f32[]", "i32[]", "bool[]") == []


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (lambda w, x: (jax.lax.stop_gradient(w) * x).sum(), "stop_gradient"),
        (lambda w, x: (jnp.floor(w) * x).sum(), "floor"),
        (lambda w, x: jnp.where(w > 0, x, 0.0).sum(), "gt"),
        (lambda w, x: (w.astype("int32") * x).sum(), "convert_element_type to int32"),
        (lambda w, x: (jnp.argmax(w) * x).sum(), "argmax"),
        (lambda w, x: jax.lax.scan(lambda c, x: (c + x * jnp.sign(w).sum(), None), 0.0, x)[0], "sign"),
    ],
)
def test_blocked_derivatives_name_what_stops_them(function, operation):
    found = graph(function, "f32[3]", "f32[3]").warnings()
    assert [(one.kind, one.path) for one in found] == [("no derivative", "w")]
    assert found[0].place is not None
    assert found[0].place.file == __file__
    where = f"graph/test_graph_warnings.py:{found[0].place.line} ("
    known = "no derivative: w f32[3] reaches the output, but no derivative comes back to it: "
    assert str(found[0]).startswith(f"{known}{operation} stops it at {where}")
    same = jax.grad(function)(jnp.ones(3), jnp.ones(3))
    np.testing.assert_array_equal(same, np.zeros(3))  # what JAX says without a word


def test_rules_of_the_users_own_let_derivatives_through():
    @jax.custom_jvp
    def straight(x):
        return jnp.round(x)

    straight.defjvp(lambda primals, tangents: (straight(*primals), tangents[0]))
    assert said(lambda w: straight(w).sum(), "f32[3]") == []


class Counted(sj.Module):
    weight: sj.Array
    mean: sj.Array = sj.buffer()

    def __call__(self, x):
        return (x - jax.lax.stop_gradient(self.mean)) * self.weight


def test_buffers_and_programs_without_float_outputs_are_left_alone():
    model = Counted(jnp.ones(3), jnp.zeros(3))
    assert said(lambda model, x: model(x), model, "f32[3]") == []
    assert said(lambda x: jnp.argmax(x), "f32[3]") == []


def test_large_constants():
    table = np.ones((600, 500), np.float32)
    small = np.ones((16, 16), np.float32)

    def run(x):
        return jax.jit(lambda x: x @ table)(x).sum() + small.sum() + (x[:16] @ small).sum()

    found = graph(run, "f32[600]").warnings()
    assert [one.kind for one in found] == ["large constant"]
    lines, start = inspect.getsourcelines(run)
    assert f"f32[600,500] of 1.14 MiB is written into the program, used at graph/{__file__.split('/')[-1]}:" in str(
        found[0]
    )
    assert found[0].place is not None
    assert start <= found[0].place.line < start + len(lines)


def test_stray_doubles():
    code = """
import jax; jax.config.update("jax_enable_x64", True)
import numpy as np, jax.numpy as jnp
from spago_jax.compiler.graph import graph
for one in graph(lambda x: (x * np.ones(3)).sum(), "f32[3]").warnings(): print(one)
print(len(graph(lambda x: x * np.ones(3), "f64[3]").warnings()), len(graph(lambda x: x * 2.0, "f32[3]").warnings()))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert re.match(
        r"float64: convert_element_type makes f64\[3\].*, though no input is float64; give it a dtype", out[0]
    )
    assert out[1] == "0 0"


def test_the_tagger_has_one_unused_input(tagger, tagger_loss):
    assert {(one.kind, one.path) for one in tagger.warnings()} == {("unused input", "batch.shapes"), (
        "unused input", "model.embeddings.parts.0.unknown_probability")}  # fmt: skip
    assert "no derivative" not in {one.kind for one in tagger_loss.warnings()}
