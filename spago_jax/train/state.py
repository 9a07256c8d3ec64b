# SPDX-License-Identifier: BSD-2-Clause
"""TrainState: all that a training step changes, as one pytree."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from spago_jax.core import Array, Module, combine, partition
from spago_jax.core.partition import Where
from spago_jax.core.tree import PyTree


class TrainState(Module):
    """The model, the optimizer's state, the averaged weights, the carried text state, and the step number.

    The random numbers of step ``n`` come from ``fold_in(key, n)``, so a resumed run draws what it would have drawn.
    """

    model: PyTree
    optimizer: PyTree
    average: PyTree
    carry: PyTree
    step: Array
    key: Array

    @classmethod
    def init(
        cls,
        model: PyTree,
        optimizer: optax.GradientTransformation,
        trained: Where,
        carry: PyTree,
        seed: int,
        *,
        averaged: bool,
    ) -> "TrainState":
        """Returns the state before the first step; ``trained`` chooses the arrays that are updated."""
        params, _ = partition(model, trained)
        return cls(
            model=model,
            optimizer=optimizer.init(params),
            # A copy: otherwise, donating the state would donate one buffer twice.
            average=jax.tree.map(jnp.copy, params) if averaged else None,
            carry=carry,
            step=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(jax.random.key(seed)),
        )

    def model_for_evaluation(self) -> Any:
        """Returns the model with its averaged weights, if there are any."""
        return self.model if self.average is None else combine(self.average, self.model)
