# SPDX-License-Identifier: BSD-2-Clause
"""A training step with 20 taps watched beside the same step with nobody listening."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import Module, Precision, tap
from spago_jax.core.devices import Devices
from spago_jax.nn import LayerNorm, Linear
from spago_jax.ops.losses import cross_entropy
from spago_jax.optim import OptimizerConfig, build_optimizer, trained_paths
from spago_jax.train.state import TrainState
from spago_jax.train.step import train_program
from spago_jax.train.task import Loss
from spago_jax.train.watch.config import WatchConfig
from spago_jax.train.watch.discover import discover
from spago_jax.train.watch.measures import NOTHING, Measures

BLOCKS, FEATURES, BATCH, TIME, CLASSES, STEPS = 20, 256, 32, 16, 20, 4


class Stack(Module):
    """20 residual blocks ``x + gelu(W norm(x) + b)``, each tapped, and a classifier of each position."""

    norms: tuple[LayerNorm, ...]
    layers: tuple[Linear, ...]
    output: Linear

    def __call__(self, x):
        for i, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            x = tap(f"block.{i}", x + jax.nn.gelu(layer(norm(x))))
        return self.output(x)


class Work:
    """The part of an objective that a train program needs."""

    def loss(self, model, batch, carry, rng):
        losses = cross_entropy(model(batch["x"]), batch["labels"])
        return Loss(losses.sum(), jnp.float32(losses.size))


def watching(locate):
    """The time of 4 steps, Adam, in one call of the device."""
    keys = jax.random.split(jax.random.key(0), BLOCKS + 1)
    model = Stack(
        norms=tuple(LayerNorm.init(FEATURES) for _ in range(BLOCKS)),
        layers=tuple(Linear.init(key, FEATURES, FEATURES) for key in keys[1:]),
        output=Linear.init(keys[0], FEATURES, CLASSES),
    )
    config = OptimizerConfig(learning_rate=1e-4)
    optimizer = build_optimizer(config, model, total_steps=1000, steps_per_epoch=100)
    paths = trained_paths(config, model)
    draw = np.random.default_rng(0)
    block = {
        "x": draw.normal(size=(STEPS, BATCH, TIME, FEATURES)).astype(np.float32),
        "labels": draw.integers(0, CLASSES, (STEPS, BATCH, TIME)),
    }
    block = jax.device_put(block)
    one = {name: array[0] for name, array in block.items()}
    found = discover(lambda model, batch: Work().loss(model, batch, (), None).total, model, one)
    watched = Measures(WatchConfig(locate=locate), found, sorted(paths))
    assert len(watched.names) == BLOCKS

    def runner(measures):
        program = train_program(
            Work(),  # type: ignore[arg-type]
            optimizer, lambda _: paths, Devices.of(1), Precision.parse("float32"), measures=measures,
        )  # fmt: skip
        state = jax.jit(lambda model: TrainState.init(model, optimizer, lambda _: paths, (), 1, averaged=False))(model)
        holder = [state]

        def steps():
            holder[0], totals = program(holder[0], block, np.int32(STEPS))
            jax.device_get(totals)

        return steps

    return {"unwatched": runner(NOTHING), "ours": runner(watched)}


WATCH_ROWS = {
    "watch-20": ("20 taps watched, 20 residual blocks of 256, 32 x 16, training", functools.partial(watching, "taps")),
    "watch-modules": (
        "the same, and the first module whose output is not finite", functools.partial(watching, "modules"),
    ),
}  # fmt: skip
