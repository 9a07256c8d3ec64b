# SPDX-License-Identifier: BSD-2-Clause
"""The token encoder: word vector, spelling and shape of each token, side by side."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Module, Rng, buffer, child
from spago_jax.core.paths import flat, unflat
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.errors import InputError
from spago_jax.models.tokens.config import TokensConfig
from spago_jax.models.tokens.features import Features
from spago_jax.nn.characters import CharacterCNN, CharacterLSTM
from spago_jax.nn.embedding import Embedding, FixedEmbedding

UNKNOWN = 1


class TokenEncoder(Module):
    """``x_t = [word vector; characters; shape]``: a mapping of arrays to [..., time, features].

    The mapping holds ``words`` int[..., time], ``characters`` int[..., time, characters], ``character_lengths``
    int[..., time] and ``shapes`` int[..., time], as ``FormTables.batch`` makes them. With ``rng`` (training) a word
    is read as unknown with the chance in ``unknown_probability``.
    """

    words: Embedding | FixedEmbedding
    characters: CharacterCNN | CharacterLSTM | None
    shapes: Embedding | None
    unknown_probability: Array = buffer()

    @classmethod
    def init(cls, key: Array, config: TokensConfig, *, words: int, alphabet: int, shapes: int) -> "TokenEncoder":
        """A fresh encoder.

        Args:
            key: the randomness.
            config: how tokens are read.
            words: number of words, of which id 0 is padding and id 1 the unknown word.
            alphabet: number of characters.
            shapes: number of word shapes.
        """
        keys = jax.random.split(key, 3)
        spelling = config.characters
        characters: CharacterCNN | CharacterLSTM | None = None
        if spelling.encoder == "cnn":
            characters = CharacterCNN.init(
                keys[0],
                alphabet,
                embedding_features=spelling.size,
                filters=spelling.filters,
                widths=spelling.widths,
                dropout=spelling.dropout,
            )
        elif spelling.encoder == "lstm":
            characters = CharacterLSTM.init(
                keys[0],
                alphabet,
                embedding_features=spelling.size,
                hidden=spelling.filters,
                dropout=spelling.dropout,
            )
        table = Embedding.init(keys[1], words, config.words.size, padding=0)
        return cls(
            words=table if config.words.trainable else FixedEmbedding(weight=table.weight, padding=0),
            characters=characters,
            shapes=Embedding.init(keys[2], shapes, config.shape_size, padding=0) if config.shape_size else None,
            unknown_probability=jnp.zeros(words),
        )

    @property
    def out_features(self) -> int:
        """The size of a token's vector."""
        size = self.words.weight.shape[1]
        if self.characters is not None:
            size += self.characters.out_features
        return size + (0 if self.shapes is None else self.shapes.weight.shape[1])

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The tokens of a batch, [..., time, features]."""
        ids = batch["words"]
        if rng is not None:
            hidden = rng["unknown"].uniform(ids.shape) < self.unknown_probability[ids]
            ids = jnp.where(hidden & (ids > 0), UNKNOWN, ids)
        parts = [self.words(ids)]
        if self.characters is not None:
            parts.append(self.characters(batch["characters"], batch["character_lengths"], rng=child(rng, "characters")))
        if self.shapes is not None:
            parts.append(self.shapes(batch["shapes"]))
        return jnp.concatenate(parts, axis=-1)

    def pretrained(self, chance: np.ndarray, features: Features, vectors: WordVectors | None) -> "TokenEncoder":
        """Puts given word vectors in, and the chance that each training word is read as unknown."""
        new: dict[str, Any] = {"unknown_probability": jnp.asarray(chance)}
        if vectors is not None:
            table = np.array(flat(self)["words.weight"])
            rows = features.words.encode(vectors.words)
            known = rows != features.words.unknown_id
            # Words without a vector of their own start with numbers of the same size as the given ones.
            table[1:] *= vectors.matrix.std() / max(float(table[1:].std()), 1e-8)
            table[rows[known]] = vectors.matrix[known]
            new["words.weight"] = jnp.asarray(table)
        return unflat(self, new, partial=True)


def read_vectors_for(config: TokensConfig) -> WordVectors | None:
    """The word vectors that a config names, or None.

    Raises:
        InputError: where their length is not the config's, or the file is bad.
    """
    if config.words.vectors is None:
        return None
    vectors = read_word_vectors(config.words.vectors, None)
    if vectors.dimensions != config.words.size:
        raise InputError(
            f"model.words.size = {config.words.size}, but these vectors have {vectors.dimensions} numbers each",
            path=config.words.vectors,
        )
    return vectors
