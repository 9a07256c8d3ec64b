# SPDX-License-Identifier: BSD-2-Clause
"""Optax on Vars: one compiled update for all of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from spago_jax.core.tree import PyTree
from spago_jax.eager.var import Var
from spago_jax.errors import InputError


class Optimizer:
    """Moves variables along their gradients by any optax transformation.

    >>> w = Var(1.0, name="w")
    >>> optimizer = Optimizer([w], optax.sgd(0.1))
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> float(w), w.grad
    (0.800000011920929, None)
    """

    def __init__(self, variables: Any, transformation: optax.GradientTransformation):
        if not isinstance(variables, Mapping | Iterable) or isinstance(variables, Var):
            variables = jax.tree.leaves(variables)
        leaves = [leaf for leaf in jax.tree.leaves(variables) if isinstance(leaf, Var) and leaf.requires_grad]
        if not leaves:
            raise InputError("there is no variable that requires a gradient to optimize")
        self.variables = leaves
        self._state = transformation.init([var.value for var in leaves])

        def update(values: list[Any], gradients: list[Any], state: PyTree) -> tuple[list[Any], Any]:
            updates, state = transformation.update(gradients, state, values)
            return optax.apply_updates(values, updates), state  # type: ignore[return-value]

        self._update = jax.jit(update)

    def step(self) -> None:
        """Updates every variable, and forgets the gradients; one without a gradient counts as having zero."""
        values = [var.value for var in self.variables]
        gradients = [jnp.zeros_like(var.value) if var.grad is None else var.grad for var in self.variables]
        values, self._state = self._update(values, gradients, self._state)
        for var, value in zip(self.variables, values, strict=True):
            var._value = value
            var.grad = None

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for var in self.variables:
            var.grad = None
