# SPDX-License-Identifier: BSD-2-Clause
"""What the compiler itself costs: a call, an import, a hundred eager operations."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import torch

import spago_jax as sj
from spago_jax import eager

CALLS = 200


def dispatch():
    """A Program with 100 parameter arrays and a program of almost no work, beside plain ``jax.jit``; 200 calls."""
    parameters = {f"p{i}": jnp.ones(4) for i in range(100)}
    x = jnp.ones(4)

    def function(parameters, x):
        return x + parameters["p0"] + parameters["p99"]

    plain = jax.jit(function)
    program = sj.compile(function, parameters, x).freeze()

    def repeat(call):
        def run():
            for _ in range(CALLS):
                out = call(parameters, x)
            out.block_until_ready()

        return run

    return {"jax.jit": repeat(plain), "ours": repeat(program)}


def imports():
    """A new process that imports this package, beside one that imports JAX and flax.struct."""

    def run(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    return {"jax, flax": run("import jax, flax.struct"), "ours": run("import spago_jax")}


def eager_chain():
    """100 operations on 8 x 8 arrays, forward and backward, define by run, warm."""
    start, scale, shift = (np.full((8, 8), v, np.float32) for v in (1.0, 0.5, 0.1))
    ours = [eager.Var(v) for v in (start, scale, shift)]
    theirs = [torch.tensor(v, requires_grad=True) for v in (start, scale, shift)]

    def chain(x, w, b, tanh):
        for _ in range(33):
            x = tanh(x * w + b)
        return x.sum()

    def run_ours():
        chain(*ours, eager.ops.tanh).backward()
        for var in ours:
            var.grad.block_until_ready()
            var.zero_grad()

    def run_theirs():
        chain(*theirs, torch.tanh).backward()
        for tensor in theirs:
            tensor.grad = None

    return {"PyTorch": run_theirs, "ours": run_ours}
