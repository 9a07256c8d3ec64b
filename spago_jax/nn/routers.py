# SPDX-License-Identifier: BSD-2-Clause
"""Routers weigh the experts of a gate; selectors choose the branch of a switch."""

import abc
import functools
import math
from typing import Self

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.core.taps import add_loss
from spago_jax.errors import InputError
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes


class Router(Module, abc.ABC):
    """A linear layer over the sum of the stream and further inputs, and what a subclass makes of its logits."""

    linear: Linear

    @classmethod
    def init(cls, key: Array, features: int, experts: int) -> Self:
        """Xavier-uniform weights.

        Raises:
            InputError: for fewer than 2 experts.
        """
        check_sizes(cls.__name__, features=features)
        if experts < 2:
            raise InputError(f"{cls.__name__}: experts is {experts}, expected at least 2")
        return cls(linear=Linear.init(key, features, experts))

    @abc.abstractmethod
    def __call__(self, x: Array, *refs: Array) -> Array:
        """Weights or indices from the stream [..., features] and further inputs of its shape."""

    def logits(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        return self.linear(functools.reduce(jnp.add, (x, *refs)))


class SoftmaxRouter(Router):
    """``w = softmax(W (x + refs) + b)``: [..., features] -> [..., experts].

    Source: Jacobs et al., "Adaptive mixtures of local experts" (1991); goDl's SoftmaxRouter.

    >>> router = SoftmaxRouter(linear=Linear(weight=jnp.zeros((2, 3)), bias=jnp.zeros(2)))
    >>> router(jnp.ones(3))
    Array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        return jax.nn.softmax(self.logits(x, *refs), axis=-1)


class SigmoidRouter(Router):
    """``w = sigmoid(W (x + refs) + b)``: every expert by itself; goDl's SigmoidRouter.

    >>> router = SigmoidRouter(linear=Linear(weight=jnp.zeros((2, 3)), bias=jnp.zeros(2)))
    >>> router(jnp.ones(3))
    Array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        return jax.nn.sigmoid(self.logits(x, *refs))


class TopKRouter(Router):
    """``w = softmax(top_k(W (x + refs) + b))``, 0 for all others: [..., features] -> [..., experts].

    Adds the auxiliary loss ``balance * n * sum_i f_i p_i``, with f_i the share of rows that have expert i among their
    k, divided by k, and p_i the mean of the softmax over all: it is ``balance`` where all n experts are used alike.
    Source: Shazeer et al. (2017); Fedus, Zoph and Shazeer, "Switch Transformers" (2021), equation 4.

    >>> router = TopKRouter(linear=Linear(weight=jnp.zeros((3, 2)), bias=jnp.array([0.0, 1.0, 1.0])), k=2)
    >>> router(jnp.ones(2))
    Array([0. , 0.5, 0.5], dtype=float32)
    """

    k: int = static(default=2)
    balance: float = static(default=0.01)

    @classmethod
    def init(cls, key: Array, features: int, experts: int, k: int = 2, *, balance: float = 0.01) -> "TopKRouter":
        """Xavier-uniform weights.

        Raises:
            InputError: for a k that is not between 1 and the number of experts.
        """
        check_sizes("TopKRouter", features=features, experts=experts)
        if not 1 <= k <= experts:
            raise InputError(f"TopKRouter: k is {k}, expected 1 to {experts}, the number of experts")
        return cls(linear=Linear.init(key, features, experts), k=k, balance=balance)

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        logits = self.logits(x, *refs)
        chosen = top_k_mask(logits, self.k)
        add_loss("balance", self.balance * balance_loss(logits, chosen, self.k))
        return jax.nn.softmax(jnp.where(chosen, logits, -jnp.inf), axis=-1)


def top_k_mask(logits: Array, k: int) -> Array:
    """Marks the k largest along the last axis; ties go to the first.

    >>> top_k_mask(jnp.array([1.0, 3.0, 1.0]), 2)
    Array([ True,  True, False], dtype=bool)
    """
    _, indices = jax.lax.top_k(logits, k)
    return jax.nn.one_hot(indices, logits.shape[-1], dtype=bool).any(-2)


def balance_loss(logits: Array, chosen: Array, k: int) -> Array:
    """``n sum_i f_i p_i`` over all rows of [..., n]: 1 where the experts are used alike.

    >>> float(balance_loss(jnp.zeros((2, 2)), jnp.eye(2, dtype=bool), 1))
    1.0
    """
    n = logits.shape[-1]
    rows = max(math.prod(logits.shape[:-1]), 1)
    share = chosen.reshape(-1, n).sum(0) / (rows * k)
    chance = jax.nn.softmax(logits, axis=-1).reshape(-1, n).sum(0) / rows
    return n * (share * chance).sum()


class ArgmaxSelector(Router):
    """``y = argmax(W (x + refs) + b)`` of each row: [..., features] -> int[...].

    A switch that takes one branch for the whole batch goes by the first row; goDl's takes the maximum over the whole
    batch at once, and its place may not be that of a branch.

    >>> selector = ArgmaxSelector(linear=Linear(weight=jnp.array([[-1.0, 1.0], [1.0, -1.0]])))
    >>> selector(jnp.array([[1.0, 2.0], [2.0, 1.0]]))
    Array([0, 1], dtype=int32)
    """

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> int[...]."""
        return jnp.argmax(self.logits(x, *refs), axis=-1)
