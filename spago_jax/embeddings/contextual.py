# SPDX-License-Identifier: BSD-2-Clause
"""The states of character language models as embeddings of tokens."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from pydantic import Field, model_validator

from spago_jax.core import Array, Module, Rng, static
from spago_jax.core.section import Section
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.contextual_index import DIRECTIONS, ContextualIndexer
from spago_jax.embeddings.language_model import (
    CharacterReader,
    LanguageModel,
    find_language_model,
    read_language_model,
)
from spago_jax.errors import InputError
from spago_jax.ops.merge import merge, merged_features

GIVEN = "init.from"
"""Stands for a language model that the weights hold which training starts from."""


class ContextualStrings(Section):
    """The states of character language models after each word (Akbik et al., 2018)."""

    kind: Literal["contextual-strings"]
    forward: str | None = Field(
        default=None,
        description="a run of text-generation, or a language model of Flair's, that reads forwards; 'init.from' where "
        "the weights hold it that training starts from",
    )
    backward: str | None = Field(default=None, description="the same of a model that reads texts backwards")
    merge: Literal["concat", "sum", "prod", "avg"] = Field(
        default="concat", description="how both are joined; concat is [backward; forward]"
    )
    lowercase: bool = Field(default=False, description="read sentences in lower case")
    start: str = Field(default="\n", description="what stands before a sentence")
    end: str = Field(default=" ", min_length=1, description="what stands after a sentence")
    after: bool = Field(
        default=True, description="take the state after the character that follows a word, not after its last one"
    )
    fine_tune: bool = Field(default=False, description="train the language models too")
    cache: bool = Field(
        default=False, description="compute the vectors of the data once, and keep them on disk, in the cache folder"
    )

    @model_validator(mode="after")
    def _a_model(self) -> "ContextualStrings":
        if self.cache and self.fine_tune:
            raise ValueError("cache keeps the vectors of a frozen model; with fine_tune they change at every step")
        if self.cache and GIVEN in (self.forward, self.backward):
            raise ValueError(f"cache needs the files of the language models, not {GIVEN}")
        if self.forward is None and self.backward is None:
            raise ValueError("neither 'forward' nor 'backward' names a language model")
        return self

    @property
    def sources(self) -> dict[str, str]:
        """What is read in which direction."""
        return {side: source for side in DIRECTIONS if (source := getattr(self, side)) is not None}

    def check(self, key: str) -> None:
        """Refuses a language model that is not there."""
        for side, source in self.sources.items():
            if source == GIVEN:
                continue
            try:
                find_language_model(source)
            except InputError as error:
                raise InputError(f"{key}.{side}: {error}") from None

    def fit(self, name: str, lexicon: Lexicon) -> ContextualIndexer:
        """The alphabets and the sizes of the language models; nothing is learned from the forms."""
        models = {}
        for side in self.sources:
            found = self._read(side, f"model.embeddings.{name}")
            models[side] = {"alphabet": found.alphabet, "unknown": found.unknown, "shape": found.shape}
        return ContextualIndexer(
            name, models, start=self.start, end=self.end, after=self.after, lowercase=self.lowercase
        )

    def _read(self, side: str, key: str) -> LanguageModel:
        source = self.sources[side]
        if source == GIVEN:
            raise InputError(f"{key}.{side}: {GIVEN} names no model whose tagger has such an embedding")
        found = read_language_model(source)
        if found.forward is not None and found.forward != (side == "forward"):
            other = "forwards" if found.forward else "backwards"
            raise InputError(f"{key}.{side}: this language model reads texts {other}", path=source)
        return found

    def init(self, key: Array, indexer: ContextualIndexer) -> "ContextualEmbedding":
        """Models of the right shapes; ``from_data`` puts their weights in."""
        if set(indexer.models) != set(self.sources):
            raise InputError(
                f"a contextual embedding of {' and '.join(self.sources)}, and the vocabularies are for "
                f"{' and '.join(indexer.models)}"
            )
        first, second = jax.random.split(key)
        keys = {"forward": first, "backward": second}
        readers = {side: CharacterReader.init(keys[side], model["shape"]) for side, model in indexer.models.items()}
        sizes = {reader.out_features for reader in readers.values()}
        if self.merge != "concat" and len(sizes) > 1:
            raise InputError(f"merge: {self.merge} joins states of one size, and these have {sorted(sizes)}")
        return ContextualEmbedding(
            forward=readers.get("forward"),
            backward=readers.get("backward"),
            name=indexer.name,
            merge=self.merge,
            fine_tune=self.fine_tune,
        )

    def from_data(
        self, module: "ContextualEmbedding", indexer: ContextualIndexer, lexicon: Lexicon
    ) -> "ContextualEmbedding":
        """The module with the weights of the language models."""
        new = {}
        for side, source in self.sources.items():
            if source != GIVEN:
                weights = self._read(side, f"model.embeddings.{indexer.name}").weights
                new[side] = getattr(module, side).with_weights(weights)
        return module.replace(**new)


class ContextualEmbedding(Module):
    """``x_t = merge(backward state before token t, forward state after token t)`` (Akbik et al., 2018).

    Source: spaGO ``nlp/contextualstringembeddings``, which concatenates in this order; Flair's ``FlairEmbeddings`` is
    one of a single direction.
    """

    forward: CharacterReader | None
    backward: CharacterReader | None
    computing: ClassVar[tuple[str, ...]] = ("merge",)  # beside the weights, what its vectors depend on

    name: str = static(default="contextual_strings")
    merge: str = static(default="concat")
    fine_tune: bool = static(default=False)

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        sizes = [reader.out_features for reader in (self.backward, self.forward) if reader is not None]
        return sizes[0] if len(sizes) == 1 else merged_features(sizes[0], sizes[1], self.merge)

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's tokens, [..., time, features]; zeros beyond the end of a sentence.

        Those of ``NAME_vectors`` where the batch has them, computed before.
        """
        if f"{self.name}_vectors" in batch:
            return batch[f"{self.name}_vectors"]
        found = [
            _states(reader, batch[f"{self.name}_{side}"], batch[f"{self.name}_{side}_at"])
            for side, reader in (("backward", self.backward), ("forward", self.forward))
            if reader is not None
        ]
        vectors = found[0] if len(found) == 1 else merge(found[0], found[1], self.merge)
        return vectors if self.fine_tune else jax.lax.stop_gradient(vectors)


def _states(reader: CharacterReader, ids: Array, at: Array) -> Array:
    """The states of the whole batch in one pass, and of these the ones of the words."""
    states = reader(ids.reshape(*ids.shape[:-2], -1))
    found = jnp.take_along_axis(states, at[..., None], axis=-2, mode="clip")
    return jnp.where((at >= 0)[..., None], found, jnp.zeros((), found.dtype))
