# SPDX-License-Identifier: BSD-2-Clause
"""Labeled texts, or pairs of texts, as memory-mapped integers: encoded once, then opened instantly."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from spago_jax.data.encoded import ABOUT, read_about
from spago_jax.data.examples import Labeled
from spago_jax.data.files import load_array, new_folder
from spago_jax.data.lexicon import Lexicon, LexiconBuilder
from spago_jax.data.ragged import RaggedArray, RaggedWriter
from spago_jax.errors import InputError

__all__ = ["EncodedExamples", "encode_labeled"]

_TOKENS = 1 << 17  # tokens held as Python strings before they are written
Tokenize = Callable[[str], Sequence[str]]


class EncodedExamples:
    """Labeled texts as numbers, with the texts as they were given.

    Attributes:
        forms: the form id of each token, one row per text (int32).
        pairs: the same of the second texts, or None if there are none.
        texts: the texts as UTF-8 bytes, one row per text (uint8).
        pair_texts: the second texts, or None.
        labels: the label ids of each text (int32), one per row unless there may be several; None without labels.
        lexicon: form ids to strings, with counts.
        label_names: label ids to names, in order of first appearance.
        lengths: tokens per text, of a pair those of the longer one: int32 [n].
        lines: the line in the file where each text begins, int64 [n].
    """

    def __init__(
        self,
        forms: RaggedArray,
        pairs: RaggedArray | None,
        texts: RaggedArray,
        pair_texts: RaggedArray | None,
        labels: RaggedArray | None,
        lexicon: Lexicon,
        label_names: list[str],
        lines: np.ndarray,
    ):
        self.forms, self.pairs, self.texts, self.pair_texts, self.labels = forms, pairs, texts, pair_texts, labels
        self.lexicon, self.label_names, self.lines = lexicon, label_names, lines
        self.lengths = forms.lengths if pairs is None else np.maximum(forms.lengths, pairs.lengths)

    @classmethod
    def open(cls, folder: str | Path) -> "EncodedExamples":
        """Opens what ``encode_labeled`` wrote.

        Raises:
            InputError: the folder does not hold encoded examples, or is incomplete.
        """
        folder = Path(folder)
        about = read_about(folder, "examples")

        def rows(name: str, there: bool = True) -> RaggedArray | None:
            return RaggedArray.open(folder, name) if there else None

        return cls(
            RaggedArray.open(folder, "forms"),
            rows("pairs", about["paired"]),
            RaggedArray.open(folder, "texts"),
            rows("pair_texts", about["paired"]),
            rows("labels", about["label_names"] is not None),
            Lexicon.open(folder),
            about["label_names"] or [],
            load_array(folder / "lines.npy"),
        )

    @classmethod
    def of(cls, examples: Sequence[Labeled], tokenize: Tokenize) -> "EncodedExamples":
        """Encodes a few texts in memory, without labels, like ``encode_labeled`` on disk.

        >>> EncodedExamples.of([Labeled("to be or not to be")], str.split).forms[0].tolist()
        [0, 1, 2, 3, 0, 1]
        """
        forms = LexiconBuilder()

        def encoded(texts: Sequence[str]) -> tuple[RaggedArray, RaggedArray]:
            tokens = [tokenize(text) for text in texts]
            ids = forms.encode([token for row in tokens for token in row])
            return RaggedArray.from_lengths(ids, [len(row) for row in tokens]), _bytes_of(texts)

        rows, texts = encoded([example.text for example in examples])
        paired = [example.pair for example in examples if example.pair is not None]
        if paired and len(paired) < len(examples):
            raise InputError("some examples are pairs of texts and some single texts")
        pairs, pair_texts = encoded(paired) if paired else (None, None)
        lines = np.array([example.line for example in examples], np.int64)
        return cls(rows, pairs, texts, pair_texts, None, forms.build(), [], lines)

    def __len__(self) -> int:
        return len(self.forms)

    def __repr__(self) -> str:
        return (
            f"EncodedExamples({len(self)} texts, {len(self.forms.values)} tokens, {len(self.lexicon)} forms,"
            f" {len(self.label_names)} labels)"
        )

    def tokens(self, index: int) -> list[str]:
        """Returns the tokens of one text."""
        return [self.lexicon[form] for form in self.forms[index].tolist()]

    def text(self, index: int) -> str:
        """Returns one text as it was given."""
        return self.texts[index].tobytes().decode("utf-8")

    def pair(self, index: int) -> str | None:
        """Returns the second text of one pair."""
        return None if self.pair_texts is None else self.pair_texts[index].tobytes().decode("utf-8")

    def names(self, index: int) -> list[str]:
        """Returns the labels of one text."""
        return [] if self.labels is None else [self.label_names[label] for label in self.labels[index].tolist()]


def encode_labeled(examples: Iterable[Labeled], folder: str | Path, tokenize: Tokenize) -> EncodedExamples:
    """Tokenizes labeled texts and encodes them into a folder, which appears complete or not at all.

    A text without tokens becomes a row of length 0.

    Args:
        examples: from a reader; none is kept.
        folder: where to write; it must not exist, or must be empty.
        tokenize: from a text to its tokens.

    Raises:
        InputError: some examples have labels and some none, or some are pairs and some not; there is no example.

    >>> import tempfile
    >>> corpus = encode_labeled([Labeled("to be or not to be", "verse")], tempfile.mkdtemp(), str.split)
    >>> corpus.forms[0].tolist(), corpus.labels[0].tolist(), corpus.label_names, corpus.text(0)
    ([0, 1, 2, 3, 0, 1], [0], ['verse'], 'to be or not to be')
    """
    forms, names = LexiconBuilder(), LexiconBuilder()
    lines: list[int] = []
    kind: tuple[bool, bool] | None = None
    with new_folder(folder) as part:
        with (
            RaggedWriter(part, "forms", np.int32) as form_rows,
            RaggedWriter(part, "pairs", np.int32) as pair_rows,
            RaggedWriter(part, "texts", np.uint8) as text_rows,
            RaggedWriter(part, "pair_texts", np.uint8) as pair_text_rows,
            RaggedWriter(part, "labels", np.int32) as label_rows,
        ):
            for block in _blocks(examples, tokenize):
                for example, _, _ in block:
                    found = example.label is not None or example.labels is not None, example.pair is not None
                    if kind is not None and kind != found:
                        what = "have labels" if kind[0] != found[0] else "are pairs"
                        raise InputError(f"the text of line {example.line}: some texts {what} and some not")
                    kind = found
                    lines.append(example.line)
                _extend(form_rows, forms, [tokens for _, tokens, _ in block])
                _extend(label_rows, names, [_labels(example) for example, _, _ in block])
                texts = _bytes_of([example.text for example, _, _ in block])
                text_rows.extend(texts.values, texts.lengths)
                if kind is not None and kind[1]:
                    _extend(pair_rows, forms, [tokens for _, _, tokens in block])
                    texts = _bytes_of([example.pair or "" for example, _, _ in block])
                    pair_text_rows.extend(texts.values, texts.lengths)
        if kind is None:
            raise InputError("no examples to encode")
        forms.build().save(part)
        np.save(part / "lines.npy", np.array(lines, np.int64))
        about = {"kind": "examples", "label_names": list(names.build()) if kind[0] else None, "paired": kind[1]}
        (part / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return EncodedExamples.open(folder)


def _labels(example: Labeled) -> Sequence[str]:
    if example.labels is not None:
        return example.labels
    return () if example.label is None else (example.label,)


def _blocks(
    examples: Iterable[Labeled], tokenize: Tokenize
) -> Iterator[list[tuple[Labeled, Sequence[str], Sequence[str]]]]:
    """Yields tokenized examples, as many at a time as may be held."""
    block, held = [], 0
    for example in examples:
        tokens = tokenize(example.text)
        second = () if example.pair is None else tokenize(example.pair)
        block.append((example, tokens, second))
        held += len(tokens) + len(second) + 1
        if held >= _TOKENS:
            yield block
            block, held = [], 0
    if block:
        yield block


def _extend(rows: RaggedWriter, builder: LexiconBuilder, parts: Sequence[Sequence[str]]) -> None:
    rows.extend(builder.encode([item for part in parts for item in part]), [len(part) for part in parts])


def _bytes_of(texts: Sequence[str]) -> RaggedArray:
    encoded = [text.encode("utf-8") for text in texts]
    return RaggedArray.from_lengths(np.frombuffer(b"".join(encoded), np.uint8), [len(text) for text in encoded])
