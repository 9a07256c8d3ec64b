# SPDX-License-Identifier: BSD-2-Clause
"""What the recurrent layers have in common."""

from typing import Any

import jax.numpy as jnp

from spago_jax.core import Array, Module
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import matmul
from spago_jax.ops.recurrence import scan_recurrence


class Recurrent(Module):
    """A cell of the driver ``spago_jax.ops.recurrence`` that runs over sequences when it is called.

    A subclass gives ``project(xs)``, everything that depends on the inputs alone, and ``step(state, z)``; where the
    equations allow, the step is the product ``recur(state)`` and an elementwise ``update``. Before the first step the
    state is zero, which is what spaGO's "no previous state" comes to.
    """

    @property
    def in_features(self) -> int:
        """The size of an input."""
        raise NotImplementedError

    @property
    def out_features(self) -> int:
        """The size of an output."""
        raise NotImplementedError

    def __call__(
        self, xs: Array, lengths: Array | None = None, *, initial: Any = None, reverse: bool = False
    ) -> tuple[Array, Any]:
        """[..., time, in], int[...] -> outputs [..., time, out] (zero beyond the lengths) and the final state."""
        return scan_recurrence(self, xs, lengths=lengths, initial=initial, reverse=reverse)

    def initial_state(self, lead: tuple[int, ...], dtype: Any) -> Any:
        """Zeros."""
        return jnp.zeros((*lead, self.out_features), dtype)

    def project(self, xs: Array) -> Any:
        """What depends on the inputs alone, for the whole sequence at once: [..., in] -> a tree of [..., k]."""
        raise NotImplementedError

    def step(self, state: Any, z: Any) -> tuple[Any, Array]:
        """One step from a projected input: the new state and the output."""
        raise NotImplementedError


def affine(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``W x + b`` in the accumulation dtype: pre-activations, which no 16-bit rounding should touch.

    >>> affine(jnp.ones(2, jnp.bfloat16), jnp.ones((1, 2), jnp.bfloat16)).dtype
    dtype('float32')
    """
    y = matmul(x, weight)
    return y if bias is None else y + over(bias.astype(y.dtype), y)
