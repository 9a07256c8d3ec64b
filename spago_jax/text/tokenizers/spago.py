# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizers of spaGO 0.7: words and marks, and pieces of words, exactly as its models read them."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from spago_jax.errors import InputError
from spago_jax.text.tokenizers.tokenizer import Encoding, Tokenizer

__all__ = ["SpagoTokenizer", "word_pieces"]

_SPECIAL = ("[CLS]", "[MASK]", "[SEP]", "[UNK]")
_PREFIX = "##"
_LONGEST = 100  # letters of a word that is looked at


class SpagoTokenizer(Tokenizer):
    """Cuts a text at white space, and before and after each mark except the hyphen.

    Marks are those of ASCII and of Unicode's categories P; symbols such as € belong to the word. Other tokenizers here
    never cut within a character as people see it; this one does, as spaGO, where a mark has a combining mark.

    Args:
        lowercase: lower-case the tokens.
        special: words that stay whole where they stand alone between white space.
        vocabulary: pieces of words, in the order of their ids, into which each word is cut further: the longest first,
            those within a word with ``##`` before them; a word that cannot be cut is ``[UNK]``. BERT's special tokens
            are then special words.

    >>> SpagoTokenizer().encode("It's well-known (14€)").tokens
    ['It', "'", 's', 'well-known', '(', '14€', ')']
    >>> pieces = SpagoTokenizer(vocabulary=["[UNK]", "[MASK]", "un", "##able", "##aff"])
    >>> pieces.encode("unaffable [MASK] pie").tokens
    ['un', '##aff', '##able', '[MASK]', '[UNK]']
    """

    kind: ClassVar[str] = "spago"

    def __init__(self, lowercase: bool = False, special: Sequence[str] = (), vocabulary: Sequence[str] | None = None):
        self.lowercase, self.special = lowercase, tuple(special)
        self.vocabulary = None if vocabulary is None else list(vocabulary)
        self._ids = {piece: id for id, piece in enumerate(self.vocabulary or ())}
        if self.vocabulary is not None and "[UNK]" not in self._ids:
            raise InputError("the vocabulary has no '[UNK]', which stands for words that cannot be cut into its pieces")
        self._whole = {*self.special, *(_SPECIAL if vocabulary is not None else ())}

    def encode(self, text: str) -> Encoding:
        """Returns the words and marks, or the pieces of them."""
        found = Encoding([], [])
        for number, (start, end) in enumerate(_words(text, self._whole)):
            word = text[start:end]
            if self.lowercase and word not in self._whole:
                word = word.lower()
            if self.vocabulary is None:
                found.tokens.append(word)
                found.offsets.append((start, end))
                continue
            for piece, first, last in word_pieces(word, self._ids):
                found.tokens.append(piece)
                # Lower case may be longer: the pieces of such a word lie in all of it.
                same = len(word) == end - start
                found.offsets.append((start + first, start + last) if same else (start, end))
                found.ids.append(self._ids[piece])
                found.word_ids.append(number)
        if self.vocabulary is not None:
            found.special_mask.extend([False] * len(found.ids))
            found.type_ids.extend([0] * len(found.ids))
            found.sequence_ids.extend([0] * len(found.ids))
        return found

    def settings(self) -> dict[str, Any]:
        """Returns the arguments, as far as they are not the usual ones."""
        more: dict[str, Any] = {"special": list(self.special)} if self.special else {}
        if self.vocabulary is not None:
            more["vocabulary"] = self.vocabulary
        return {"lowercase": self.lowercase, **more}


def word_pieces(word: str, ids: Mapping[str, int], unknown: str = "[UNK]") -> list[tuple[str, int, int]]:
    """Returns the pieces of a word with their places in it: from the left, always the longest that is known.

    Args:
        word: the word.
        ids: the known pieces; those that do not begin a word have ``##`` before them.
        unknown: the only piece of a word with a part that is not known, or of more than 100 letters.

    >>> word_pieces("unable", {"un": 0, "una": 1, "##ble": 2, "##able": 3})
    [('una', 0, 3), ('##ble', 3, 6)]
    >>> word_pieces("undo", {"un": 0, "una": 1})
    [('[UNK]', 0, 4)]
    """
    if word in ids and len(word) <= _LONGEST:
        return [(word, 0, len(word))]
    pieces: list[tuple[str, int, int]] = []
    start = 0
    while start < len(word) <= _LONGEST:
        prefix = _PREFIX if start else ""
        end = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in ids), start)
        if end == start:
            break
        pieces.append((prefix + word[start:end], start, end))
        start = end
    return pieces if start == len(word) else [(unknown, 0, len(word))]


def _words(text: str, whole: set[str]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = start
        while end < len(text) and _kind(text[end]) != "space":
            end += 1
        if text[start:end] in whole:
            yield start, end
        else:
            yield from _marked(text, start, end)
        start = end + 1


def _marked(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The words and marks of a part of a text that has no white space."""
    for end in range(start, stop):
        if _kind(text[end]) == "mark":
            if end > start:
                yield start, end
            yield end, end + 1
            start = end + 1
    if stop > start:
        yield start, stop


@lru_cache(maxsize=65536)
def _kind(char: str) -> str:
    if char in " \t\n\r" or unicodedata.category(char) == "Zs":
        return "space"
    if char.isascii():
        return "mark" if char.isprintable() and not char.isalnum() and char != "-" else "letter"
    return "mark" if unicodedata.category(char)[0] == "P" else "letter"
