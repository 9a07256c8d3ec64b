# SPDX-License-Identifier: BSD-2-Clause
"""Differential evolution: generations of a large population on a small network, beside SciPy's."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from spago_jax.nn import Linear
from spago_jax.optim.differential_evolution import DifferentialEvolution

MEMBERS, GENERATIONS = 1000, 3


def evolution():
    """Population 1,000 on a network of 9,997 numbers (100-98-1), 64 examples; time of 3 generations."""
    layers = (Linear.init(jax.random.key(0), 100, 98), Linear.init(jax.random.key(1), 98, 1))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 100)).astype(np.float32)
    y = np.sin(x.sum(axis=1, keepdims=True)).astype(np.float32)

    def loss(layers, x, y):
        return jnp.mean(jnp.square(layers[1](jnp.tanh(layers[0](x))) - y))

    method = DifferentialEvolution(population=MEMBERS, bound=1.0)
    holder = [method.init(jax.random.key(2), layers)]
    step = jax.jit(lambda p: jax.lax.fori_loop(0, GENERATIONS, lambda _, p: method.step(p, loss, layers, x, y), p))

    def ours():
        holder[0] = jax.block_until_ready(step(holder[0]))

    numbers = holder[0].vectors.shape[1]
    split = np.cumsum([98 * 100, 98, 98, 1])

    def of_columns(vectors):  # SciPy hands over [numbers, members] when vectorized
        w1, b1, w2, b2 = np.split(vectors.T.astype(np.float32), split[:-1], axis=1)
        hidden = np.tanh(np.matmul(x, w1.reshape(-1, 98, 100).transpose(0, 2, 1)) + b1[:, None, :])
        return np.mean(np.square(np.matmul(hidden, w2[:, :, None]) + b2[:, None, :] - y), axis=(1, 2))

    start = np.asarray(holder[0].vectors, np.float64)

    def theirs():
        scipy.optimize.differential_evolution(
            of_columns, [(-1.0, 1.0)] * numbers, maxiter=GENERATIONS, init=start, mutation=0.5, recombination=0.9,
            strategy="rand1bin", polish=False, vectorized=True, updating="deferred", tol=0.0, seed=0,
        )  # fmt: skip

    return {"SciPy": theirs, "ours": ours}
