# SPDX-License-Identifier: BSD-2-Clause
"""The recurrent network of tensor-product representations."""

import math

import jax
import jax.numpy as jnp

from spago_jax.core import Array, param
from spago_jax.core.initializers import xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.recurrent.base import Recurrent, affine
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.linear import matmul


class TPR(Recurrent):
    """Tensor-product representation: [..., time, in] -> [..., time, out] and the final state [..., out].

        a_s = sigmoid(Ws x + bs + Ws' h),  a_r = sigmoid(Wr x + br + Wr' h)
        s = S a_s,  r = R a_r,  h = vec(s r')        (row by row; out = symbol_features * role_features)

    A learned symbol is bound to a learned role at each step. The fused arrays hold the blocks symbols, roles:
    ``input_weight`` [symbols + roles, in], ``recurrent_weight`` [symbols + roles, out], ``bias`` [symbols + roles];
    ``symbol_weight`` S [symbol_features, symbols], ``role_weight`` R [role_features, roles]. Source: Palangi,
    Smolensky, He and Deng, "Question-answering with grammatically-interpretable representations" (2018); spaGO
    nn/recurrent/tpr.

    >>> one = jnp.ones((1, 1))
    >>> cell = TPR(jnp.ones((2, 1)), jnp.ones((2, 1)), symbol_weight=one, role_weight=2 * one, bias=jnp.zeros(2))
    >>> ys, state = cell(jnp.array([[0.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3)
    array([0.5  , 0.775], dtype=float32)
    """

    input_weight: Array
    recurrent_weight: Array
    symbol_weight: Array
    role_weight: Array
    bias: Array = param(decay=False)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        symbols: int = 16,
        roles: int = 8,
        role_features: int | None = None,
    ) -> "TPR":
        """Xavier-uniform weights, biases of zeros.

        Args:
            key: the randomness.
            in_features: size of an input.
            out_features: size of an output, ``symbol_features * role_features``.
            symbols: how many symbols there are.
            roles: how many roles there are.
            role_features: size of a role's vector; None: the largest divisor of ``out_features`` that is not above its
                square root.

        Raises:
            InputError: for a size below 1, or role_features that do not divide out_features.
        """
        check_sizes("TPR", in_features=in_features, out_features=out_features, symbols=symbols, roles=roles)
        if role_features is None:
            role_features = max(d for d in range(1, math.isqrt(out_features) + 1) if out_features % d == 0)
        check_sizes("TPR", role_features=role_features)
        if out_features % role_features:
            raise InputError(
                f"TPR: role_features is {role_features}, expected a divisor of out_features {out_features}"
            )
        keys = jax.random.split(key, 4)
        return cls(
            input_weight=xavier_uniform(keys[0], (symbols + roles, in_features)),
            recurrent_weight=xavier_uniform(keys[1], (symbols + roles, out_features)),
            symbol_weight=xavier_uniform(keys[2], (out_features // role_features, symbols)),
            role_weight=xavier_uniform(keys[3], (role_features, roles)),
            bias=jnp.zeros(symbols + roles),
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.recurrent_weight.shape[1]

    def project(self, xs: Array) -> Array:
        """``W x + b``: [..., in] -> [..., symbols + roles], in the accumulation dtype."""
        return affine(xs, self.input_weight, self.bias)

    def recur(self, state: Array) -> Array:
        """The recurrent product: [..., symbols + roles]."""
        return matmul(state, self.recurrent_weight)

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input. Two small products wait for the gates, so there is no single update."""
        gates = fast_sigmoid(z + self.recur(state)).astype(state.dtype)
        of_symbols, of_roles = jnp.split(gates, [self.symbol_weight.shape[1]], axis=-1)
        symbol, role = matmul(of_symbols, self.symbol_weight), matmul(of_roles, self.role_weight)
        new = (symbol[..., :, None] * role[..., None, :]).reshape(state.shape).astype(state.dtype)
        return new, new
