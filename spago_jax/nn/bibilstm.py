# SPDX-License-Identifier: BSD-2-Clause
"""Two bidirectional LSTMs, one upon the other."""

from typing import Any

import jax

from spago_jax.core import Array
from spago_jax.nn.birnn import BiRNN
from spago_jax.nn.sizes import check_sizes
from spago_jax.nn.stacked_rnn import StackedRNN


def bibilstm(
    key: Array, in_features: int, out_features: int, *, merge: str = "concat", cell: str = "lstm", **options: Any
) -> StackedRNN:
    """A stack of two bidirectional layers, of which the first always concatenates.

    Args:
        key: the randomness.
        in_features: size of an input.
        out_features: size of each direction of each layer.
        merge: of the second layer, see ``BiRNN``.
        cell: another cell than the LSTM, by name.
        options: go to the cells' ``init``.

    Returns:
        [..., time, in] -> [..., time, features] and the states of both layers. Source: spaGO nn/birnn NewBiBiLSTM.

    Raises:
        InputError: for a size below 1, or an unknown cell or merge.

    >>> rnn = bibilstm(jax.random.key(0), 3, 2, merge="sum")
    >>> ys, _ = rnn(jax.numpy.ones((5, 3)))
    >>> ys.shape, rnn.layers[1].forward.in_features
    ((5, 2), 4)
    """
    check_sizes("bibilstm", in_features=in_features, out_features=out_features)
    first, second = jax.random.split(key)
    below = BiRNN.init(first, in_features, out_features, cell=cell, **options)
    above = BiRNN.init(second, below.out_features, out_features, cell=cell, merge=merge, **options)
    return StackedRNN(layers=(below, above))
