# SPDX-License-Identifier: BSD-2-Clause
"""The feed-forward sequential memory network."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, param, static
from spago_jax.core.initializers import gain, uniform, xavier_uniform
from spago_jax.nn.recurrent.base import Recurrent, affine
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import float_dtype
from spago_jax.ops.recurrence import push


class FSMN(Recurrent):
    """Feed-forward sequential memory network: [..., time, in] -> [..., time, out], state [..., order, out].

        h[t] = relu(W x[t] + b + w' * sum over i = 1 .. order of s_i * h[t - i])

    ``input_weight`` [out, in]; ``recurrent_weight`` w' [out] and ``memory_weight`` s [order, out] multiply element by
    element; ``bias`` [out]. The state holds the last ``order`` outputs, newest first. With ``detach``, as in spaGO, the
    gradient does not flow back through the remembered outputs. Source: Zhang, Liu, Jiang, Wei, Dai and Hu, "Feedforward
    sequential memory networks: a new structure to learn long-term dependency" (2015); spaGO nn/recurrent/fsmn.

    >>> half = jnp.array([[0.5], [0.25]])
    >>> cell = FSMN(jnp.ones((1, 1)), jnp.ones(1), memory_weight=half, bias=jnp.zeros(1))
    >>> ys, state = cell(jnp.array([[1.0], [0.0], [0.0]]))
    >>> ys[:, 0], state[:, 0]
    (Array([1. , 0.5, 0.5], dtype=float32), Array([0.5, 0.5], dtype=float32))
    """

    input_weight: Array
    recurrent_weight: Array
    memory_weight: Array
    bias: Array = param(decay=False)
    detach: bool = static(default=True)

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, order: int = 3, detach: bool = True) -> "FSMN":
        """Xavier-uniform input weights, ones for w', s from U(-1, 1) / order, a bias of zeros.

        Raises:
            InputError: for a size or an order below 1.
        """
        check_sizes("FSMN", in_features=in_features, out_features=out_features, order=order)
        inputs, memory = jax.random.split(key)
        return cls(
            input_weight=xavier_uniform(inputs, (out_features, in_features), gain("relu")),
            recurrent_weight=jnp.ones(out_features),
            memory_weight=uniform(memory, (order, out_features), 1.0 / order),
            bias=jnp.zeros(out_features),
            detach=detach,
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.input_weight.shape[0]

    @property
    def order(self) -> int:
        """How many outputs it remembers."""
        return self.memory_weight.shape[0]

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Zeros: [*lead, order, out]."""
        dtype = float_dtype(dtype, self)
        return jnp.zeros((*lead, self.order, self.out_features), dtype)

    def project(self, xs: Array) -> Array:
        """``W x + b``: [..., in] -> [..., out], in the accumulation dtype."""
        return affine(xs, self.input_weight, self.bias)

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input [..., out]; all of it is elementwise."""
        past = (jax.lax.stop_gradient(state) if self.detach else state).astype(z.dtype)
        weight = self.memory_weight.astype(z.dtype)
        memory = jnp.zeros_like(z)
        for i in range(self.order):  # a reduction over the axis would be slow: XLA's CPU backend runs it in scalars
            memory = memory + over(weight[i], z) * past[..., i, :]
        new = jax.nn.relu(z + over(self.recurrent_weight.astype(z.dtype), memory) * memory).astype(state.dtype)
        return push(state, new), new
