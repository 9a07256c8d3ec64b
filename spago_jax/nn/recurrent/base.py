# SPDX-License-Identifier: BSD-2-Clause
"""What the recurrent cells share: their interface, cells with fused gates, and initial weights."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, Module, param
from spago_jax.core.initializers import blocks, orthogonal, xavier_uniform
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.recurrence import scan_recurrence


class Recurrent(Module, abc.ABC):
    """A cell that runs over a sequence when it is called, by the driver ``spago_jax.ops.recurrence``.

    A subclass gives ``project(xs)``, everything that depends on the inputs alone, and ``step(state, z)``; where the
    equations allow, the step is the product ``recur(state)`` and an elementwise ``update``. Before the first step the
    state is zero, which is what spaGO's "no previous state" comes to.
    """

    @property
    @abc.abstractmethod
    def in_features(self) -> int:
        """The size of an input."""

    @property
    @abc.abstractmethod
    def out_features(self) -> int:
        """The size of an output."""

    def __call__(
        self, xs: Array, lengths: Array | None = None, *, initial: PyTree = None, reverse: bool = False
    ) -> tuple[Array, Any]:
        """[..., time, in], int[...] -> outputs [..., time, out] (zero beyond the lengths) and the final state."""
        return scan_recurrence(self, xs, lengths=lengths, initial=initial, reverse=reverse)

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> Any:
        """Zeros."""
        dtype = float_dtype(dtype, self)
        return jnp.zeros((*lead, self.out_features), dtype)

    @abc.abstractmethod
    def project(self, xs: Array) -> Any:
        """What depends on the inputs alone, for the whole sequence at once: [..., in] -> a tree of [..., k]."""

    @abc.abstractmethod
    def step(self, state: PyTree, z: PyTree) -> tuple[Any, Array]:
        """One step from a projected input: the new state and the output."""


class FusedCell(Recurrent):
    """A cell that keeps the matrices of all its gates in one array for the input and one for the state.

    ``input_weight`` [k, in] and ``recurrent_weight`` [..., out] hold a block per gate, ``bias`` its biases.
    """

    input_weight: Array
    recurrent_weight: Array
    bias: Array = param(decay=False)

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.recurrent_weight.shape[-1]

    def project(self, xs: Array) -> Any:
        """``W x + b``: [..., in] -> [..., k], in the accumulation dtype."""
        return affine(xs, self.input_weight, self.bias)


def affine(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``W x + b`` in the accumulation dtype: pre-activations, which no 16-bit rounding should touch.

    >>> affine(jnp.ones(2, jnp.bfloat16), jnp.ones((1, 2), jnp.bfloat16)).dtype
    dtype('float32')
    """
    y = matmul(x, weight)
    return y if bias is None else y + over(bias.astype(y.dtype), y)


def gate_weights(
    layer: str, key: Array, in_features: int, out_features: int, gates: int, recurrent_gates: int | None = None
) -> tuple[Array, Array]:
    """Initial weights of a cell with fused gates: Xavier-uniform [gates * out, in] and orthogonal [gates * out, out].

    Args:
        layer: named in errors.
        key: the randomness.
        in_features: size of an input.
        out_features: size of an output.
        gates: how many blocks the inputs have.
        recurrent_gates: how many the state has; None: as many.

    Raises:
        InputError: for a size below 1.
    """
    check_sizes(layer, in_features=in_features, out_features=out_features)
    inputs, recurrent = jax.random.split(key)
    return (
        blocks(inputs, gates, lambda k: xavier_uniform(k, (out_features, in_features))),
        blocks(recurrent, recurrent_gates or gates, lambda k: orthogonal(k, (out_features, out_features))),
    )


def gate_bias(out_features: int, gates: int, forget: float = 0.0) -> Array:
    """Biases of zeros, with ``forget`` for the second block, the forget gate's: [gates * out]."""
    return jnp.zeros(gates * out_features).at[out_features : 2 * out_features].set(forget)


def same_features(layer: str, why: str, in_features: int, out_features: int | None) -> int:
    """The one size of a cell whose outputs have the size of its inputs.

    Raises:
        InputError: for a size below 1, or an ``out_features`` that is not ``in_features``.
    """
    out_features = in_features if out_features is None else out_features
    check_sizes(layer, in_features=in_features, out_features=out_features)
    if in_features != out_features:
        raise InputError(f"{layer} {why}: out_features is {out_features}, expected in_features, {in_features}")
    return in_features
