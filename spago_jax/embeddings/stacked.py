# SPDX-License-Identifier: BSD-2-Clause
"""Several embeddings of the same tokens, side by side."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from pydantic import Field

from spago_jax.core import Array, Module, Rng, child
from spago_jax.core.show import memory
from spago_jax.data.lexicon import Lexicon
from spago_jax.data.notes import Notes
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.byte_pairs import BytePairs
from spago_jax.embeddings.characters import Characters
from spago_jax.embeddings.contextual import ContextualStrings
from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.frozen import cached_vectors
from spago_jax.embeddings.hashes import Hashes
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.pooled import PooledEmbedding, PooledStrings
from spago_jax.embeddings.pooled_index import PooledIndexer
from spago_jax.embeddings.sentence_vectors import SentenceVectors
from spago_jax.embeddings.shapes import Shapes
from spago_jax.embeddings.transformer import Transformer
from spago_jax.embeddings.transformer_index import TransformerIndexer
from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.embeddings.words import Words

EmbeddingConfig = Annotated[
    Words | Characters | Shapes | Hashes | BytePairs | Transformer | ContextualStrings | PooledStrings,
    Field(discriminator="kind"),
]


def names_of(configs: Sequence[Any]) -> list[str]:
    """The name of each embedding's arrays in a batch: its kind, numbered where a kind comes again.

    >>> names_of([Words(kind="words"), Shapes(kind="shapes"), Words(kind="words")])
    ['words', 'shapes', 'words2']
    """
    names: list[str] = []
    for config in configs:
        kind = config.kind.replace("-", "_")
        count = sum(1 for name in names if name.rstrip("0123456789") == kind)
        names.append(f"{kind}{count + 1}" if count else kind)
    return names


def check_embeddings(configs: Sequence[Any]) -> None:
    """Refuses, before any work, files of a list of embeddings that are not there.

    Raises:
        InputError: for the first missing file, with its key.
    """
    for number, config in enumerate(configs):
        config.check(f"model.embeddings.{number}")


def fit(configs: Sequence[Any], lexicon: Lexicon) -> tuple[TokenIndexer, ...]:
    """The host halves of a list of embeddings, from the forms of the training data."""
    return tuple(config.fit(name, lexicon) for config, name in zip(configs, names_of(configs), strict=True))


def extend(configs: Sequence[Any], indexers: Sequence[TokenIndexer], lexicon: Lexicon) -> tuple[TokenIndexer, ...]:
    """The host halves of trained embeddings, with the forms of more training data added at the end."""
    if [config.kind for config in configs] != [indexer.kind for indexer in indexers]:
        return tuple(indexers)  # of another model: that its arrays do not fit is said there
    found = []
    for config, indexer in zip(configs, indexers, strict=True):
        longer = indexer.extended(lexicon, min_count=getattr(config, "min_count", 1))
        if isinstance(config, Words) and isinstance(longer, WordIndexer):
            config.add_parts(longer)
        found.append(longer)
    return tuple(found)


GROWING = ("embeddings.parts.*.weight", "embeddings.parts.*.unknown_probability")
"""The arrays that have one row per form: those of trained forms come first."""


def remember(configs: Sequence[Any], indexers: Sequence[TokenIndexer], forms: RaggedArray, lexicon: Lexicon) -> None:
    """Lets embeddings that have a memory of words read the training data once, sentence after sentence.

    Args:
        configs: of the embeddings.
        indexers: their host halves, whose memories are filled.
        forms: the forms of each sentence.
        lexicon: what the forms are.
    """
    for config, indexer in zip(configs, indexers, strict=False):  # of another model they may be fewer; it is said later
        if isinstance(config, PooledStrings) and isinstance(indexer, PooledIndexer):
            config.remember(indexer, forms, lexicon)


def cached(
    configs: Sequence[Any], indexers: Sequence[TokenIndexer], forms: RaggedArray, lexicon: Lexicon, notes: Notes
) -> dict[str, SentenceVectors]:
    """Returns the vectors of a corpus of the embeddings that keep theirs on disk, by the names of their arrays.

    Args:
        configs: of the embeddings.
        indexers: their host halves.
        forms: the forms of each sentence.
        lexicon: what the forms are.
        notes: what is said about the corpus.
    """
    found: dict[str, SentenceVectors] = {}
    for config, indexer in zip(configs, indexers, strict=False):
        of_kind = config.kind == indexer.kind
        if of_kind and isinstance(indexer, ContextualIndexer | TransformerIndexer) and config.cache:
            module = config.from_data(config.init(jax.random.key(0), indexer), indexer, lexicon)
            inner = module.inner if isinstance(module, PooledEmbedding) else module
            vectors, folder, there = cached_vectors(inner, indexer, forms, lexicon)
            said = "read from" if there else "computed once, into"
            notes.say(
                f"{len(vectors.values):,} vectors of {indexer.name}, {memory(vectors.values.nbytes)}, {said} {folder}"
            )
            found[indexer.name] = vectors
    return found


def frozen_paths(configs: Any) -> list[str]:
    """Patterns of the arrays of pre-trained models that are not trained, in a list of embeddings' configs."""
    kept = [number for number, config in enumerate(configs) if not getattr(config, "fine_tune", True)]
    return [f"embeddings.parts.{number}.*" for number in kept]


class StackedEmbeddings(Module):
    """``x_t = [e_1(t); e_2(t); ...]``, in the order of the config."""

    parts: tuple[Any, ...]

    @classmethod
    def init(cls, key: Array, configs: Sequence[Any], indexers: Sequence[TokenIndexer]) -> "StackedEmbeddings":
        """Fresh embeddings for the vocabularies of their host halves."""
        keys = jax.random.split(key, len(configs))
        return cls(tuple(c.init(k, indexer) for c, k, indexer in zip(configs, keys, indexers, strict=True)))

    @property
    def out_features(self) -> int:
        """The size of a token's vector."""
        return sum(part.out_features for part in self.parts)

    def from_data(
        self, configs: Sequence[Any], indexers: Sequence[TokenIndexer], lexicon: Lexicon
    ) -> "StackedEmbeddings":
        """With what is known before training: given word vectors, and how often each word occurs."""
        parts = zip(self.parts, configs, indexers, strict=True)
        return self.replace(parts=tuple(config.from_data(part, indexer, lexicon) for part, config, indexer in parts))

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The tokens of a batch, [..., time, features]."""
        found = [part(batch, rng=child(rng, number)) for number, part in enumerate(self.parts)]
        return jnp.concatenate(found, axis=-1)
