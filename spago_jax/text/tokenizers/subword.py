# SPDX-License-Identifier: BSD-2-Clause
"""SubwordTokenizer: from a text to the ids that a pre-trained model reads, whatever cuts the words into pieces."""

import abc
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from spago_jax.errors import InputError
from spago_jax.text.tokenizers.pieces import (
    Pieces,
    Side,
    Slot,
    Truncation,
    assemble,
    kept_lengths,
    window_starts,
)
from spago_jax.text.tokenizers.tokenizer import Encoding, Tokenizer
from spago_jax.text.unicode import refuse_surrogates

__all__ = ["SubwordTokenizer"]

Input = str | tuple[str, str]
"""A text, or a pair of texts."""


class SubwordTokenizer(Tokenizer):
    """Cuts texts into pieces of words, and puts special tokens beside them.

    It is made by ``load_tokenizer`` from the files that came with a model, and saved as those files, byte for byte.
    Offsets are code points of the text (of the pair for its second text), so that an answer is always
    ``text[start:end]``.

    Attributes:
        max_length: the most ids that the files say the model reads, special ones included; None if they do not say.
        special_ids: the ids of special tokens by role: ``unknown``, ``pad``, ``begin``, ``end``, ``cls``, ``sep``,
            ``mask``; those that the tokenizer has. ``begin`` and ``end`` are ``cls`` and ``sep`` where there are only
            these.
        files: the contents of the files that it was made from, by name.
    """

    kind: ClassVar[str] = "subword"

    def __init__(
        self,
        files: Mapping[str, bytes],
        special_ids: Mapping[str, int],
        max_length: int | None,
        options: Mapping[str, Any] | None = None,
    ):
        self.files, self.special_ids, self.max_length = dict(files), dict(special_ids), max_length
        self._options = dict(options or {})

    # What an engine does.

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of ids: they are below it."""

    @abc.abstractmethod
    def token(self, id: int) -> str:
        """Returns the form of an id.

        Raises:
            InputError: no token has this id.
        """

    @abc.abstractmethod
    def id(self, token: str) -> int | None:
        """Returns the id of a form as the vocabulary writes it; None if it is unknown."""

    @abc.abstractmethod
    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Returns the text of some ids; ids without a token are left out, and special tokens as well if so asked."""

    @abc.abstractmethod
    def layout(self, pair: bool) -> tuple[Slot, ...]:
        """Returns the order of special tokens and texts, for one text or for two."""

    @abc.abstractmethod
    def cut(self, texts: Sequence[str]) -> list[Pieces]:
        """Returns the pieces of each text, without special tokens."""

    @abc.abstractmethod
    def cut_words(self, words: Sequence[str]) -> Pieces:
        """Returns the pieces of words that stand one after the other, each of which has one at least."""

    # What is the same for all.

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        special_tokens: bool = True,
        max_length: int | None = None,
        truncation: Truncation = "refuse",
        side: Side = "right",
    ) -> Encoding:
        """Returns the ids of a text or of a pair of texts, with their places.

        Args:
            text: the text.
            pair: a second text: the passage of a question, the hypothesis of a premise.
            special_tokens: add the model's special tokens.
            max_length: the most ids, special tokens included. None: no limit, unless a truncation is named, which then
                cuts to the tokenizer's own ``max_length``.
            truncation: what is done with longer texts: they are refused, or cut.
            side: the end at which they are cut.

        Raises:
            InputError: the text is too long for ``max_length``, or cannot be cut to it.
        """
        texts = self.cut(_texts(text, pair))
        return self._fitted(texts, special_tokens, max_length, truncation, side)

    def tokens(self, text: str) -> list[str]:
        """Returns the forms of a text's pieces, without special tokens."""
        return self.encode(text, special_tokens=False).tokens

    def encode_words(
        self,
        words: Sequence[str],
        pair_words: Sequence[str] | None = None,
        *,
        special_tokens: bool = True,
        max_length: int | None = None,
        truncation: Truncation = "refuse",
        side: Side = "right",
    ) -> Encoding:
        """Returns the ids of a text that is already cut into words; ``word_ids`` are the numbers of these words.

        Every word has at least one id: one that the tokenizer sees nothing in (an empty one, a lone joiner) is the
        unknown token. Offsets are those within each word.

        Args: as for ``encode``.
        """
        return self._fitted(self._words(words, pair_words), special_tokens, max_length, truncation, side)

    def encode_batch(
        self,
        texts: Sequence[Input],
        *,
        special_tokens: bool = True,
        max_length: int | None = None,
        truncation: Truncation = "refuse",
        side: Side = "right",
    ) -> list[Encoding]:
        """Returns the encodings of texts, or of pairs of texts: what ``encode`` gives for each, sooner."""
        items = [_texts(item) if isinstance(item, str) else _texts(*item) for item in texts]
        pieces = iter(self.cut([text for item in items for text in item]))
        return [
            self._fitted([next(pieces) for _ in item], special_tokens, max_length, truncation, side) for item in items
        ]

    def windows(
        self, text: str, pair: str | None = None, *, max_length: int, stride: int, cut: str = "first"
    ) -> list[Encoding]:
        """Returns the windows of a long text, which cover all of it; the other text is repeated in each.

        Args:
            text: the text.
            pair: a second text.
            max_length: the most ids of a window, special tokens included.
            stride: how many tokens a window shares with the one before.
            cut: the text that is cut into windows, ``first`` or ``second``.

        Raises:
            InputError: there is no room for the windows to move on.
        """
        return self._windows(self.cut(_texts(text, pair)), max_length, stride, cut)

    def windows_of_words(
        self,
        words: Sequence[str],
        pair_words: Sequence[str] | None = None,
        *,
        max_length: int,
        stride: int,
        cut: str = "first",
    ) -> list[Encoding]:
        """Returns the windows of a text that is already cut into words, as ``windows`` and ``encode_words`` do."""
        return self._windows(self._words(words, pair_words), max_length, stride, cut)

    def special_count(self, pair: bool = False) -> int:
        """Returns how many special tokens stand beside one text, or beside two."""
        return sum(slot.sequence is None for slot in self.layout(pair))

    def settings(self) -> dict[str, Any]:
        """Returns what restores it from the folder ``tokenizer`` of the assets, which ``save`` is to write.

        The digest tells tokenizers apart, also where encoded texts are kept.
        """
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        return {"path": "tokenizer", "digest": digest.hexdigest()[:16], **self._options}

    def save(self, folder: str | Path) -> None:
        """Writes the files that it was made from, byte for byte; ``load_tokenizer`` reads the folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)

    def _words(self, words: Sequence[str], pair_words: Sequence[str] | None) -> list[Pieces]:
        for given in (words, pair_words):
            if isinstance(given, str):
                raise InputError(f"words: {given!r} is a text, expected a list of words; use encode for a text")
        given = [words] if pair_words is None else [words, pair_words]
        return [self.cut_words([refuse_surrogates(word, "words: ") for word in side]) for side in given]

    def _fitted(
        self, texts: list[Pieces], special_tokens: bool, max_length: int | None, truncation: str, side: str
    ) -> Encoding:
        layout = self.layout(len(texts) == 2)
        if max_length is None and truncation != "refuse":
            max_length = self.max_length
            if max_length is None:
                raise InputError(f"truncation {truncation!r} needs a max_length: this tokenizer's files name none")
        if side not in ("left", "right"):
            raise InputError(f"side {side!r}: expected 'left' or 'right', the end at which a text is cut")
        dropped = 0
        if max_length is not None:
            room = max_length - (self.special_count(len(texts) == 2) if special_tokens else 0)
            kept = kept_lengths([len(pieces) for pieces in texts], room, truncation)
            dropped = sum(map(len, texts)) - sum(kept)
            texts = [
                pieces[:length] if side == "right" else pieces[len(pieces) - length :]
                for pieces, length in zip(texts, kept, strict=True)
            ]
        return assemble(layout, texts, special_tokens=special_tokens, dropped=dropped)

    def _windows(self, texts: list[Pieces], max_length: int, stride: int, cut: str) -> list[Encoding]:
        if cut not in ("first", "second") or (cut == "second" and len(texts) == 1):
            known = "'first', since there is one text" if len(texts) == 1 else "'first' or 'second'"
            raise InputError(f"cut {cut!r}: expected {known}")
        at = 0 if cut == "first" else 1
        layout = self.layout(len(texts) == 2)
        room = max_length - self.special_count(len(texts) == 2) - (len(texts[1 - at]) if len(texts) == 2 else 0)
        if room < 0:
            raise InputError(
                f"no room for windows: {max_length} tokens (max_length) are {-room} fewer than the special tokens and"
                " the other text; raise max_length, or shorten the other text"
            )
        found = []
        for start, end in window_starts(len(texts[at]), room, stride):
            parts = [pieces[start:end] if i == at else pieces for i, pieces in enumerate(texts)]
            found.append(assemble(layout, parts, special_tokens=True))
        return found


def _texts(text: str, pair: str | None = None) -> list[str]:
    given = [text] if pair is None else [text, pair]
    for part in given:
        if not isinstance(part, str):
            raise InputError(f"a text of type {type(part).__name__}, expected a string")
        refuse_surrogates(part, "text: ")
    return given


# Exported folders carry the modules that those of a processor import: whoever holds such a tokenizer has to be able to
# read it again. It stands at the end, for that module imports this one.
import spago_jax.text.tokenizers.load  # noqa: E402, F401
