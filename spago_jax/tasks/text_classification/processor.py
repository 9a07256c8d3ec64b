# SPDX-License-Identifier: BSD-2-Clause
"""The processor of text classification: texts to arrays, logits to labels."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.encoded import EncodedExamples, name_table
from spago_jax.data.examples import Labeled
from spago_jax.data.processor import Processor, Rows, load_settings, save_settings
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import TokenIndexer, indexer_settings, load_indexers, merged_specs, merged_tables
from spago_jax.errors import InputError
from spago_jax.tasks.classification import Classification, ranked
from spago_jax.text.ngrams import hashed_ngrams
from spago_jax.text.tokenizers.tokenizer import Tokenizer, tokenizer_from


class TextRows(Rows):
    """Encoded texts, or some of them, with what each embedding reads of their forms.

    Attributes:
        corpus: the texts.
        chosen: which texts of the corpus are rows, int [n].
        tables: of each embedding, by form.
        labels: the class of each row, int32 [n]; -1 for one that training never saw, or none.
        ngrams: the hashed n-grams of each text of the corpus, or None.
    """

    def __init__(
        self,
        corpus: EncodedExamples,
        chosen: np.ndarray,
        tables: Mapping[str, np.ndarray],
        labels: np.ndarray,
        ngrams: RaggedArray | None,
        max_length: int,
    ):
        self.corpus, self.chosen, self.tables, self.labels, self.ngrams = corpus, chosen, tables, labels, ngrams
        self.lengths = np.clip(corpus.lengths[chosen], 1, max_length)
        self.owners = np.arange(len(chosen))

    def text(self, row: int) -> str:
        """The tokens of a row, apart by blanks, for the report."""
        return " ".join(self.corpus.tokens(int(self.chosen[row])))


class TextProcessor(Processor[Labeled, Classification]):
    """Texts to the arrays of their embeddings and n-grams, and logits to labels.

    Args:
        tokenizer: cuts a text into tokens.
        indexers: the host halves of the embeddings.
        classes: the labels, by id.
        max_length: texts are cut at so many tokens.
        ngrams: ``{"rows", "order", "characters"}`` of the hashed n-grams, or None.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        tokenizer: Tokenizer,
        indexers: Sequence[TokenIndexer],
        classes: Sequence[str],
        max_length: int,
        ngrams: Mapping[str, Any] | None = None,
    ):
        self.tokenizer, self.indexers, self.classes = tokenizer, tuple(indexers), tuple(classes)
        self.max_length, self.ngrams = max_length, None if ngrams is None else dict(ngrams)

    def example(self, value: str | Labeled) -> Labeled:
        """A text."""
        if isinstance(value, Labeled):
            return value
        if not isinstance(value, str):
            raise InputError(f"a {type(value).__name__}, expected a text")
        return Labeled(value)

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text."""
        return self.tokenizer.encode(text).tokens

    def encode(self, examples: Iterable[Labeled]) -> TextRows:
        """Some texts."""
        corpus = EncodedExamples.of(list(examples), self.tokens)
        return self.rows(corpus, np.arange(len(corpus)))

    def rows(self, corpus: EncodedExamples, chosen: np.ndarray) -> TextRows:
        """Encoded texts with the tables of their forms and their n-grams, each made once."""
        tables = merged_tables(self.indexers, corpus.lexicon)
        labels = np.full(len(chosen), -1, np.int32)
        if corpus.labels is not None:
            labels = name_table(corpus.label_names, self.classes)[corpus.labels][chosen]
        rows = TextRows(corpus, chosen, tables, labels, self._ngrams(corpus), self.max_length)
        if rows.ngrams is not None:  # a text whose n-grams are many goes to batches that have room for them all
            rows.lengths = np.maximum(rows.lengths, -(-rows.ngrams.lengths[chosen] // self._room(1)))
        return rows

    def batch(
        self, rows: TextRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """The arrays of the embeddings, ``lengths`` and n-grams; as targets ``labels``, and ``weight`` 0 for none."""
        held = indices >= 0
        chosen = np.full(indices.shape, -1, np.int64)
        chosen[held] = rows.chosen[indices[held]]
        forms, lengths = rows.corpus.forms.gather(chosen, length, pad=-1, truncate=True)
        forms[..., self.max_length :] = -1  # a batch may be longer than texts are read
        lengths = np.minimum(lengths, self.max_length)
        arrays = {name: table[forms] for name, table in rows.tables.items()}
        arrays["lengths"] = lengths
        if rows.ngrams is not None:
            arrays["ngrams"], arrays["ngram_lengths"] = rows.ngrams.gather(chosen, self._room(length))
        if targets:
            labels = np.zeros(indices.shape, np.int32)
            labels[held] = rows.labels[indices[held]]
            arrays["labels"] = labels
            arrays["weight"] = held.astype(np.float32)
        return arrays

    def specs(self) -> dict[str, str]:
        """The arrays of the embeddings, ``lengths``, and those of the n-grams."""
        specs = merged_specs(self.indexers)
        if self.ngrams is not None:
            specs |= {"ngrams": "i32[batch, ngrams]", "ngram_lengths": "i32[batch]"}
        return specs

    @property
    def longest(self) -> int:
        """Up to four times ``max_length``, for texts of long words: 22 letters on average."""
        return self.max_length * (4 if self.ngrams is not None and self.ngrams["characters"] else 1)

    def sizes(self) -> dict[str, int]:
        """A text of 32 tokens."""
        return {"time": 32, "ngrams": self._room(32)}

    def decode(
        self, outputs: Sequence[Mapping[str, np.ndarray]], rows: TextRows, owned: Sequence[int], example: Labeled
    ) -> Classification:
        """The classes by their probability."""
        return ranked(outputs[0]["logits"], self.classes, text=example.text, line=example.line)

    def settings(self) -> dict[str, Any]:
        """The tokenizer, the embeddings by kind and name, the classes, the n-grams."""
        return {
            "task": "text-classification",
            "tokenizer": self.tokenizer.saved(),
            "embeddings": indexer_settings(self.indexers),
            "classes": list(self.classes),
            "max_length": self.max_length,
            "ngrams": self.ngrams,
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
        try:
            indexers = load_indexers(settings["embeddings"], folder)
            tokenizer = tokenizer_from(settings["tokenizer"])
            return cls(tokenizer, indexers, settings["classes"], int(settings["max_length"]), settings["ngrams"])
        except (KeyError, TypeError) as error:
            raise InputError(f"not the settings of a classifier: {error}", path=folder / "processor.json") from None

    def components(self) -> list[Any]:
        """The processor, its tokenizer and the host halves of its embeddings."""
        return [self, self.tokenizer, *self.indexers]

    def _ngrams(self, corpus: EncodedExamples) -> RaggedArray | None:
        if self.ngrams is None:
            return None
        found = [self._ngrams_of(corpus.tokens(i)) for i in range(len(corpus))]
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
