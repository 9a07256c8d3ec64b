# SPDX-License-Identifier: BSD-2-Clause
"""The processor of text classification: texts to arrays, logits to labels."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.encoded_examples import EncodedExamples
from spago_jax.data.examples import Labeled
from spago_jax.data.processor import Answer, Processor, load_settings, restoring, save_settings
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import (
    TokenIndexer,
    indexer_settings,
    load_indexers,
    longest_of,
    merged_arrays,
    merged_specs,
    merged_tables,
    most_positions,
    with_vectors,
)
from spago_jax.errors import InputError
from spago_jax.tasks.classification import Given, Value, labeled, ranked
from spago_jax.tasks.text_classification.rows import TextRows, targets_of
from spago_jax.text.ngrams import hashed_ngrams
from spago_jax.text.tokenizers.tokenizer import Tokenizer, tokenizer_from

PAIR = "pair_"  # before the names of the second texts' arrays


class TextProcessor(Processor[Labeled, Answer]):
    """Texts, or pairs of texts, to the arrays of their embeddings and n-grams, and logits to labels.

    Args:
        tokenizer: cuts a text into tokens.
        indexers: the host halves of the embeddings.
        classes: the labels, by id; none for a regression.
        max_length: texts are cut at so many tokens.
        ngrams: ``{"rows", "order", "characters"}`` of the hashed n-grams, or None.
        problem: ``single-label``, ``multi-label`` or ``regression``.
        paired: whether an example has two texts.
        counts: how many training texts have each class.
        scale: mean and standard deviation of the training labels of a regression.
        thresholds: the least probability of each of several labels, where it is not 0.5; of labels that it lacks under
            an empty name.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        tokenizer: Tokenizer,
        indexers: Sequence[TokenIndexer],
        classes: Sequence[str],
        max_length: int,
        ngrams: Mapping[str, Any] | None = None,
        *,
        problem: str = "single-label",
        paired: bool = False,
        counts: Sequence[int] = (),
        scale: tuple[float, float] = (0.0, 1.0),
        thresholds: Mapping[str, float] = MappingProxyType({}),
    ):
        self.tokenizer, self.indexers, self.classes = tokenizer, tuple(indexers), tuple(classes)
        self.max_length, self.ngrams = max_length, None if ngrams is None else dict(ngrams)
        self.problem, self.paired, self.counts, self.scale = problem, paired, tuple(counts), scale
        self.thresholds = dict(thresholds)

    @property
    def units(self) -> int:
        """The number of logits."""
        return 1 if self.problem == "regression" else len(self.classes)

    def example(self, value: str | tuple[str, str] | Labeled) -> Labeled:
        """A text; two texts where pairs are classified."""
        if isinstance(value, Labeled):
            found = value
        elif isinstance(value, str):
            found = Labeled(value)
        elif isinstance(value, Sequence) and len(value) == 2 and all(isinstance(text, str) for text in value):
            found = Labeled(value[0], pair=value[1])
        else:
            raise InputError(f"a {type(value).__name__}, expected a text{' and a second text' if self.paired else ''}")
        if (found.pair is not None) != self.paired:
            wanted = "a pair of texts, (first, second)" if self.paired else "a text"
            raise InputError(f"{'a pair of texts' if found.pair is not None else 'one text'}, expected {wanted}")
        return found

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text."""
        return self.tokenizer.tokens(text)

    def encode(self, examples: Iterable[Labeled]) -> TextRows:
        """Some texts."""
        return self.rows(EncodedExamples.of(list(examples), self.tokens))

    def rows(self, corpus: EncodedExamples) -> TextRows:
        """Encoded texts with the tables of their forms, their n-grams and what is to be found of them.

        Raises:
            InputError: for labels that do not suit the problem.
        """
        tables = merged_tables(self.indexers, corpus.lexicon)
        targets = targets_of(corpus, self.classes, self.problem)
        ngrams = self._ngrams(corpus, corpus.forms)
        pair_ngrams = None if corpus.pairs is None else self._ngrams(corpus, corpus.pairs)
        rows = TextRows(corpus, tables, targets, ngrams, pair_ngrams, self.max_length)
        for forms in (corpus.forms, corpus.pairs):  # an embedding may read more pieces than there are tokens
            if forms is not None:
                positions = most_positions(self.indexers, tables, forms.cut(self.max_length))
                rows.lengths = np.maximum(rows.lengths, positions)
        for found in (ngrams, pair_ngrams):  # a text whose n-grams are many goes to batches that have room for them all
            if found is not None:
                rows.lengths = np.maximum(rows.lengths, -(-found.lengths // self._room(1)))
        return rows

    def batch(
        self, rows: TextRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """The arrays of the embeddings, ``lengths`` and n-grams, those of second texts as ``pair_...``.

        As targets ``labels``, and ``weight`` 0 for an empty row.
        """
        arrays = self._arrays(rows, rows.corpus.forms, rows.ngrams, indices, length)
        arrays = with_vectors(arrays, rows.vectors, indices, length)
        if self.paired:
            pairs = rows.corpus.pairs if rows.corpus.pairs is not None else rows.corpus.forms  # none: no rows at all
            second = self._arrays(rows, pairs, rows.pair_ngrams or rows.ngrams, indices, length)
            second = with_vectors(second, rows.pair_vectors, indices, length)
            arrays |= {f"{PAIR}{name}": array for name, array in second.items()}
        return arrays | self.target_arrays(rows, indices) if targets else arrays

    @staticmethod
    def target_arrays(rows: TextRows, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The ``labels`` of some rows and their ``weight``, 0 for an empty one; nothing without labels."""
        if rows.targets is None:
            return {}
        held = indices >= 0
        labels = np.zeros(indices.shape + rows.targets.shape[1:], rows.targets.dtype)
        labels[held] = rows.targets[indices[held]]
        return {"labels": labels, "weight": held.astype(np.float32)}

    def _arrays(
        self, rows: TextRows, forms: RaggedArray, ngrams: RaggedArray | None, indices: np.ndarray, length: int
    ) -> dict[str, np.ndarray]:
        ids, lengths = forms.gather(indices, length, pad=-1, truncate=True)
        ids[..., self.max_length :] = -1  # a batch may be longer than texts are read
        lengths = np.minimum(lengths, self.max_length)
        arrays = merged_arrays(self.indexers, rows.tables, ids, length)
        arrays["lengths"] = lengths
        if ngrams is not None:
            arrays["ngrams"], arrays["ngram_lengths"] = ngrams.gather(indices, self._room(length))
        return arrays

    def specs(self) -> dict[str, str]:
        """The arrays of the embeddings, ``lengths``, and those of the n-grams; for pairs, those of both texts."""
        specs = merged_specs(self.indexers)
        if self.ngrams is not None:
            specs |= {"ngrams": "i32[batch, ngrams]", "ngram_lengths": "i32[batch]"}
        return specs | ({f"{PAIR}{name}": spec for name, spec in specs.items()} if self.paired else {})

    @property
    def longest(self) -> int:
        """Up to four times ``max_length``, for texts of long words: 22 letters on average."""
        tokens = self.max_length * (4 if self.ngrams is not None and self.ngrams["characters"] else 1)
        return longest_of(self.indexers, tokens)

    def sizes(self) -> dict[str, int]:
        """A text of 32 tokens."""
        return {"time": 32, "ngrams": self._room(32)}

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: TextRows,
        owned: Sequence[int],
        example: Labeled,
        **options: Any,
    ) -> Answer:
        """The classes by their probability, the labels that reach a threshold, or a number.

        ``options`` are those of ``ranked`` and ``labeled``.
        """
        given = Given(example.text, example.pair, example.line, int(rows.cut[owned[0]]))
        logits = outputs[0]["logits"]
        if self.problem == "regression":
            mean, deviation = self.scale
            return Value(float(logits[0]) * deviation + mean, given)
        if self.problem == "multi-label" and self.thresholds and "threshold" not in options:
            other = self.thresholds.get("", 0.5)
            options["threshold"] = {name: self.thresholds.get(name, other) for name in self.classes}
        answer = ranked if self.problem == "single-label" else labeled
        return answer(logits, self.classes, given=given, **options)

    def settings(self) -> dict[str, Any]:
        """The tokenizer, the embeddings by kind and name, the classes, the n-grams, the problem."""
        return {
            "task": "text-classification",
            "tokenizer": self.tokenizer.saved(),
            "embeddings": indexer_settings(self.indexers),
            "classes": list(self.classes),
            "max_length": self.max_length,
            "ngrams": self.ngrams,
            "problem": self.problem,
            "paired": self.paired,
            "counts": list(self.counts),
            "scale": list(self.scale),
            **({"thresholds": self.thresholds} if self.thresholds else {}),
        }

    def save(self, folder: Path) -> None:
        """Writes ``processor.json`` and the vocabularies of the embeddings."""
        save_settings(self, folder)
        for indexer in self.indexers:
            indexer.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder)
        with restoring(folder, "a classifier"):
            indexers = load_indexers(settings["embeddings"], folder)
            tokenizer = tokenizer_from(settings["tokenizer"])
            return cls(
                tokenizer, indexers, settings["classes"], int(settings["max_length"]), settings["ngrams"],
                problem=settings["problem"], paired=settings["paired"], counts=settings["counts"],
                scale=(float(settings["scale"][0]), float(settings["scale"][1])),
                thresholds={str(k): float(v) for k, v in settings.get("thresholds", {}).items()},
            )  # fmt: skip

    def components(self) -> list[Any]:
        """The processor, its tokenizer and the host halves of its embeddings."""
        return [self, self.tokenizer, *self.indexers]

    def _ngrams(self, corpus: EncodedExamples, forms: RaggedArray) -> RaggedArray | None:
        if self.ngrams is None:
            return None
        found = [self._ngrams_of([corpus.lexicon[form] for form in forms[i].tolist()]) for i in range(len(forms))]
        values = np.array([n for row in found for n in row], np.int32)
        return RaggedArray.from_lengths(values, np.array([len(row) for row in found], np.int64))

    def _ngrams_of(self, tokens: Sequence[str]) -> list[int]:
        """The hashed n-grams of one text."""
        assert self.ngrams is not None
        tokens = tokens[: self.max_length]
        found = hashed_ngrams(tokens, self.ngrams["rows"], order=self.ngrams["order"],
                              characters=self.ngrams["characters"])  # fmt: skip
        # Cut here and not in the batch, so that a text's n-grams do not depend on its neighbors.
        return found[: self._room(self.longest)]

    def _room(self, length: int) -> int:
        """Room for the n-grams of a row of a padded length: as many as its tokens have if they have six letters or so.

        It fixes the shape of a batch. A text of longer words is a longer row, so that all its n-grams are in.
        """
        if self.ngrams is None:
            return 0
        return length * (self.ngrams["order"] + (15 if self.ngrams["characters"] else 0))
