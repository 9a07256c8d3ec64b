# SPDX-License-Identifier: BSD-2-Clause
"""Training a small MLP: many steps in one call."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from spago_jax.nn import Linear
from spago_jax.ops.losses import cross_entropy

STEPS, BATCH = 100, 32


def mlp():
    """784-100-10, relu, Adam, batch 32; the time is that of 100 steps."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, BATCH, 784)).astype(np.float32)
    y = rng.integers(0, 10, (STEPS, BATCH))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    tx, ty = torch.tensor(x), torch.tensor(y)

    def torch_steps():
        for inputs, labels in zip(tx, ty, strict=True):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()

    first, second = jax.random.split(jax.random.key(0))
    layers = (Linear.init(first, 784, 100, activation="relu"), Linear.init(second, 100, 10))
    adam = optax.adam(1e-3)

    def loss(layers, x, y):
        return jnp.mean(cross_entropy(layers[1](jax.nn.relu(layers[0](x))), y))

    @functools.partial(jax.jit, donate_argnums=0)
    def steps(carry, xs, ys):
        def one(carry, batch):
            layers, state = carry
            updates, state = adam.update(jax.grad(loss)(layers, *batch), state)
            return (optax.apply_updates(layers, updates), state), None

        return jax.lax.scan(one, carry, (xs, ys))[0]

    holder = [(layers, adam.init(layers))]
    jx, jy = jnp.asarray(x), jnp.asarray(y)

    def jax_steps():
        holder[0] = jax.block_until_ready(steps(holder[0], jx, jy))

    return {"PyTorch": torch_steps, "ours": jax_steps}
