# SPDX-License-Identifier: BSD-2-Clause
"""The GRU layer."""

from collections.abc import Sequence

import jax.numpy as jnp

from spago_jax.core import Array, param, static
from spago_jax.nn.recurrent.base import FusedCell, gate_weights
from spago_jax.ops.gru import gru_scan, gru_step


class GRU(FusedCell):
    """Gated recurrent unit: [..., time, in] -> [..., time, out] and the final state [..., out].

        r = sigmoid(Wr x + br + Wr' h),  p = sigmoid(Wp x + bp + Wp' h)
        c = tanh(Wc x + bc + Wc' (r * h)),  h = p c + (1 - p) h

    That is spaGO's form. ``reset_after=True`` is PyTorch's and cuDNN's, exactly, so that its weights can be
    taken over by name: the reset gate multiplies ``Wc' h + recurrent_bias``, and the second gate weighs the old
    state instead of the candidate. The fused arrays hold the blocks reset, update, candidate:
    ``input_weight`` [3 * out, in], ``recurrent_weight`` [3 * out, out], ``bias`` [3 * out], ``recurrent_bias`` [out].
    Source: Cho et al. (2014); spaGO nn/recurrent/gru.

    >>> gru = GRU.init(jax.random.key(0), 3, 2)
    >>> ys, state = gru(jnp.ones((5, 3)))
    >>> ys.shape, bool((ys[-1] == state).all())
    ((5, 2), True)
    """

    recurrent_bias: Array | None = param(decay=False, default=None)
    reset_after: bool = static(default=False)

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, reset_after: bool = False) -> "GRU":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per gate), biases of zeros.

        Raises:
            InputError: for a size below 1.
        """
        inputs, recurrent = gate_weights("GRU", key, in_features, out_features, 3)
        return cls(
            input_weight=inputs,
            recurrent_weight=recurrent,
            bias=jnp.zeros(3 * out_features),
            recurrent_bias=jnp.zeros(out_features) if reset_after else None,
            reset_after=reset_after,
        )

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input [..., 3 * out]."""
        new = gru_step(z, state, self.recurrent_weight, self.recurrent_bias, reset_after=self.reset_after)
        return new, new

    def run(self, xs: Array, initial: Array | None, lengths: Array | None, *, reverse: bool):
        """The kernel over time-major inputs: see ``spago_jax.ops.gru_kernel``."""
        ys, finals = _scan([self], xs, [initial], lengths, [reverse])
        return ys[0], finals[0]

    def run_pair(self, backward: "GRU", xs: Array, initials: tuple[Array | None, ...], lengths: Array | None):
        """This one forwards and another backwards, in one loop; of two forms, in two."""
        if self.reset_after != backward.reset_after:
            first = self.run(xs, initials[0], lengths, reverse=False)
            last = backward.run(xs, initials[1], lengths, reverse=True)
            return tuple(zip(first, last, strict=True))
        return _scan([self, backward], xs, initials, lengths, [False, True])


def _scan(cells: Sequence[GRU], xs: Array, initials: Sequence[Array | None], lengths: Array | None, reverses):
    parameters = [(cell.input_weight, cell.recurrent_weight, cell.bias) for cell in cells]
    inner = None
    if cells[0].reset_after:
        inner = [
            jnp.zeros_like(cell.bias[: cell.out_features]) if cell.recurrent_bias is None else cell.recurrent_bias
            for cell in cells
        ]
    return gru_scan(xs, parameters, initials, lengths, recurrent_biases=inner, reverses=reverses)
