# SPDX-License-Identifier: BSD-2-Clause
"""A mixture of feed-forward experts of which each row visits a few."""

import math

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.core.taps import add_loss, tap
from spago_jax.errors import InputError
from spago_jax.nn.linear import Linear
from spago_jax.nn.routers import balance_loss, top_k_mask
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation, parse_activation
from spago_jax.ops.linear import accumulation_dtype, as_float


class MixtureOfExperts(Module):
    """``y = sum_(i in top k) g_i (W2_i f(W1_i x + b1_i) + b2_i)``, with g the softmax of the k largest ``router(x)``.

    All experts run as one batched product, each on a buffer of ``ceil(capacity * k * rows / experts)`` rows; a row that
    finds no room with an expert gets nothing from it (first choices come first, then earlier rows). Adds the auxiliary
    loss ``balance`` (see ``TopKRouter``), which keeps the experts equally busy, and taps ``dropped``, the share of
    choices that found no room.

    ``inner`` [experts, hidden, features], ``outer`` [experts, features, hidden].

    Source: Shazeer et al., "Outrageously Large Neural Networks" (2017); Fedus et al., "Switch Transformers" (2021).

    >>> mixture = MixtureOfExperts.init(jax.random.key(0), 4, 8, experts=3)
    >>> mixture(jnp.ones((2, 5, 4))).shape
    (2, 5, 4)
    """

    router: Linear
    inner: Array
    inner_bias: Array = param(decay=False)
    outer: Array
    outer_bias: Array = param(decay=False)
    k: int = static(default=2)
    capacity: float = static(default=1.25)
    balance: float = static(default=0.01)
    activation: str = static(default="gelu")

    @classmethod
    def init(
        cls,
        key: Array,
        features: int,
        hidden: int,
        *,
        experts: int,
        k: int = 2,
        capacity: float = 1.25,
        balance: float = 0.01,
        activation: str = "gelu",
    ) -> "MixtureOfExperts":
        """Xavier-uniform weights, biases of zeros.

        Args:
            key: of the weights.
            features: of a row, in and out.
            hidden: units of an expert.
            experts: their number.
            k: how many of them a row visits.
            capacity: room of the buffers, 1 for rows that are spread evenly.
            balance: weight of the auxiliary loss.
            activation: between the two products.

        Raises:
            InputError: for sizes below 1, a k that is not between 1 and ``experts``, a capacity that is not above 0.
        """
        check_sizes("MixtureOfExperts", features=features, hidden=hidden, experts=experts)
        if not 1 <= k <= experts:
            raise InputError(f"MixtureOfExperts: k is {k}, expected 1 to {experts}, the number of experts")
        if not capacity > 0:
            raise InputError(f"MixtureOfExperts: capacity is {capacity}, expected more than 0")
        activation = parse_activation(activation)
        routing, first, second = jax.random.split(key, 3)
        inner = [xavier_uniform(one, (hidden, features), gain(activation)) for one in jax.random.split(first, experts)]
        outer = [xavier_uniform(one, (features, hidden)) for one in jax.random.split(second, experts)]
        return cls(
            router=Linear.init(routing, features, experts, bias=False),
            inner=jnp.stack(inner),
            inner_bias=jnp.zeros((experts, hidden)),
            outer=jnp.stack(outer),
            outer_bias=jnp.zeros((experts, features)),
            k=k,
            capacity=capacity,
            balance=balance,
            activation=activation,
        )

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x, self)
        rows = x.reshape(-1, x.shape[-1])
        if rows.shape[0] == 0:
            return x
        experts = self.inner.shape[0]
        room = min(math.ceil(self.capacity * self.k * rows.shape[0] / experts), rows.shape[0])
        logits = self.router(rows)
        best, chosen = jax.lax.top_k(logits, self.k)  # [rows, k]
        weights = jax.nn.softmax(best, axis=-1)
        slots = _slots(chosen, experts, room)  # [rows, k]: where in the buffers, or experts * room for no room
        buffer = jnp.zeros((experts * room + 1, x.shape[-1]), x.dtype)
        buffer = buffer.at[slots.reshape(-1)].set(jnp.repeat(rows, self.k, axis=0))
        y = self._experts(buffer[:-1].reshape(experts, room, -1)).reshape(experts * room, -1)
        y = jnp.concatenate([y, jnp.zeros((1, y.shape[-1]), y.dtype)])
        add_loss("balance", self.balance * balance_loss(logits, top_k_mask(logits, self.k), self.k))
        tap("dropped", (slots == experts * room).mean())
        return (weights[..., None] * y[slots]).sum(-2).astype(x.dtype).reshape(x.shape)

    def _experts(self, buffers: Array) -> Array:
        """[experts, room, features], every expert on its own rows."""
        wide = accumulation_dtype(buffers.dtype)
        hidden = jnp.einsum("erf,ehf->erh", buffers, self.inner, preferred_element_type=wide)
        hidden = activation(self.activation)(hidden + self.inner_bias[:, None]).astype(buffers.dtype)
        out = jnp.einsum("erh,efh->erf", hidden, self.outer, preferred_element_type=wide)
        return out + self.outer_bias[:, None]


def _slots(chosen: Array, experts: int, room: int) -> Array:
    """int[rows, k] experts -> places in [experts * room]; experts * room where an expert has no room left.

    >>> _slots(jnp.array([[0], [0], [1]]), experts=2, room=1).ravel()
    Array([0, 2, 1], dtype=int32)
    """
    by_choice = jax.nn.one_hot(chosen.T.reshape(-1), experts, dtype=jnp.int32)  # all first choices, then all second
    place = ((jnp.cumsum(by_choice, axis=0) - 1) * by_choice).sum(-1)
    slot = chosen.T.reshape(-1) * room + place
    return jnp.where(place < room, slot, experts * room).reshape(chosen.T.shape).T
