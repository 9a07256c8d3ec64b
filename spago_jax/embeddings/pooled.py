# SPDX-License-Identifier: BSD-2-Clause
"""The states of character language models, and what was seen of each word before, as embeddings of tokens."""

from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from spago_jax.core import Array, Module, Rng, static
from spago_jax.core.section import PositiveInt
from spago_jax.data.lexicon import Lexicon, LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.contextual import ContextualEmbedding, ContextualStrings
from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.frozen import word_vectors
from spago_jax.embeddings.memory import Pool, WordMemory
from spago_jax.embeddings.pooled_index import PooledIndexer


class PooledStrings(ContextualStrings):
    """The states of character language models after each word, and all those of the same word pooled (Akbik, 2019).

    The memory is filled once, from the training data, and predictions leave it as it is.
    """

    kind: Literal["pooled-strings"]  # pyright: ignore[reportIncompatibleVariableOverride]
    pooling: Pool = Field(default="min", description="how all the vectors of a word are joined")
    context: bool = Field(default=True, description="[the word's own vector; the pooled one], not the pooled one alone")
    only_capitalized: bool = Field(default=False, description="other words pool to their own vector")
    max_words: PositiveInt = Field(default=1_000_000, description="words that the memory keeps at most")

    @model_validator(mode="after")
    def _frozen(self) -> "PooledStrings":
        if self.fine_tune:
            raise ValueError("fine_tune: what is in the memory would be that of another language model")
        return self

    def fit(self, name: str, lexicon: Lexicon) -> PooledIndexer:
        """The alphabets and the sizes of the language models, and an empty memory."""
        plain = super().fit(name, lexicon)
        size = self._context(jax.random.key(0), plain).out_features
        memory = WordMemory(size, self.pooling, self.max_words)
        return PooledIndexer(
            name, plain.models, memory, only_capitalized=self.only_capitalized,
            start=self.start, end=self.end, after=self.after, lowercase=self.lowercase,
        )  # fmt: skip

    def remember(self, indexer: PooledIndexer, forms: RaggedArray, lexicon: Lexicon) -> None:
        """Fills the memory with the vectors of every word of the training data; one that is not empty stays."""
        if len(indexer.memory):
            return
        module = self.from_data(self.init(jax.random.key(0), indexer), indexer, lexicon)
        evolving, at = Evolving(module.inner, indexer), 0
        for vectors in word_vectors(module.inner, indexer, forms, lexicon):
            for row, found in enumerate(vectors, at):
                evolving.enter([lexicon[form] for form in forms[row].tolist()], found)
            at += len(vectors)

    def _context(self, key: Array, indexer: ContextualIndexer) -> ContextualEmbedding:
        return super().init(key, indexer)

    def init(self, key: Array, indexer: PooledIndexer) -> "PooledEmbedding":  # pyright: ignore
        """Models of the right shapes; ``from_data`` puts their weights in."""
        return PooledEmbedding(inner=self._context(key, indexer), name=indexer.name, context=self.context)

    def from_data(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, module: "PooledEmbedding", indexer: PooledIndexer, lexicon: Lexicon
    ) -> "PooledEmbedding":
        """The module with the weights of the language models."""
        return module.replace(inner=super().from_data(module.inner, indexer, lexicon))


class PooledEmbedding(Module):
    """``x_t = [c_t; pool of all c of the same word]``, the ``c`` being contextual string embeddings.

    A word that is not in memory pools to its own vector. Source: Akbik et al. (2019); Flair's
    ``PooledFlairEmbeddings``; spaGO's ``evolvingembeddings``, which are ``context: false`` with ``min`` or ``max``.
    """

    inner: ContextualEmbedding
    name: str = static(default="pooled_strings")
    context: bool = static(default=True)

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.inner.out_features * (2 if self.context else 1)

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's tokens, [..., time, features]."""
        own = self.inner(batch)
        given = batch[f"{self.name}_pooled"].astype(own.dtype)
        pooled = jnp.where((batch[f"{self.name}_known"] > 0)[..., None], given, own)
        return jnp.concatenate([own, pooled], axis=-1) if self.context else pooled


class Evolving:
    """Contextual string embeddings whose memory grows with what they read, sentence after sentence.

    Args:
        module: the contextual part of a ``PooledEmbedding``, its ``inner``.
        indexer: its host half, whose memory is changed.
    """

    def __init__(self, module: ContextualEmbedding, indexer: PooledIndexer):
        self.module, self.indexer = module, indexer

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Enters some sentences into the memory, and gives ``[own vector; pooled vector]`` of their words.

        Args:
            sentences: the tokens of each.

        Returns:
            For each sentence float32 [tokens, 2 * features]: pooled with all sentences of this call and before.
        """
        builder = LexiconBuilder()
        ids = [builder.encode(sentence) for sentence in sentences]
        if not ids:
            return []
        forms = RaggedArray.from_lengths(np.concatenate(ids), [len(row) for row in ids])
        own = [each for part in word_vectors(self.module, self.indexer, forms, builder.build()) for each in part]
        for sentence, vectors in zip(sentences, own, strict=True):
            self.enter(sentence, vectors)
        memory, found = self.indexer.memory, []
        for sentence, vectors in zip(sentences, own, strict=True):
            rows = memory.rows_of([word if self.indexer.kept(word) else "" for word in sentence])
            pooled = np.where((rows >= 0)[:, None], memory.vectors(rows), vectors)
            found.append(np.concatenate([vectors, pooled], axis=-1))
        return found

    def enter(self, words: Sequence[str], vectors: np.ndarray) -> None:
        """Adds the vectors of the words of a sentence to those of the same words before."""
        kept = [place for place, word in enumerate(words) if self.indexer.kept(word)]
        if kept:
            self.indexer.memory.enter([words[place] for place in kept], vectors[kept])
