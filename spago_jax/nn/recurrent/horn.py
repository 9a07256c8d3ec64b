# SPDX-License-Identifier: BSD-2-Clause
"""The higher-order recurrent network."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from spago_jax.core import Array, static
from spago_jax.core.initializers import orthogonal, xavier_uniform
from spago_jax.nn.recurrent.base import FusedCell
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.recurrence import push


class HORN(FusedCell):
    """Higher-order recurrent network: [..., time, in] -> [..., time, out] and the state [..., order, out].

        h[t] = tanh(W x[t] + b + sum over i = 1 .. order of W'_i (decay^i h[t - i]))

    ``input_weight`` [out, in], ``recurrent_weight`` [out, order * out] (the blocks W'_1, W'_2, ... side by side),
    ``bias`` [out]; ``decay`` is 0.6 as in spaGO. The state holds the last ``order`` outputs, newest first. Source:
    Soltani and Jiang, "Higher order recurrent neural networks" (2016); spaGO nn/recurrent/horn.

    >>> cell = HORN(input_weight=jnp.ones((1, 1)), recurrent_weight=jnp.ones((1, 2)), bias=jnp.zeros(1))
    >>> ys, state = cell(jnp.array([[1.0], [0.0], [0.0]]))
    >>> [round(y, 3) for y in ys[:, 0].tolist()], state.shape
    ([0.762, 0.428, 0.486], (2, 1))
    """

    decay: float = static(default=0.6)

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, order: int = 3, decay: float = 0.6) -> "HORN":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per delay), a bias of zeros.

        Raises:
            InputError: for a size or an order below 1.
        """
        check_sizes("HORN", in_features=in_features, out_features=out_features, order=order)
        inputs, recurrent = jax.random.split(key)
        matrices = jax.vmap(lambda k: orthogonal(k, (out_features, out_features)))(jax.random.split(recurrent, order))
        return cls(
            input_weight=xavier_uniform(inputs, (out_features, in_features)),
            recurrent_weight=matrices.swapaxes(0, 1).reshape(out_features, order * out_features),
            bias=jnp.zeros(out_features),
            decay=decay,
        )

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.input_weight.shape[0]

    @property
    def order(self) -> int:
        """How many outputs it remembers."""
        return self.recurrent_weight.shape[1] // self.out_features

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Zeros: [*lead, order, out]."""
        dtype = float_dtype(dtype, self)
        return jnp.zeros((*lead, self.order, self.out_features), dtype)

    def recur(self, state: Array) -> Array:
        """The products with all past outputs, as one: [..., out]."""
        scale = over(jnp.asarray(self.decay ** np.arange(1, self.order + 1), state.dtype), state[..., 0])[..., None]
        return matmul(
            (state * scale).reshape(*state.shape[:-2], state.shape[-2] * state.shape[-1]), self.recurrent_weight
        )

    def update(self, state: Array, gates: Array) -> tuple[Array, Array]:
        """The elementwise half of a step, given the pre-activation."""
        new = jnp.tanh(gates).astype(state.dtype)
        return push(state, new), new

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input [..., out]."""
        return self.update(state, z + self.recur(state))
