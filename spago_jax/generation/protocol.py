# SPDX-License-Identifier: BSD-2-Clause
"""What the loops ask of a language model, and what they tell a rule."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from spago_jax.core import Array

NOTHING = -1
"""The id in a place where nothing is written: after the end of a text so far, before a shorter prompt."""


@runtime_checkable
class Decoder(Protocol):
    """A language model that reads one token of every text at a time.

    Every method is pure and traced into the loop. The state is a tree of arrays with the leading axes
    [batch, beams] (what all beams of an item share has no beams axis), and keeps its shapes and dtypes.
    """

    def start(self, ids: Array, mask: Array | None = None, *, beams: int, length: int) -> Any:
        """Returns the state before the first token.

        Args:
            ids: int[batch, source]: what an encoder reads; for a model with ``continues``, the beginnings of the texts,
                all of which is read but the last token.
            mask: bool[batch, source], which of them are there; None for all.
            beams: texts per item.
            length: tokens that a text may have.
        """
        ...

    def step(self, ids: Array, state: Any) -> tuple[Array, Any]:
        """Reads int[batch, beams] and returns the logits of the next token, float32[batch, beams, vocabulary]."""
        ...

    def reorder(self, state: Any, parents: Array) -> Any:
        """Returns the state in which each beam goes on from another one, int[batch, beams].

        A search begins with it, each beam going on from itself: what it adds to a state is there from the start.
        """
        ...


def continues(model: Any) -> bool:
    """Whether a model writes on from its input, as opposed to reading it with an encoder: its own ``continues``."""
    return bool(getattr(model, "continues", False))


class Written(NamedTuple):
    """The texts so far, as a rule sees them.

    Attributes:
        ids: int32[batch, beams, time], ``NOTHING`` where nothing is written.
        length: of all texts in tokens, the prompt included; a scalar.
        prompt: tokens of the prompt (of an encoder-decoder: 1, the start token).
        source: int32[batch, source], what the encoder read, ``NOTHING`` where it is padding; None without one.
    """

    ids: Array
    length: Array
    prompt: int
    source: Array | None = None
