# SPDX-License-Identifier: BSD-2-Clause
"""Two recurrences over one sequence, one from each end."""

from typing import Any

import jax

from spago_jax.core import Array, Module, static
from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.recurrent.cfn import CFN
from spago_jax.nn.recurrent.delta_rnn import DeltaRNN
from spago_jax.nn.recurrent.fsmn import FSMN
from spago_jax.nn.recurrent.gru import GRU
from spago_jax.nn.recurrent.horn import HORN
from spago_jax.nn.recurrent.ind_rnn import IndRNN
from spago_jax.nn.recurrent.lstm import LSTM
from spago_jax.nn.recurrent.ltm import LTM
from spago_jax.nn.recurrent.mist import MIST
from spago_jax.nn.recurrent.nru import NRU
from spago_jax.nn.recurrent.ran import RAN
from spago_jax.nn.recurrent.refined_lstm import RefinedLSTM
from spago_jax.nn.recurrent.rla import RLA
from spago_jax.nn.recurrent.skip_lstm import SkipLSTM
from spago_jax.nn.recurrent.srn import SRN
from spago_jax.nn.recurrent.srnn import SRNN
from spago_jax.nn.recurrent.tpr import TPR
from spago_jax.ops.merge import merge, merged_features, parse_merge
from spago_jax.ops.recurrence import scan_bidirectional

# ltm, refined_lstm and rla keep the size of their input.
CELLS: dict[str, Any] = {
    "cfn": CFN,
    "delta_rnn": DeltaRNN,
    "fsmn": FSMN,
    "gru": GRU,
    "horn": HORN,
    "ind_rnn": IndRNN,
    "lstm": LSTM,
    "ltm": LTM,
    "mist": MIST,
    "nru": NRU,
    "ran": RAN,
    "refined_lstm": RefinedLSTM,
    "rla": RLA,
    "skip_lstm": SkipLSTM,
    "srn": SRN,
    "srnn": SRNN,
    "tpr": TPR,
}


def cell_class(name: str) -> Any:
    """The cell of that name.

    Raises:
        InputError: for an unknown name.
    """
    if name not in CELLS:
        raise InputError(f"unknown cell {name!r}, {did_you_mean(name, CELLS)}")
    return CELLS[name]


class BiRNN(Module):
    """``y[t] = merge(forward[t], backward[t])``: [..., time, in] -> [..., time, features].

    ``merge`` is ``concat`` [forward; backward], ``sum``, ``prod`` or ``avg``. Source: Schuster and Paliwal (1997);
    spaGO nn/birnn.

    >>> rnn = BiRNN.init(jax.random.key(0), 3, 2, cell="gru")
    >>> ys, (first, last) = rnn(jnp.ones((4, 3)))
    >>> ys.shape, last.shape
    ((4, 4), (2,))
    """

    forward: Any
    backward: Any
    merge: str = static(default="concat")

    @classmethod
    def init(
        cls, key: Array, in_features: int, out_features: int, *, cell: str = "lstm", merge: str = "concat", **options
    ) -> "BiRNN":
        """Two cells of ``out_features`` each; ``options`` go to the cells' ``init``.

        Raises:
            InputError: for an unknown cell or merge, or a size below 1.
        """
        parse_merge(merge)
        kind = cell_class(cell)
        first, second = jax.random.split(key)
        return cls(
            forward=kind.init(first, in_features, out_features, **options),
            backward=kind.init(second, in_features, out_features, **options),
            merge=merge,
        )

    @property
    def out_features(self) -> int:
        """The size of an output, after the merge."""
        return merged_features(self.forward.out_features, self.backward.out_features, self.merge)

    def __call__(
        self, xs: Array, lengths: Array | None = None, *, initial: tuple[Any, Any] | None = None
    ) -> tuple[Array, tuple[Any, Any]]:
        """[..., time, in], int[...] -> outputs (zero beyond the lengths) and both final states.

        The backward state is the one after the first step of the sequence, which it reads last.
        """
        (first, second), states = scan_bidirectional(self.forward, self.backward, xs, lengths=lengths, initial=initial)
        return merge(first, second, self.merge), states
