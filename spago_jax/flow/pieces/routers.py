# SPDX-License-Identifier: BSD-2-Clause
"""Routers weigh the experts of a gate, selectors choose the branch of a switch."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.core.taps import add_loss
from spago_jax.errors import InputError
from spago_jax.flow.layer import LayerSpec, layer
from spago_jax.flow.merges import add
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes


class _Router(Module):
    """A linear layer over the sum of the stream and the refs."""

    linear: Linear
    least: ClassVar[int] = 2

    @classmethod
    def init(cls, key: Array, features: int, experts: int):
        """Xavier-uniform weights.

        Raises:
            InputError: for fewer than 2 experts.
        """
        check_sizes(cls.__name__, features=features)
        if experts < 2:
            raise InputError(f"{cls.__name__}: experts is {experts}, expected at least 2")
        return cls(linear=Linear.init(key, features, experts))

    def logits(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        return self.linear(add(x, *refs))


class SoftmaxRouter(_Router):
    """``w = softmax(W (x + refs) + b)``: [..., features] -> [..., experts]; goDl's SoftmaxRouter.

    >>> router = SoftmaxRouter(linear=Linear(weight=jnp.zeros((2, 3)), bias=jnp.zeros(2)))
    >>> router(jnp.ones(3))
    Array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        return jax.nn.softmax(self.logits(x, *refs), axis=-1)


class SigmoidRouter(_Router):
    """``w = sigmoid(W (x + refs) + b)``: every expert by itself; goDl's SigmoidRouter.

    >>> router = SigmoidRouter(linear=Linear(weight=jnp.zeros((2, 3)), bias=jnp.zeros(2)))
    >>> router(jnp.ones(3))
    Array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> [..., experts]."""
        return jax.nn.sigmoid(self.logits(x, *refs))


class TopKRouter(Module):
    """The softmax over the ``k`` largest logits of ``W (x + refs) + b``, and 0 for all others.

    Taps the auxiliary loss ``loss:balance = balance * n * sum_i f_i p_i``, with f_i the share of rows that have
    expert i among their k, divided by k, and p_i the mean of the softmax over all: it is ``balance`` where all n
    experts are used alike. Source: Shazeer et al. (2017); Fedus, Zoph and Shazeer, "Switch Transformers" (2021),
    equation 4.

    >>> router = TopKRouter(linear=Linear(weight=jnp.zeros((3, 2)), bias=jnp.array([0.0, 1.0, 1.0])), k=2)
    >>> router(jnp.ones(2))
    Array([0. , 0.5, 0.5], dtype=float32)
    """

    linear: Linear
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
        logits = self.linear(add(x, *refs))
        chosen = top_k_mask(logits, self.k)
        add_loss("balance", self.balance * balance_loss(logits, chosen, self.k))
        return jax.nn.softmax(jnp.where(chosen, logits, -jnp.inf), axis=-1)


def top_k_mask(logits: Array, k: int) -> Array:
    """Which are the k largest of the last axis; of equal ones the first.

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
    share = chosen.reshape(-1, n).mean(0) / k
    chance = jax.nn.softmax(logits, axis=-1).reshape(-1, n).mean(0)
    return n * (share * chance).sum()


class ArgmaxSelector(_Router):
    """``argmax(W (x + refs) + b)`` of each row: [..., features] -> int[...].

    A switch that takes one branch for the whole batch goes by the first row; goDl's takes the maximum over the whole
    batch at once, whose place may be no branch.

    >>> selector = ArgmaxSelector(linear=Linear(weight=jnp.array([[-1.0, 1.0], [1.0, -1.0]])))
    >>> selector(jnp.array([[1.0, 2.0], [2.0, 1.0]]))
    Array([0, 1], dtype=int32)
    """

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[..., features] -> int[...]."""
        return jnp.argmax(self.logits(x, *refs), axis=-1)


@dataclasses.dataclass(frozen=True)
class FixedSelector:
    """Always the same branch, for whole batches and for rows.

    >>> FixedSelector(1)(jnp.ones((2, 3)))
    Array([1, 1], dtype=int32)
    """

    index: int

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[rows, features] -> int[rows]."""
        return jnp.full(x.shape[:1] or (1,), self.index, jnp.int32)


def softmax_router(experts: int) -> LayerSpec:
    """``SoftmaxRouter`` for the stream's features."""
    return layer(SoftmaxRouter, experts)


def sigmoid_router(experts: int) -> LayerSpec:
    """``SigmoidRouter`` for the stream's features."""
    return layer(SigmoidRouter, experts)


def top_k_router(experts: int, k: int = 2, *, balance: float = 0.01) -> LayerSpec:
    """``TopKRouter`` for the stream's features."""
    return layer(TopKRouter, experts, k, balance=balance)


def argmax_selector(branches: int) -> LayerSpec:
    """``ArgmaxSelector`` for the stream's features."""
    return layer(ArgmaxSelector, branches)


def fixed_selector(index: int) -> FixedSelector:
    """``FixedSelector``."""
    return FixedSelector(index)
