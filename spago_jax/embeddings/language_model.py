# SPDX-License-Identifier: BSD-2-Clause
"""The part of a character language model that embeddings read: its characters, and its states."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Module, unflat
from spago_jax.errors import InputError
from spago_jax.nn import StackedRNN
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.registry import Registry

SOURCES = Registry(
    "source of language models",
    {
        "run": "spago_jax.train.language_model:read_run",
        "flair": "spago_jax.interop.flair.language_model:read_flair",
    },
)
"""What opens a language model: parts of the house that come after this one."""


@dataclass(frozen=True)
class LanguageModel:
    """A language model as it was read.

    Attributes:
        alphabet: its characters by id, or ``bytes``.
        unknown: the id of characters outside the alphabet, or None where the alphabet says it.
        weights: its arrays by path, as ``spago_jax.models.character_lm`` names them.
        forward: whether it reads texts forwards; None where nothing says it.
        start: what stood before a text when it was trained.
    """

    alphabet: list[str] | str
    unknown: int | None
    weights: Mapping[str, np.ndarray]
    forward: bool | None = None
    start: str = "\n"

    @property
    def shape(self) -> dict[str, Any]:
        """The sizes from which a ``CharacterReader`` is made, as plain JSON."""
        return shape_of(self.weights)


def find_language_model(source: str) -> str:
    """Returns which of ``SOURCES`` opens a file or a folder.

    Raises:
        InputError: where there is no such file, or it is none of them.
    """
    if os.path.isfile(source):
        return "flair"
    if os.path.isdir(source):
        if any(os.path.isfile(os.path.join(source, name)) for name in ("config.yaml", "manifest.json")):
            return "run"
        raise InputError("not a run of text-generation, nor an exported or an imported one", path=source)
    raise InputError("there is no such run of a language model, nor a file of one of Flair's", path=source)


def read_language_model(source: str) -> LanguageModel:
    """Opens a run of ``text-generation``, what was exported or imported of one, or a language model of Flair's.

    Raises:
        InputError: where it is missing, damaged, or of another kind.
    """
    return SOURCES.find(find_language_model(source))(Path(source))


def shape_of(weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the sizes of a language model, from its arrays.

    Raises:
        InputError: for arrays that are not those of one.
    """
    try:
        rows, features = weights["embedding.weight"].shape
        layers = sorted(int(m[1]) for path in weights if (m := re.fullmatch(r"rnn\.layers\.(\d+)\.input_weight", path)))
        gates, _ = weights["rnn.layers.0.input_weight"].shape
        hidden = weights["rnn.layers.0.recurrent_weight"].shape[1]
        if layers != list(range(len(layers))) or gates not in (4 * hidden, 3 * hidden):
            raise ValueError(f"layers {layers} of {gates} gates over {hidden} units")
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"not a character language model of LSTM or GRU layers: {error}") from None
    projection = weights.get("projection.weight")
    return {
        "rows": rows,
        "embedding": features,
        "cell": "lstm" if gates == 4 * hidden else "gru",
        "reset_after": "rnn.layers.0.recurrent_bias" in weights,
        "hidden": hidden,
        "layers": len(layers),
        "projection": None if projection is None else projection.shape[0],
    }


class CharacterReader(Module):
    """``p_t = projection(RNN(embedding(x)))_t``: a character language model without its decoder.

    Source: Akbik et al. (2018); spaGO ``nlp/charlm`` with ``UseProjection``.
    """

    embedding: Embedding
    rnn: StackedRNN
    projection: Linear | None

    @classmethod
    def init(cls, key: Array, shape: Mapping[str, Any]) -> "CharacterReader":
        """A fresh one of the sizes that ``shape_of`` gives."""
        keys = jax.random.split(key, 3)
        options: dict[str, Any] = {"reset_after": True} if shape["cell"] == "gru" and shape["reset_after"] else {}
        size, hidden = shape["projection"], shape["hidden"]
        return cls(
            embedding=Embedding.init(keys[0], shape["rows"], shape["embedding"]),
            rnn=StackedRNN.init(
                keys[1], shape["embedding"], hidden, layers=shape["layers"], cell=shape["cell"], **options
            ),
            projection=None if size is None else Linear.init(keys[2], hidden, size),
        )

    @property
    def out_features(self) -> int:
        """The size of a state."""
        return self.rnn.out_features if self.projection is None else self.projection.weight.shape[0]

    def __call__(self, ids: Array) -> Array:
        """Ids of characters int[..., time] -> the state after each [..., time, features]."""
        ys, _ = self.rnn(self.embedding(ids))
        return ys if self.projection is None else self.projection(ys)

    def with_weights(self, weights: Mapping[str, np.ndarray]) -> "CharacterReader":
        """The same with the arrays of a language model, whose decoder is left out."""
        parts = ("embedding.", "rnn.", "projection.")
        return unflat(self, {p: jnp.asarray(a) for p, a in weights.items() if p.startswith(parts)}, partial=False)
