# SPDX-License-Identifier: BSD-2-Clause
"""A pre-trained encoder as an embedding of tokens."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from pydantic import Field, model_validator

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.contextual import GIVEN
from spago_jax.embeddings.long_texts import read_in_windows
from spago_jax.embeddings.transformer_index import MOST_WINDOWS, TransformerIndexer
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import find_model, load_pretrained
from spago_jax.interop.huggingface.load import read_encoder_config
from spago_jax.models.encoder import (
    Encoder,
    EncoderModel,
    PretrainedConfig,
    config_from_huggingface,
    config_to_huggingface,
)
from spago_jax.models.modernbert.encoder import ModernBert
from spago_jax.ops.conv import max_over_time
from spago_jax.text.tokenizers.load import load_tokenizer

Pooling = Literal["first", "last", "first_last", "mean", "cls", "text_mean", "text_max"]
OF_TEXTS = ("cls", "text_mean", "text_max")
"""Poolings that give every word one vector of the whole text: its first state, or the mean or maximum of all."""


class Transformer(Section):
    """The states of a pre-trained encoder, those of a word's pieces pooled."""

    kind: Literal["transformer"]
    source: str = Field(
        alias="from",
        description="a folder, or a name in the cache, in Hugging Face's layout; 'init.from' where "
        "the weights hold it that training starts from",
    )
    layers: tuple[int, ...] = Field(
        default=(-1,), min_length=1, description="whose states are joined: -1 the last layer, 0 the embeddings"
    )
    merge: Literal["mean", "concat"] = Field(default="mean", description="how the states of several layers are joined")
    pooling: Pooling = Field(
        default="first",
        description="how a word gets its vector from those of its pieces; cls gives every word that of the whole text, "
        "text_mean and text_max the mean or the maximum of all states of the text",
    )
    fine_tune: bool = Field(default=True, description="train the encoder too")
    max_pieces: PositiveInt | None = Field(default=None, description="pieces read at most (default: all it can)")
    windows: bool = Field(
        default=False,
        description="read what is longer than max_pieces in windows that overlap by half, up to "
        f"{MOST_WINDOWS} times as much, and do not cut it",
    )
    context: int = Field(
        default=0, ge=0, description="words of the sentences before and after it that are read too, of the same text"
    )
    separator: str | None = Field(
        default=None, description="the token of the vocabulary that stands between a sentence and its context"
    )
    cache: bool = Field(
        default=False,
        description="compute the vectors of the data once, and keep them on disk, in the cache folder; of an encoder "
        "that stays as it is (fine_tune: false)",
    )

    @model_validator(mode="after")
    def _keeps_what_stays(self) -> "Transformer":
        if self.cache and self.fine_tune:
            raise ValueError("cache keeps the vectors of a frozen encoder: set fine_tune: false beside it")
        if self.cache and self.context:
            raise ValueError("cache keeps the vectors of sentences, which do not depend on their neighbors: context: 0")
        if self.cache and self.source == GIVEN:
            raise ValueError(f"cache needs the files of the encoder, not {GIVEN}")
        return self

    def check(self, key: str) -> None:
        """Refuses a model that is not there."""
        if self.source == GIVEN:
            return
        try:
            find_model(self.source)
        except InputError as error:
            raise InputError(f"{key}.from: {error}") from None

    def fit(self, name: str, lexicon: Lexicon) -> TransformerIndexer:
        """The tokenizer and the config of the encoder; nothing is learned from the forms."""
        if self.source == GIVEN:
            raise InputError(f"model.embeddings.{name}.from: {GIVEN} names no model that has such an embedding")
        folder = find_model(self.source)  # the weights are read once, by ``from_data``
        found, _ = read_encoder_config(folder, "states")
        config = config_to_huggingface(PretrainedConfig(found.encoder, extra=found.extra), "states")
        longest = min(found.encoder.longest, self.max_pieces or found.encoder.longest)
        return TransformerIndexer(
            name, load_tokenizer(folder), config, longest,
            context=self.context, separator=self.separator, truncate=self.pooling in OF_TEXTS, windows=self.windows,
        )  # fmt: skip

    def init(self, key: Array, indexer: TransformerIndexer) -> "TransformerEmbedding":
        """An encoder of the right shape; ``from_data`` puts its weights in."""
        config = config_from_huggingface(indexer.config).encoder
        for layer in self.layers:
            if not -config.layers - 1 <= layer <= config.layers:
                raise InputError(f"layers: there is no layer {layer} of {config.layers}")
        return TransformerEmbedding(
            encoder=EncoderModel.init(key, config).encoder,
            name=indexer.name,
            layers=tuple(layer % (config.layers + 1) for layer in self.layers),
            pooling=self.pooling,
            merge=self.merge,
            fine_tune=self.fine_tune,
            window=indexer.window,
        )

    def from_data(
        self, module: "TransformerEmbedding", indexer: TransformerIndexer, lexicon: Lexicon
    ) -> "TransformerEmbedding":
        """The module with the weights of the folder, or as it is where training starts from others."""
        if self.source == GIVEN:
            return module
        found = load_pretrained(self.source, head="states").model
        assert isinstance(found, EncoderModel)  # as ``fit`` has seen
        return module.replace(encoder=found.encoder)


