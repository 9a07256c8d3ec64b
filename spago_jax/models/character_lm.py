# SPDX-License-Identifier: BSD-2-Clause
"""The character language model."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.tree import PyTree
from spago_jax.nn import StackedRNN
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.ops.dropout import dropout


class CharacterLM(Module):
    """``p(x_{t+1} | x_1..x_t) = softmax(W p_t + b)`` with ``p = projection(RNN(embedding(x)))``.

    Source: Graves (2013); spaGO ``nlp/charlm``. spaGO's generator never emits the last character of its vocabulary
    (an off-by-one); this one does.
    """

    continues: ClassVar[bool] = True  # its texts begin with what it reads

    embedding: Embedding
    rnn: StackedRNN
    projection: Linear | None
    decoder: Linear
    dropout: float = static(default=0.0)

    @classmethod
    def init(
        cls,
        key: Array,
        alphabet: int,
        *,
        embedding: int = 64,
        cell: str = "lstm",
        hidden: int = 512,
        layers: int = 1,
        projection: int | None = None,
        dropout: float = 0.0,
        reset_after: bool = False,
    ) -> "CharacterLM":
        """A fresh model for an alphabet of so many characters; ``reset_after`` is a form of the GRU, see ``nn.GRU``."""
        keys = jax.random.split(key, 4)
        options: dict[str, Any] = {"reset_after": True} if reset_after else {}
        rnn = StackedRNN.init(keys[1], embedding, hidden, layers=layers, cell=cell, dropout=dropout, **options)
        return cls(
            embedding=Embedding.init(keys[0], alphabet, embedding),
            rnn=rnn,
            projection=None if projection is None else Linear.init(keys[2], rnn.out_features, projection),
            decoder=Linear.init(keys[3], projection or rnn.out_features, alphabet),
            dropout=dropout,
        )

    def __call__(
        self, ids: Array, lengths: Array | None = None, *, state: PyTree = None, rng: Rng | None = None
    ) -> tuple[Array, Any]:
        """Character ids int[..., time] -> (logits of the next one [..., time, alphabet], the state after the last)."""
        xs = dropout(self.embedding(ids), self.dropout, child(rng, "input"))
        ys, state = self.rnn(xs, lengths, initial=state, rng=child(rng, "rnn"))
        if self.projection is not None:
            ys = self.projection(ys)
        ys = dropout(ys, self.dropout, child(rng, "output"))
        return self.decoder(ys), state

    def initial_state(self, batch: tuple[int, ...] = ()) -> PyTree:
        """The state before the first character: zeros, with the given leading axes."""
        ids = jax.ShapeDtypeStruct((*batch, 1), jnp.int32)
        _, state = jax.eval_shape(lambda model, ids: model(ids), self, ids)
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), state)

    # -- as a decoder of spago_jax.generation ---------------------------------------------------------------------

    def start(self, ids: Array, mask: Array | None = None, *, beams: int, length: int) -> PyTree:
        """The state after all but the last of int[batch, time]; each row's characters stand at its beginning."""
        batch, time = ids.shape
        lengths = jnp.full(batch, time) if mask is None else mask.sum(-1)
        state = self.initial_state((batch,))
        if time > 1:
            _, after = self(ids[:, :-1], jnp.maximum(lengths - 1, 0), state=state)
            state = _like(after, state)
        return jax.tree.map(lambda leaf: jnp.repeat(leaf[:, None], beams, axis=1), state)

    def step(self, ids: Array, state: PyTree) -> tuple[Array, Any]:
        """Reads int[batch, beams]: the logits of the next one [batch, beams, alphabet], and the state after them."""
        logits, after = self(ids[..., None], state=state)
        return logits[..., 0, :].astype(jnp.float32), _like(after, state)

    def reorder(self, state: PyTree, parents: Array) -> PyTree:
        """The state in which each beam goes on from another one, int[batch, beams]."""

        def taken(leaf: Array) -> Array:
            return jnp.take_along_axis(leaf, parents.reshape(*parents.shape, *(1,) * (leaf.ndim - 2)), axis=1)

        return jax.tree.map(taken, state)


def _like(state: PyTree, before: PyTree) -> PyTree:
    """The state in the dtypes that it had: a loop carries it."""
    return jax.tree.map(lambda new, old: new.astype(old.dtype), state, before)
