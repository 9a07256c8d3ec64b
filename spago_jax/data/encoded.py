# SPDX-License-Identifier: BSD-2-Clause
"""Corpora as memory-mapped integers: encoded once, in constant memory, then opened instantly."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.data.examples import Tokens
from spago_jax.data.files import load_array, new_folder
from spago_jax.data.lexicon import Lexicon, LexiconBuilder
from spago_jax.data.ragged import RaggedArray, RaggedWriter
from spago_jax.errors import InputError

__all__ = ["EncodedSentences", "encode_sentences", "name_table", "read_about"]

ABOUT = "about.json"
_COLUMNS = ("lines", "windows", "continued")  # of the sentences, one file each
_TOKENS = 1 << 17  # tokens held as Python strings before they are written


def name_table(names: Sequence[str], known: Sequence[str], *, unknown: int = -1) -> np.ndarray:
    """Maps ids in one list of names to ids in another: ``table[id in names]`` is the id in ``known``.

    >>> name_table(["O", "B-new", "B-loc"], ["B-loc", "O"]).tolist()
    [1, -1, 0]
    """
    ids = {name: number for number, name in enumerate(known)}
    return np.array([ids.get(name, unknown) for name in names], np.int32)


def read_about(folder: Path, kind: str) -> dict[str, Any]:
    """Returns what an encoder wrote about a folder.

    Raises:
        InputError: it holds another kind of corpus, or none.
    """
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"no encoded {kind}: missing or incomplete", path=path) from None
    if about.get("kind") != kind:
        raise InputError(f"holds encoded {about.get('kind')}, expected {kind}", path=path)
    return about


class EncodedSentences:
    """Tagged sentences as numbers.

    Attributes:
        forms: the form id of each token, one row per sentence (int32).
        tags: the tag id of each token, aligned with ``forms`` (int32), or None if the corpus has no tags.
        lexicon: form ids to strings, with counts.
        tag_names: tag ids to names, in order of first appearance.
        lengths: tokens per sentence, int32 [n].
        lines: the line in the file of each sentence's first token, int64 [n].
        windows: the number of each row among the windows of its sentence, int32 [n]; 0 for a whole sentence.
        continued: whether the cut before a row goes through a span, bool [n].
        owners: the number of the sentence that each row is a window of, int64 [n].
    """

    def __init__(
        self,
        forms: RaggedArray,
        tags: RaggedArray | None,
        lexicon: Lexicon,
        tag_names: list[str],
        lines: np.ndarray,
        windows: np.ndarray,
        continued: np.ndarray,
    ):
        self.forms, self.tags, self.lexicon, self.tag_names, self.lines = forms, tags, lexicon, tag_names, lines
        self.windows, self.continued = windows, continued
        self.lengths = forms.lengths
        self.owners = np.cumsum(windows == 0) - 1

    @classmethod
    def open(cls, folder: str | Path) -> "EncodedSentences":
        """Opens what ``encode_sentences`` wrote.

        Raises:
            InputError: the folder does not hold encoded sentences, or is incomplete.
        """
        folder = Path(folder)
        about = read_about(folder, "sentences")
        tags = RaggedArray.open(folder, "tags") if about["tag_names"] is not None else None
        lexicon = Lexicon.open(folder)
        arrays = (load_array(folder / f"{name}.npy") for name in _COLUMNS)
        return cls(RaggedArray.open(folder, "forms"), tags, lexicon, about["tag_names"] or [], *arrays)

    @classmethod
    def of(cls, sentences: Sequence[Tokens]) -> "EncodedSentences":
        """Encodes a few sentences in memory, like ``encode_sentences`` on disk; there may be none.

        >>> EncodedSentences.of([Tokens(["a", "b", "a"])]).forms[0].tolist()
        [0, 1, 0]

        Raises:
            InputError: some sentences have tags and some none.
        """
        forms, names = LexiconBuilder(), LexiconBuilder()
        tagged = {sentence.tags is not None for sentence in sentences}
        if len(tagged) > 1:
            raise InputError("some sentences have tags and some none")
        lengths = [len(sentence.tokens) for sentence in sentences]
        ids = forms.encode([token for sentence in sentences for token in sentence.tokens])
        tags = None
        if tagged == {True}:
            tags = RaggedArray.from_lengths(names.encode([t for s in sentences for t in s.tags or ()]), lengths)
        lines = np.array([sentence.line for sentence in sentences], np.int64)
        found = list(names.build()) if tags is not None else []
        windows = np.array([sentence.window for sentence in sentences], np.int32)
        continued = np.array([sentence.continued for sentence in sentences], bool)
        return cls(RaggedArray.from_lengths(ids, lengths), tags, forms.build(), found, lines, windows, continued)

    def __len__(self) -> int:
        return len(self.forms)

    def __repr__(self) -> str:
        return (
            f"EncodedSentences({len(self)} sentences, {len(self.forms.values)} tokens, {len(self.lexicon)} forms,"
            f" {len(self.tag_names)} tags)"
        )

    def sentence(self, index: int) -> Tokens:
        """Returns one sentence, decoded."""
        tokens = [self.lexicon[form] for form in self.forms[index].tolist()]
        tags = None if self.tags is None else [self.tag_names[tag] for tag in self.tags[index].tolist()]
        return Tokens(tokens, tags, int(self.lines[index]), window=int(self.windows[index]))

    def whole(self, row: int) -> Tokens:
        """Returns the whole sentence, without tags, that begins with a row and goes on in its next windows."""
        end = row + 1
        while end < len(self) and self.windows[end]:
            end += 1
        tokens = [self.lexicon[form] for form in self.forms.values[self.forms.offsets[row] : self.forms.offsets[end]]]
        return Tokens(tokens, None, int(self.lines[row]))


def encode_sentences(sentences: Iterable[Tokens], folder: str | Path) -> EncodedSentences:
    """Encodes sentences into a folder of memory-mapped arrays, which appears complete or not at all.

    Args:
        sentences: from a reader; none is kept.
        folder: where to write; it must not exist, or must be empty.

    Raises:
        InputError: the tags of a sentence are not as many as its tokens; some have tags and some none; there is no
            sentence.

    >>> import tempfile
    >>> corpus = encode_sentences([Tokens(["a", "b", "a"], ["O", "B-x", "O"])], tempfile.mkdtemp())
    >>> corpus.forms[0].tolist(), corpus.tags[0].tolist(), corpus.tag_names
    ([0, 1, 0], [0, 1, 0], ['O', 'B-x'])
    """
    forms, names = LexiconBuilder(), LexiconBuilder()
    with new_folder(folder) as part:
        tagged: bool | None = None
        lines: list[np.ndarray] = []
        tokens: list[str] = []
        tags: list[str] = []
        lengths: list[int] = []
        starts: list[tuple[int, int, bool]] = []
        with RaggedWriter(part, "forms", np.int32) as form_rows, RaggedWriter(part, "tags", np.int32) as tag_rows:

            def flush() -> None:
                form_rows.extend(forms.encode(tokens), lengths)
                if tagged:
                    tag_rows.extend(names.encode(tags), lengths)
                lines.append(np.array(starts, np.int64).reshape(-1, 3))
                for held in (tokens, tags, lengths, starts):
                    held.clear()

            for sentence in sentences:
                if tagged is None:
                    tagged = sentence.tags is not None
                elif tagged != (sentence.tags is not None):
                    raise InputError(f"the sentence of line {sentence.line}: some sentences have tags and some none")
                if sentence.tags is not None:
                    if len(sentence.tags) != len(sentence.tokens):
                        raise InputError(
                            f"the sentence of line {sentence.line} has {len(sentence.tags)} tags for"
                            f" {len(sentence.tokens)} tokens"
                        )
                    tags.extend(sentence.tags)
                tokens.extend(sentence.tokens)
                lengths.append(len(sentence.tokens))
                starts.append((sentence.line, sentence.window, sentence.continued))
                if len(tokens) >= _TOKENS:
                    flush()
            flush()
        if tagged is None:
            raise InputError("no sentences to encode")
        forms.build().save(part)
        columns = np.concatenate(lines).T
        for name, column, dtype in zip(_COLUMNS, columns, (np.int64, np.int32, bool), strict=True):
            np.save(part / f"{name}.npy", column.astype(dtype))
        about = {"kind": "sentences", "tag_names": list(names.build()) if tagged else None}
        (part / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return EncodedSentences.open(folder)
