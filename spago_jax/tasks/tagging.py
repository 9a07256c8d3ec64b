# SPDX-License-Identifier: BSD-2-Clause
"""Tags sentences with a trained sequence labeler, batch after batch, in the order they come."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import Program, compile
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.models.sequence_labeler.model import SequenceLabeler
from spago_jax.models.sequence_labeler.recipe import SequenceLabelerRecipe
from spago_jax.tasks.run import TrainedRun
from spago_jax.text.tags import Span, convert, spans

_LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclasses.dataclass(frozen=True)
class Tagged:
    """A sentence with its tags, in the scheme of the training files, and its spans where tags are spans."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    spans: tuple[Span, ...]


class Tagger:
    """A trained sequence labeler, ready to use.

    Args:
        trained: from ``open_run``.
        batch_size: sentences a call of the device.
    """

    def __init__(self, trained: TrainedRun, batch_size: int = 32):
        assert isinstance(trained.recipe, SequenceLabelerRecipe)
        self._recipe = trained.recipe
        self._model = trained.model
        self._batch_size = batch_size
        self._program: Program = compile(_decode, name="tag")

    def tag(self, sentences: Iterable[Sequence[str]], *, batch_size: int | None = None) -> Iterator[Tagged]:
        """The tagged sentences, as they come; holds one batch at a time."""
        iterator = iter(sentences)
        while batch := list(itertools.islice(iterator, batch_size or self._batch_size)):
            yield from self._tag_batch(batch)

    def _tag_batch(self, sentences: list[Sequence[str]]) -> list[Tagged]:
        builder = LexiconBuilder()
        lengths = np.array([len(tokens) for tokens in sentences], np.int64)
        values = builder.encode([token for tokens in sentences for token in tokens])
        rows = np.full(-(-len(sentences) // 8) * 8 if len(sentences) > 1 else 1, -1)  # few batch sizes to compile
        rows[: len(sentences)] = np.arange(len(sentences))
        longest = max(int(lengths.max()), 1)
        width = next((size for size in _LENGTHS if size >= longest), -(-longest // 1024) * 1024)
        forms, sizes = RaggedArray.from_lengths(values, lengths).gather(rows, width, pad=-1)
        batch = self._recipe.features.tables(builder.build()).batch(forms, sizes)
        found = np.asarray(jax.device_get(self._program(self._model, batch)))
        names, scheme, written = self._recipe.tags.names, self._recipe.tags.scheme, self._recipe.tags.written
        tagged = []
        for tokens, row in zip(sentences, found, strict=False):
            tags = [names[i] for i in row[: len(tokens)]]
            entities: tuple[Span, ...] = ()
            if scheme != "plain":
                entities = tuple(spans(tags, scheme))
                tags = convert(tags, written, scheme=scheme)
            tagged.append(Tagged(tuple(tokens), tuple(tags), entities))
        return tagged


def _decode(model: SequenceLabeler, batch: dict[str, Any]) -> jax.Array:
    return model.decode(model(batch), batch["lengths"])
