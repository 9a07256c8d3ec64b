# SPDX-License-Identifier: BSD-2-Clause
"""The non-saturating recurrent unit."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, param, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.recurrent.base import Recurrent, affine
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import accumulation_dtype, float_dtype, matmul

NORM_EPS = 1e-10


class NRUState(NamedTuple):
    """``hidden`` [..., out] is the output of the last step; ``memory`` [..., memory] is kept in float32 at least."""

    hidden: Array
    memory: Array


class NRU(Recurrent):
    """Non-saturating recurrent unit: [..., time, in] -> [..., time, out] and the final state (hidden, memory).

        h = relu(norm(W x + b + W' [h; m]))
        alpha, beta = f(A [h; m] + a)                       (``heads`` numbers each)
        V = f(u2 u1'), U = f(v2 v1') with u1, u2, v1, v2 = B [h; m] + b2, each of size sqrt(memory * heads)
        m = m + mean over heads k of (alpha_k V_k - beta_k U_k)

    Each column of V and U (where u1 and v1 run) has 5-norm 1; they are read row by row as ``heads`` vectors V_k, U_k of
    size ``memory``. f is relu or, with ``relu=False``, the identity; the norm is left out where ``norm`` is None.
    ``input_weight`` [out, in], ``recurrent_weight`` [out, out + memory], ``bias`` [out], ``gate_weight``
    [2 * heads, out + memory] (alpha, beta), ``vector_weight`` [4 * side, out + memory] (u1, u2, v1, v2), their biases.
    The norm's gradient at a column of zeros is zero; spaGO's is NaN, and its ``New`` forgets the configuration.
    Source: Chandar, Sankar, Vorontsov, Kahou and Bengio, "Towards non-saturating recurrent units for modelling
    long-term dependencies" (2019); spaGO nn/recurrent/nru.

    >>> cell = NRU.init(jax.random.key(0), 3, 5, memory=8, heads=2)
    >>> ys, state = cell(jnp.ones((4, 3)))
    >>> ys.shape, state.memory.shape, bool((ys >= 0).all())
    ((4, 5), (8,), True)
    """

    input_weight: Array
    recurrent_weight: Array
    gate_weight: Array
    vector_weight: Array
    bias: Array = param(decay=False)
    gate_bias: Array = param(decay=False)
    vector_bias: Array = param(decay=False)
    norm: LayerNorm | None = None
    relu: bool = static(default=True)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        memory: int | None = None,
        heads: int = 4,
        relu: bool = True,
        norm: bool = False,
    ) -> "NRU":
        """Xavier-uniform weights, biases of zeros.

        Args:
            key: the randomness.
            in_features: size of an input.
            out_features: size of an output.
            memory: size of the memory; None: that of an output.
            heads: how many vectors are written, and erased, at a step; ``memory * heads`` must be a square number.
            relu: whether gates and vectors pass a relu.
            norm: whether the pre-activation of h is layer-normalised.

        Raises:
            InputError: for a size below 1 or ``memory * heads`` that is not a square number.
        """
        memory = out_features if memory is None else memory
        check_sizes("NRU", in_features=in_features, out_features=out_features, memory=memory, heads=heads)
        side = math.isqrt(memory * heads)
        if side * side != memory * heads:
            raise InputError(f"NRU: memory * heads is {memory} * {heads} = {memory * heads}, expected a square number")
        keys = jax.random.split(key, 4)
        both = out_features + memory
        return cls(
            input_weight=xavier_uniform(keys[0], (out_features, in_features), gain("relu")),
            recurrent_weight=xavier_uniform(keys[1], (out_features, both)),
            gate_weight=xavier_uniform(keys[2], (2 * heads, both)),
            vector_weight=xavier_uniform(keys[3], (4 * side, both)),
            bias=jnp.zeros(out_features),
            gate_bias=jnp.zeros(2 * heads),
            vector_bias=jnp.zeros(4 * side),
            norm=LayerNorm.init(out_features) if norm else None,
            relu=relu,
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
    def heads(self) -> int:
        """How many vectors are written, and erased, at a step."""
        return self.gate_weight.shape[0] // 2

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> NRUState:
        """Zeros; the memory in float32 at least."""
        dtype = float_dtype(dtype, self)
        memory = self.recurrent_weight.shape[1] - self.out_features
        return NRUState(
            jnp.zeros((*lead, self.out_features), dtype), jnp.zeros((*lead, memory), accumulation_dtype(dtype))
        )

    def project(self, xs: Array) -> Array:
        """``W x + b``: [..., in] -> [..., out], in the accumulation dtype."""
        return affine(xs, self.input_weight, self.bias)

    def step(self, state: NRUState, z: Array) -> tuple[NRUState, Array]:
        """One step from a projected input. The second product waits for the output, so there is no single update."""
        dtype = state.hidden.dtype
        memory = state.memory.astype(z.dtype)
        pre = z + matmul(_join(state.hidden, memory, dtype), self.recurrent_weight)
        hidden = jax.nn.relu(pre if self.norm is None else self.norm(pre)).astype(dtype)
        both = _join(hidden, memory, dtype)
        gates = affine(both, self.gate_weight, self.gate_bias)
        alpha, beta = jnp.split(jax.nn.relu(gates) if self.relu else gates, 2, axis=-1)
        u1, u2, v1, v2 = jnp.split(affine(both, self.vector_weight, self.vector_bias), 4, axis=-1)
        memory = memory + self._written(alpha, u1, u2) - self._written(beta, v1, v2)
        return NRUState(hidden, memory.astype(state.memory.dtype)), hidden

    def _written(self, gate: Array, first: Array, second: Array) -> Array:
        """``mean over k of gate_k V_k``: [..., memory], V from the outer product of both vectors."""
        matrix = first[..., :, None] * second[..., None, :]
        matrix = jax.nn.relu(matrix) if self.relu else matrix
        matrix = matrix / (_norm5(matrix) + NORM_EPS)
        vectors = matrix.reshape(*gate.shape, math.prod(matrix.shape[-2:]) // gate.shape[-1])
        return jnp.mean(gate[..., None] * vectors, axis=-2)


def _join(hidden: Array, memory: Array, dtype: DTypeLike) -> Array:
    return jnp.concatenate([hidden, memory.astype(dtype)], axis=-1)


def _norm5(matrix: Array) -> Array:
    """The 5-norm of each column [..., 1, columns]; scaled by the largest, so that fifth powers stay in range."""
    size = jnp.abs(matrix)
    largest = jax.lax.stop_gradient(jnp.max(size, axis=-2, keepdims=True))
    largest = jnp.where(largest > 0, largest, jnp.ones((), size.dtype))
    total = jnp.sum((size / largest) ** 5, axis=-2, keepdims=True)
    some = total > 0
    return jnp.where(some, largest * jnp.where(some, total, jnp.ones((), total.dtype)) ** 0.2, 0 * largest)
