# SPDX-License-Identifier: BSD-2-Clause
"""The delta recurrent network."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, param
from spago_jax.core.initializers import orthogonal, xavier_uniform
from spago_jax.nn.recurrent.base import Recurrent
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import matmul


class DeltaRNN(Recurrent):
    """Delta recurrent network: [..., time, in] -> [..., time, out] and the final state [..., out].

        v = W x,  r = W' h
        c = tanh(alpha v r + beta1 v + beta2 r + b),  p = sigmoid(v + bp)
        h = tanh(p c + (1 - p) h)

    ``input_weight`` [out, in], ``recurrent_weight`` [out, out], and vectors [out]: ``alpha``, ``beta1``, ``beta2``,
    ``bias``, ``gate_bias``. Source: Ororbia, Mikolov and Reitter, "Learning simpler language models with the
    differential state framework" (2017); spaGO nn/recurrent/deltarnn.

    >>> one = jnp.ones(1)
    >>> cell = DeltaRNN(jnp.ones((1, 1)), jnp.ones((1, 1)), one, one, one, bias=0 * one, gate_bias=0 * one)
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3)
    array([0.506, 0.451], dtype=float32)
    """

    input_weight: Array
    recurrent_weight: Array
    alpha: Array = param(decay=False)
    beta1: Array = param(decay=False)
    beta2: Array = param(decay=False)
    bias: Array = param(decay=False)
    gate_bias: Array = param(decay=False)

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int) -> "DeltaRNN":
        """Xavier-uniform input weights, orthogonal recurrent ones, alpha and both betas 1, biases of zeros.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("DeltaRNN", in_features=in_features, out_features=out_features)
        inputs, recurrent = jax.random.split(key)
        return cls(
            input_weight=xavier_uniform(inputs, (out_features, in_features)),
            recurrent_weight=orthogonal(recurrent, (out_features, out_features)),
            alpha=jnp.ones(out_features),
            beta1=jnp.ones(out_features),
            beta2=jnp.ones(out_features),
            bias=jnp.zeros(out_features),
            gate_bias=jnp.zeros(out_features),
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.recurrent_weight.shape[0]

    def project(self, xs: Array) -> tuple[Array, Array, Array]:
        """What the inputs decide of each step, [..., out] each: ``beta1 v + b``, ``alpha v + beta2``, the gate p."""
        v = matmul(xs, self.input_weight)
        alpha, beta1, beta2, bias, gate_bias = (
            over(vector.astype(v.dtype), v)
            for vector in (self.alpha, self.beta1, self.beta2, self.bias, self.gate_bias)
        )
        return beta1 * v + bias, alpha * v + beta2, fast_sigmoid(v + gate_bias)

    def recur(self, state: Array) -> Array:
        """The recurrent product ``W' h``: [..., out]."""
        return matmul(state, self.recurrent_weight)

    def update(self, state: Array, z: tuple[Array, Array, Array], r: Array) -> tuple[Array, Array]:
        """The elementwise half of a step, given the projected input and the product."""
        outer, inner, p = z
        hidden = state.astype(r.dtype)
        new = jnp.tanh(hidden + p * (jnp.tanh(outer + inner * r) - hidden)).astype(state.dtype)
        return new, new

    def step(self, state: Array, z: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        """One step from a projected input."""
        return self.update(state, z, self.recur(state))
