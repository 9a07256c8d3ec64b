# SPDX-License-Identifier: BSD-2-Clause
"""The chaos-free network."""

import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.nn.recurrent.base import FusedCell, affine, gate_bias, gate_weights
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import matmul


class CFN(FusedCell):
    """Chaos-free network: [..., time, in] -> [..., time, out] and the final state [..., out].

        i = sigmoid(Wi x + bi + Wi' h),  f = sigmoid(Wf x + bf + Wf' h)
        h = i tanh(Wc x) + f tanh(h)

    The fused arrays hold the blocks input, forget, candidate: ``input_weight`` [3 * out, in]; the candidate has no
    recurrence and no bias: ``recurrent_weight`` [2 * out, out], ``bias`` [2 * out]. Source: Laurent and von Brecht, "A
    recurrent neural network without chaos" (2016); spaGO nn/recurrent/cfn.

    >>> cell = CFN(input_weight=jnp.ones((3, 1)), recurrent_weight=jnp.ones((2, 1)), bias=jnp.zeros(2))
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3)
    array([0.557, 0.321], dtype=float32)
    """

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, forget_bias: float = 1.0) -> "CFN":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per gate), the forget gate's bias 1.

        Raises:
            InputError: for a size below 1.
        """
        inputs, recurrent = gate_weights("CFN", key, in_features, out_features, 3, 2)
        return cls(
            input_weight=inputs,
            recurrent_weight=recurrent,
            bias=gate_bias(out_features, 2, forget_bias),
        )

    def project(self, xs: Array) -> tuple[Array, Array]:
        """The gates' inputs [..., 2 * out] and ``tanh(Wc x)`` [..., out], in the accumulation dtype."""
        z = matmul(xs, self.input_weight)
        gates, candidate = jnp.split(z, [2 * self.out_features], axis=-1)
        return gates + over(self.bias.astype(z.dtype), gates), jnp.tanh(candidate)

    def recur(self, state: Array) -> Array:
        """The recurrent product of both gates: [..., 2 * out]."""
        return affine(state, self.recurrent_weight)

    def update(self, state: Array, gates: Array, candidate: Array) -> tuple[Array, Array]:
        """The elementwise half of a step, given the gates' pre-activations and the candidate."""
        i, f = jnp.split(fast_sigmoid(gates), 2, axis=-1)
        new = (i * candidate + f * jnp.tanh(state.astype(gates.dtype))).astype(state.dtype)
        return new, new

    def step(self, state: Array, z: tuple[Array, Array]) -> tuple[Array, Array]:
        """One step from a projected input."""
        gates, candidate = z
        return self.update(state, gates + self.recur(state), candidate)
