# SPDX-License-Identifier: BSD-2-Clause
"""Layers of recurrences, each reading the outputs of the one below."""

from typing import Any

import jax

from spago_jax.core import Array, Module, Rng, static
from spago_jax.core.rng import child
from spago_jax.nn.recurrent.birnn import BiRNN, cell_class
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.dropout import check_rate, dropout


class StackedRNN(Module):
    """One or more recurrent layers: [..., time, in] -> [..., time, features] and the states, one per layer.

    ``y = layer_n(... layer_1(x))``. Dropout of rate ``dropout`` lies between the layers, not before the first nor after
    the last; with ``variational`` it drops the same features at every step. Source: spaGO nn/stack.

    >>> rnn = StackedRNN.init(jax.random.key(0), 3, 4, layers=2, bidirectional=True, dropout=0.5)
    >>> ys, states = rnn(jnp.ones((5, 3)))
    >>> ys.shape, len(states)
    ((5, 8), 2)
    """

    layers: tuple[Any, ...]
    dropout: float = static(default=0.0)
    variational: bool = static(default=False)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        layers: int = 1,
        cell: str = "lstm",
        bidirectional: bool = False,
        merge: str = "concat",
        dropout: float = 0.0,
        variational: bool = False,
        **options,
    ) -> "StackedRNN":
        """``layers`` layers of ``out_features`` (a direction); ``options`` go to the cells' ``init``.

        Raises:
            InputError: for an unknown cell or merge, a size below 1, or a dropout outside [0, 1).
        """
        check_sizes("StackedRNN", layers=layers, in_features=in_features, out_features=out_features)
        built: list[Any] = []
        size = in_features
        for layer_key in jax.random.split(key, layers):
            if bidirectional:
                layer = BiRNN.init(layer_key, size, out_features, cell=cell, merge=merge, **options)
            else:
                layer = cell_class(cell).init(layer_key, size, out_features, **options)
            built.append(layer)
            size = layer.out_features
        return cls(layers=tuple(built), dropout=check_rate(dropout, "dropout"), variational=variational)

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.layers[-1].out_features

    def __call__(
        self,
        xs: Array,
        lengths: Array | None = None,
        *,
        initial: tuple[Any, ...] | None = None,
        rng: Rng | None = None,
    ) -> tuple[Array, tuple[Any, ...]]:
        """[..., time, in], int[...] -> outputs (zero beyond the lengths) and the final state of each layer."""
        states = []
        for number, layer in enumerate(self.layers):
            if number:
                shared = (-2,) if self.variational else ()
                xs = dropout(xs, self.dropout, child(rng, number), shared_axes=shared)
            xs, state = layer(xs, lengths, initial=None if initial is None else initial[number])
            states.append(state)
        return xs, tuple(states)


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
