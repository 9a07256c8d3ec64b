"""The same computation has the same fingerprint, another one has another."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.graph import graph

CODE = """
import jax, jax.numpy as jnp, numpy as np
from spago_jax.compiler.graph import graph
table = np.arange(64.0, dtype=np.float32).reshape(8, 8)
def run(x, k):
    def step(c, x):
        c = jax.lax.cond(x.sum() > 0, lambda c: c @ table, lambda c: jax.nn.relu(c), c)
        return c, jnp.sort(x)[::-1] + jax.random.normal(k, (8,))
    out, ys = jax.lax.scan(step, jnp.zeros(8), x)
    out = jax.lax.conv_general_dilated(ys[None, None], jnp.ones((1, 1, 2, 2)), (1, 1), "SAME") .sum() + out.at[0].add(1)
    return out, jax.lax.while_loop(lambda c: c.sum() < 9, lambda c: c + 1, ys)
found = graph(run, "f32[4, 8]", jax.random.key(0))
prints = found.fingerprint(), found.select("output.0").fingerprint()
"""


def test_it_is_the_same_in_every_process():
    def run(seed):
        environment = dict(os.environ, PYTHONHASHSEED=seed)
        return subprocess.run(
            [sys.executable, "-c", CODE + "print(*prints)"], capture_output=True, text=True, check=True, env=environment
        ).stdout

    first = run("1")
    assert first == run("4711")
    one, other = first.split()
    assert one != other
    scope: dict = {}
    exec(CODE, scope)
    assert scope["prints"] == (one, other)


def of(function, *specs):
    return graph(function, *specs).fingerprint()


def test_names_lines_and_calls_do_not_matter():
    def plain(x, y):
        return jnp.tanh(x) @ y

    def another(first, second):
        halfway = jnp.tanh(first)

        return jax.jit(lambda a, b: a @ b)(halfway, second)

    with_scope = jax.named_scope("here")(plain)
    specs = ("f32[2, 3]", "f32[3]")
    assert len({of(function, *specs) for function in (plain, another, jax.jit(plain), with_scope)}) == 1


def test_everything_else_matters():
    table = np.arange(6.0, dtype=np.float32)
    other = table.copy()
    other[3] += 1
    functions = [
        lambda x: x + 1.0,
        lambda x: x + 2.0,
        lambda x: x - 1.0,
        lambda x: 1.0 - x,
        lambda x: x + table,
        lambda x: x + other,
        lambda x: x.sum(),
        lambda x: x.reshape(2, 3).sum(0),
        lambda x: x.reshape(2, 3).sum(1),
        lambda x: x[::-1],
        lambda x: jnp.cumsum(x),
        lambda x: jax.lax.cumsum(x, reverse=True),
        lambda x: jax.lax.scan(lambda c, x: (c + x, c), 0.0, x)[0],
        lambda x: jax.lax.scan(lambda c, x: (c * x, c), 0.0, x)[0],
        lambda x: jax.lax.scan(lambda c, x: (c + x, c), 0.0, x, reverse=True)[0],
        lambda x: (x, x + 1.0),
        lambda x: (x + 1.0, x),
    ]
    assert len({of(function, "f32[6]") for function in functions}) == len(functions)
    assert of(lambda x: x + 1.0, "f32[6]") != of(lambda x: x + 1.0, "f32[7]")
    assert of(lambda x: x * x, "f32[6]") != of(lambda x: x * x, "bf16[6]")
    assert of(lambda x, y: x, "f32[6]", "f32[6]") != of(lambda x, y: y, "f32[6]", "f32[6]")


def test_models_have_one_too(tagger, tagger_loss):
    assert tagger.fingerprint() == tagger.fingerprint()
    assert tagger.fingerprint() != tagger_loss.fingerprint() != tagger_loss.gradient().fingerprint()
