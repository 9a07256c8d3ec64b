# SPDX-License-Identifier: BSD-2-Clause
"""Word vectors as an embedding of tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from spago_jax.core import Array, Module, Rng, buffer, flat, static, unflat
from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.formats.reader import refuse_missing
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.formats.read import refuse_without_parts
from spago_jax.embeddings.lookup import Rule
from spago_jax.embeddings.part_rows import parts_of_words
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.embeddings.store.manifest import Manifest
from spago_jax.embeddings.store_index import StoreIndexer
from spago_jax.embeddings.stored_words import FixedStoredWords, StoredWords
from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.errors import InputError
from spago_jax.nn.embedding import Embedding, FixedEmbedding

PADDING, UNKNOWN = 0, 1


class Words(Section):
    """A vector per word."""

    kind: Literal["words"]
    size: PositiveInt = Field(default=100, description="length of a word vector (that of the file, where there is one)")
    vectors: str | None = Field(
        default=None,
        description="file of word vectors: GloVe, word2vec (text, binary), gensim, fastText, floret, BPEmb, Magnitude",
    )
    store: str | None = Field(
        default=None,
        description="store of vectors (`spago-jax vectors convert`) that stays on disk: only rows of a batch are read, "
        "and trained where they lie",
    )
    subwords: bool = Field(
        default=False,
        description="read words that neither the training data nor the file has by their n-grams (fastText's .bin, "
        "gensim's FastText, floret), when predicting too; the folder of the run keeps the rows of all n-grams",
    )
    lowercase: bool = Field(default=False, description="look words up in lower case")
    lookup: Rule | None = Field(
        default=None,
        description="how a word's given vector is found: exact; lower: else that of its lower-cased form; digits: else "
        "also that with # or 0 for its digits (Flair). By default lower where no word of the file has a capital, else "
        "exact",
    )
    min_count: PositiveInt = Field(default=1, description="rarer training words without a given vector are unknown")
    max_words: PositiveInt = Field(default=200_000, description="at most this many words")
    trainable: bool = Field(default=True, description="train the vectors, also given ones")
    unknown_rate: float = Field(
        default=0.25, ge=0, description="a in a / (a + count), the chance that a training word is read as unknown"
    )

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, given: Any) -> Any:
        """Reads ``case_fallback`` of configs of versions up to 0.1."""
        if isinstance(given, dict) and "case_fallback" in given and given.get("lookup") is None:
            rule = {True: "lower", False: "exact"}.get(given["case_fallback"])
            given = {key: value for key, value in given.items() if key != "case_fallback"} | {"lookup": rule}
        return given

    def check(self, key: str) -> None:
        """Refuses a file of vectors that is not there, and a store of another size."""
        if self.vectors is not None:
            refuse_missing({f"{key}.vectors": [Path(self.vectors)]})
        if self.subwords and self.vectors is None:
            raise InputError(f"{key}.subwords needs {key}.vectors: a file with vectors of n-grams, such as fastText's")
        if self.subwords:
            refuse_without_parts(str(self.vectors))
        if self.store is None:
            return
        if self.vectors is not None or self.lowercase:
            other = "vectors" if self.vectors is not None else "lowercase"
            way = "make the store of them" if other == "vectors" else "set lookup: lower"
            raise InputError(f"{key}.{other} and {key}.store exclude each other: {way}")
        held = Manifest.load(Path(self.store))
        if held.keys != "words":
            raise InputError(f"{key}.store: its keys are {held.keys}, expected words", path=self.store)
        if held.dimensions != self.size:
            raise InputError(
                f"{key}.size = {self.size}, but this store has {held.dimensions} numbers each", path=self.store
            )

    def read_vectors(self, key: str = "words") -> WordVectors | None:
        """The vectors of the file, or None where there is no file.

        Raises:
            InputError: where their length is not ``size``, or the file is bad.
        """
        if self.vectors is None:
            return None
        vectors = read_word_vectors(self.vectors, None)
        if vectors.dimensions != self.size:
            raise InputError(
                f"{key}.size = {self.size}, but these vectors have {vectors.dimensions} numbers each", path=self.vectors
            )
        return vectors

    def fit(self, name: str, lexicon: Lexicon) -> WordIndexer | StoreIndexer:
        """The ids of the words of the training data and of the file of vectors, or the rows of a store."""
        if self.store is not None:
            return StoreIndexer(name, Path(self.store), self.lookup or "lower", self.trainable)
        found = WordIndexer.fit(
            name,
            lexicon,
            lowercase=self.lowercase,
            min_count=self.min_count,
            max_words=self.max_words,
            vectors=self.read_vectors(f"model.embeddings.{name}"),
            lookup=self.lookup,
        )
        self.add_parts(found, found.vectors)
        return found

    def add_parts(self, indexer: WordIndexer, vectors: WordVectors | None = None) -> None:
        """Gives an indexer what composes unknown words, where the config asks for it and it has none yet.

        Raises:
            InputError: for a file without vectors of n-grams.
        """
        if self.subwords and self.vectors is not None and indexer.parts is None:
            vectors = self.read_vectors() if vectors is None else vectors
            assert vectors is not None
            indexer.parts = parts_of_words(vectors.subwords, self.vectors)

    def init(self, key: Array, indexer: Any) -> Any:
        """A fresh table of vectors, or what reads those of a store."""
        if self.store is not None:
            if self.trainable:
                return StoredWords.init(self.size, name=indexer.name)
            return FixedStoredWords(features=self.size, name=indexer.name)
        return WordEmbedding.init(key, indexer.size, self.size, name=indexer.name, trainable=self.trainable)

    def from_data(self, module: Any, indexer: Any, lexicon: Lexicon) -> Any:
        """The module with the vectors of the file, and the chance that each training word is read as unknown."""
        if self.store is not None:
            return module
        new: dict[str, Any] = {
            "unknown_probability": jnp.asarray(indexer.unknown_probability(lexicon, self.unknown_rate))
        }
        if indexer.vectors is None and (again := self.read_vectors()) is not None:
            indexer.use(again, self.lookup)
        vectors, indexer.vectors = indexer.vectors, None  # read once, by ``fit``, and not kept
        if vectors is not None:
            table = np.array(flat(module)["table.weight"])
            rows, given = _given_rows(vectors, indexer)
            # Words without a vector of their own start with numbers of the same size as the given ones.
            like = vectors.matrix if len(vectors) else given
            table[1:] *= like.std() / max(float(table[1:].std()), 1e-8) if like.size else 1.0
            table[rows] = given
            new["table.weight"] = jnp.asarray(table)
        return unflat(module, new, partial=True)


def _given_rows(vectors: WordVectors, indexer: WordIndexer) -> tuple[np.ndarray, np.ndarray]:
    """The ids of the words with a given vector, and the vectors, those composed of parts among them."""
    words = [(row, word) for row, word in enumerate(indexer.vocabulary) if row not in (PADDING, UNKNOWN)]
    found = [(row, form) for row, word in words if (form := indexer.given_word(word)) is not None]
    rows = [row for row, _ in found]
    values = [vectors.matrix[[vectors.index[form] for _, form in found]]]
    made = [(row, word) for row, word in words if word in indexer.composed]
    if made and vectors.subwords is not None:
        rows += [row for row, _ in made]
        values.append(vectors.subwords.compose([word for _, word in made])[0])
    return np.array(rows, np.int64), np.concatenate(values)


class WordEmbedding(Module):
    """``x_t = E[id_t]``; while training, a word is read as unknown with the chance in ``unknown_probability``.

    Where a batch has ``NAME_parts``, the vectors of words that are read by their parts: ``x_t = E[id_t] + P_t``.
    """

    table: Embedding | FixedEmbedding
    unknown_probability: Array = buffer()
    name: str = static(default="words")

    @classmethod
    def init(
        cls, key: Array, words: int, features: int, *, name: str = "words", trainable: bool = True
    ) -> "WordEmbedding":
        """A fresh table of ``words`` rows, of which row 0 is padding and row 1 the unknown word."""
        table = Embedding.init(key, words, features, padding=0)
        return cls(
            table=table if trainable else FixedEmbedding(weight=table.weight, padding=0),
            unknown_probability=jnp.zeros(words),
            name=name,
        )

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.table.weight.shape[1]

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's words, [..., time, features]."""
        ids = batch[self.name]
        if rng is not None:
            hidden = rng["unknown"].uniform(ids.shape) < self.unknown_probability[ids]
            ids = jnp.where(hidden & (ids > 0), UNKNOWN, ids)
        vectors = self.table(ids)
        parts = batch.get(f"{self.name}_parts")
        return vectors if parts is None else vectors + parts.astype(vectors.dtype)
