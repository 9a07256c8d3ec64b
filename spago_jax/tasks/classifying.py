# SPDX-License-Identifier: BSD-2-Clause
"""Classifies texts and images with a trained classifier."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import compile
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.errors import InputError
from spago_jax.models.classifier.mlp_recipe import MLPClassifierRecipe
from spago_jax.models.classifier.text_recipe import TextClassifierRecipe
from spago_jax.tasks.run import TrainedRun
from spago_jax.text.words import words


@dataclasses.dataclass(frozen=True)
class Classified:
    """The most probable classes and their probabilities, best first."""

    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]


class TextLabeler:
    """A trained text classifier, ready to use."""

    def __init__(self, trained: TrainedRun, batch_size: int = 32, top: int = 5):
        assert isinstance(trained.recipe, TextClassifierRecipe)
        self._recipe, self._model = trained.recipe, trained.model
        self._batch_size, self._top = batch_size, top
        self._program = compile(_probabilities, name="classify")

    def classify(self, texts: Iterable[str], *, batch_size: int | None = None) -> Iterator[Classified]:
        """The classes of texts, as they come; holds one batch at a time."""
        iterator = iter(texts)
        while batch := list(itertools.islice(iterator, batch_size or self._batch_size)):
            yield from self._classify_batch(batch)

    def _classify_batch(self, texts: list[str]) -> list[Classified]:
        recipe = self._recipe
        limit = recipe.experiment.train.max_length
        tokens = [words(text, lower=recipe.experiment.data.lowercase)[:limit] for text in texts]
        builder = LexiconBuilder()
        values = builder.encode([token for row in tokens for token in row])
        lengths = np.array([len(row) for row in tokens])
        rows = np.full(-(-len(texts) // 8) * 8 if len(texts) > 1 else 1, -1)
        rows[: len(texts)] = np.arange(len(texts))
        width = -(-max(int(lengths.max()), 1) // 16) * 16
        forms, sizes = RaggedArray.from_lengths(values, lengths).gather(rows, width, pad=-1)
        batch = recipe.features.tables(builder.build()).batch(forms, sizes)
        if recipe.config.ngrams:
            grams = [recipe.ngrams_of(row) for row in tokens]
            flat = RaggedArray.from_lengths(
                np.array([n for row in grams for n in row], np.int32), np.array([len(row) for row in grams])
            )
            # Room for all of them: what is cut off must not depend on the texts beside this one.
            room = -(-max(int(flat.lengths.max()), 1) // 256) * 256
            batch["ngrams"], batch["ngram_lengths"] = flat.gather(rows, room)
        found = np.asarray(jax.device_get(self._program(self._model, batch)))
        return [_ranked(row, recipe.classes, self._top) for row in found[: len(texts)]]


class ImageLabeler:
    """A trained image classifier, ready to use."""

    def __init__(self, trained: TrainedRun, top: int = 5):
        assert isinstance(trained.recipe, MLPClassifierRecipe)
        self._recipe, self._model, self._top = trained.recipe, trained.model, top
        self._program = compile(lambda model, images: jax.nn.softmax(model(images)), name="classify")

    def classify(self, images: np.ndarray) -> list[Classified]:
        """The classes of images [n, height, width].

        Raises:
            InputError: for images of another size than the training images.
        """
        if images.ndim != 3 or images.shape[1:] != tuple(self._recipe.shape):
            height, width = self._recipe.shape
            raise InputError(f"images have shape {list(images.shape)}, the model expects [n, {height}, {width}]")
        names = [str(c) for c in range(self._recipe.classes)]
        out = []
        for at in range(0, len(images), 256):
            piece = images[at : at + 256]
            padded = np.pad(piece, [(0, 256 - len(piece)), (0, 0), (0, 0)]) if len(images) > 256 else piece
            found = np.asarray(jax.device_get(self._program(self._model, padded)))[: len(piece)]
            out += [_ranked(row, names, self._top) for row in found]
        return out


def _probabilities(model: Any, batch: Any) -> jax.Array:
    return jax.nn.softmax(model(batch))


def _ranked(row: np.ndarray, names: Any, top: int) -> Classified:
    best = np.argsort(-row, kind="stable")[:top]
    ranking = tuple((names[i], float(row[i])) for i in best)
    return Classified(ranking[0][0], ranking[0][1], ranking)
