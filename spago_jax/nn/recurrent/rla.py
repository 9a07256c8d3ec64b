# SPDX-License-Identifier: BSD-2-Clause
"""Recurrent linear attention."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, param
from spago_jax.core.initializers import blocks, xavier_uniform
from spago_jax.nn.recurrent.base import Recurrent, affine, same_features
from spago_jax.ops.activations import positive_elu
from spago_jax.ops.linear import accumulation_dtype, float_dtype
from spago_jax.ops.linear_attention_scan import linear_attention_scan, read
from spago_jax.ops.masks import length_mask


class RLAState(NamedTuple):
    """Sums over the past, in float32 at least: ``memory`` [..., key, value] and ``normaliser`` [..., key]."""

    memory: Array
    normaliser: Array


class RLA(Recurrent):
    """Recurrent linear attention: [..., time, features], kept, and the final state (memory, normaliser).

        k, v, q = W x + b          (one block each);  phi(x) = elu(x) + 1
        S = S + phi(k) v',  z = z + phi(k)
        y = S' phi(q) / (phi(q) . z + 1e-12)

    ``input_weight`` [3 * features, features] in the blocks key, value, query, ``bias`` [3 * features]. Sequences run in
    chunks: within one as causal attention, from one to the next by the state. Source: Katharopoulos, Vyas, Pappas and
    Fleuret, "Transformers are RNNs: fast autoregressive transformers with linear attention" (2020); spaGO
    nn/recurrent/rla.

    >>> cell = RLA(input_weight=jnp.ones((3, 1)), bias=jnp.zeros(3))
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3), state.normaliser
    (array([1.   , 0.667], dtype=float32), Array([3.], dtype=float32))
    """

    input_weight: Array
    bias: Array = param(decay=False)

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int | None = None) -> "RLA":
        """Xavier-uniform weights, a bias of zeros.

        Raises:
            InputError: for a size below 1, or an ``out_features`` that is not ``in_features``.
        """
        in_features = same_features("RLA", "keeps the size of its input", in_features, out_features)
        return cls(
            input_weight=blocks(key, 3, lambda k: xavier_uniform(k, (in_features, in_features))),
            bias=jnp.zeros(3 * in_features),
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.input_weight.shape[0] // 3

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> RLAState:
        """Zeros."""
        dtype = float_dtype(dtype, self)
        wide, size = accumulation_dtype(dtype), self.out_features
        return RLAState(jnp.zeros((*lead, size, size), wide), jnp.zeros((*lead, size), wide))

    def project(self, xs: Array) -> tuple[Array, Array, Array, Array]:
        """phi(key), value, phi(query) [..., features] each, in the accumulation dtype; and an empty array that says the
        dtype of the outputs.
        """
        key, value, query = jnp.split(affine(xs, self.input_weight, self.bias), 3, axis=-1)
        return positive_elu(key), value, positive_elu(query), jnp.zeros((*xs.shape[:-1], 0), xs.dtype)

    def step(self, state: RLAState, z: tuple[Array, Array, Array, Array]) -> tuple[RLAState, Array]:
        """One step from a projected input."""
        key, value, query, kind = z
        memory = state.memory + key[..., :, None] * value[..., None, :]
        normaliser = state.normaliser + key
        numerator = jnp.sum(query[..., :, None] * memory, axis=-2)
        y = read(numerator, jnp.sum(query * normaliser, axis=-1))
        return RLAState(memory, normaliser), y.astype(kind.dtype)

    def run(self, xs: Array, initial: RLAState | None, lengths: Array | None, *, reverse: bool):
        """Chunks of causal attention over time-major inputs: see ``spago_jax.ops.linear_attention_scan``."""
        key, value, query, kind = self.project(xs)
        state = self.initial_state((xs.shape[1],), xs.dtype) if initial is None else initial
        mask = None if lengths is None else length_mask(lengths, xs.shape[0]).T[..., None]
        if mask is not None:  # a key of zeros writes nothing
            key = jnp.where(mask, key, jnp.zeros((), key.dtype))
        ys, memory, normaliser = linear_attention_scan(
            key, value, query, state.memory, state.normaliser, reverse=reverse
        )
        if mask is not None:
            ys = jnp.where(mask, ys, jnp.zeros((), ys.dtype))
        return ys.astype(kind.dtype), RLAState(memory, normaliser)