class TransformerEmbedding(Module):
    """``x_t = pool(states of the pieces of token t)``, the states being the mean of some layers' (Devlin et al., 2019).

    ``merge="concat"`` puts the layers' states side by side, and ``pooling="cls"`` gives every token the first state,
    ``"text_mean"`` and ``"text_max"`` the mean and the maximum of all states. A text of more than ``window`` pieces is
    read in windows, see ``read_in_windows``.

    A batch has the ids of the pieces, how many there are, and where the pieces of each token are among them.
    """

    computing: ClassVar[tuple[str, ...]] = ("layers", "pooling", "merge", "window")  # beside the weights

    encoder: Encoder | ModernBert
    name: str = static(default="transformer")
    layers: tuple[int, ...] = static(default=(-1,))
    pooling: str = static(default="first")
    merge: str = static(default="mean")
    fine_tune: bool = static(default=True)
    window: int | None = static(default=None)

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        states = len(self.layers) if self.merge == "concat" else 1
        return self.encoder.config.hidden * states * (2 if self.pooling == "first_last" else 1)

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's tokens, [..., time, features].

        Those of ``NAME_vectors`` where the batch has them, computed before.
        """
        if f"{self.name}_vectors" in batch:
            return batch[f"{self.name}_vectors"]
        ids, lengths = batch[self.name], batch[f"{self.name}_lengths"]
        starts, counts = batch[f"{self.name}_starts"], batch[f"{self.name}_counts"]
        states = self._states_of_all(ids, lengths, child(rng, "encoder") if self.fine_tune else None)
        if not self.fine_tune:
            states = jax.lax.stop_gradient(states)
        if self.pooling in OF_TEXTS:
            text = _of_text(states, lengths, self.pooling)
            return jnp.broadcast_to(text[..., None, :], (*starts.shape, states.shape[-1]))
        found = {"first": starts, "last": starts + jnp.maximum(counts - 1, 0)}
        if self.pooling == "mean":
            vectors = _means(states, starts, counts)
        else:
            vectors = jnp.concatenate([_at(states, found[end]) for end in self.pooling.split("_")], axis=-1)
        return jnp.where((counts > 0)[..., None], vectors, jnp.zeros((), vectors.dtype))

    def _states_of_all(self, ids: Array, lengths: Array, rng: Rng | None) -> Array:
        if self.window is None:  # a batch may have more places, for what another embedding reads
            return self._states(ids[..., : self.encoder.config.longest], lengths, rng)
        return read_in_windows(lambda some, sizes: self._states(some, sizes, rng), ids, lengths, self.window)

    def _states(self, ids: Array, lengths: Array, rng: Rng | None) -> Array:
        if self.layers == (self.encoder.config.layers,):
            return self.encoder(ids, lengths=lengths, rng=rng)
        every = self.encoder.all_states(ids, lengths=lengths, rng=rng)
        if self.merge == "concat":
            return jnp.concatenate([every[layer] for layer in self.layers], axis=-1)
        return every[jnp.array(self.layers)].mean(0)


def _of_text(states: Array, lengths: Array, pooling: str) -> Array:
    """One vector per text, its special pieces among those that are pooled; zeros where there is no text."""
    if pooling == "text_max":
        return max_over_time(states, lengths)
    if pooling == "text_mean":
        return _means(states, jnp.zeros_like(lengths)[..., None], lengths[..., None])[..., 0, :]
    return jnp.where((lengths > 0)[..., None], states[..., 0, :], jnp.zeros((), states.dtype))


def _at(states: Array, places: Array) -> Array:
    return jnp.take_along_axis(states, places[..., None], axis=-2, mode="clip")


def _means(states: Array, starts: Array, counts: Array) -> Array:
    """The mean of the states from ``start`` on, as many as ``count``: a product with a matrix of shares."""
    places = jnp.arange(states.shape[-2])
    held = (places >= starts[..., None]) & (places < (starts + counts)[..., None])
    shares = held / jnp.maximum(counts, 1)[..., None]
    return jnp.einsum("...tl,...lh->...th", shares.astype(states.dtype), states)
