# SPDX-License-Identifier: BSD-2-Clause
"""The alphabets of character language models: the characters of a text, or the bytes of UTF-8."""

import codecs
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from spago_jax.errors import InputError, InputWarning

__all__ = ["UNKNOWN", "Alphabet", "ByteAlphabet", "alphabet_from", "counted"]

UNKNOWN = "<unk>"
"""The entry of an alphabet that stands for every character outside it."""

_REPLACEMENT = "\ufffd"


class Alphabet:
    """Characters and their ids, both ways.

    Args:
        characters: the characters by id; the entry ``<unk>``, if there is one, stands for all others.

    >>> alphabet = Alphabet(["a", "b", UNKNOWN])
    >>> alphabet.encode("ab").tolist(), alphabet.decode([1, 2, 0])
    ([0, 1], 'b\ufffda')
    """

    def __init__(self, characters: Sequence[str]):
        self._characters = list(characters)
        self._ids = {char: number for number, char in enumerate(self._characters)}

    def __len__(self) -> int:
        return len(self._characters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._characters)

    def __getitem__(self, number: int) -> str:
        return self._characters[number]

    def __contains__(self, character: object) -> bool:
        return character in self._ids

    @property
    def unknown(self) -> int | None:
        """The id of characters outside the alphabet, or None where there is none."""
        return self._ids.get(UNKNOWN)

    def encode(self, text: str) -> np.ndarray:
        """Returns the ids of a text, int32 [n]; characters outside the alphabet are said in a warning.

        Raises:
            InputError: for a character outside an alphabet without ``<unk>``, naming it.
        """
        strange = [(place, char) for place, char in enumerate(text) if char not in self._ids]
        if strange and self.unknown is None:
            place, char = strange[0]
            raise InputError(f"character {char!r} (at {place}) is not among the model's {len(self)} characters")
        if strange:
            counts: dict[str, int] = {}
            for _, char in strange:
                counts[char] = counts.get(char, 0) + 1
            warnings.warn(f"{counted(counts, len(text))}: read as {UNKNOWN}", InputWarning, stacklevel=2)
        return np.array([self._ids.get(char, self.unknown) for char in text], np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of some ids; U+FFFD stands for ``<unk>``."""
        return self.decoder()(ids)

    def decoder(self) -> Callable[[Iterable[int]], str]:
        """Returns a function that decodes a text piece after piece."""
        names = [_REPLACEMENT if char == UNKNOWN else char for char in self]
        return lambda ids: "".join(names[number] for number in ids)

    def saved(self) -> list[str] | str:
        """Returns plain JSON that ``alphabet_from`` makes it again from."""
        return list(self)


class ByteAlphabet(Alphabet):
    """The 256 bytes, for texts as UTF-8: nothing is unknown, and most characters beyond ASCII take two or three ids.

    >>> ByteAlphabet().encode("a\u00e9").tolist(), ByteAlphabet().decode([97, 195, 169, 195])
    ([97, 195, 169], 'a\u00e9')
    """

    def __init__(self) -> None:
        super().__init__([chr(number) for number in range(256)])

    def encode(self, text: str) -> np.ndarray:
        """Returns the bytes of a text, int32 [n]."""
        return np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int32)

    def decoder(self) -> Callable[[Iterable[int]], str]:
        """Returns a function that decodes piece after piece: an unfinished character waits for its other bytes."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        return lambda ids: decode(bytes(ids))

    def saved(self) -> str:
        """Returns plain JSON that ``alphabet_from`` makes it again from."""
        return "bytes"


def alphabet_from(saved: Sequence[str] | str) -> Alphabet:
    """Makes an alphabet from what ``saved`` gave."""
    return ByteAlphabet() if saved == "bytes" else Alphabet(saved)


def counted(strange: Mapping[str, int], total: int) -> str:
    """Says how many characters of a text are outside an alphabet, and which.

    >>> counted({"\u20ac": 1, "\u00e9": 2}, 60)
    "3 of 60 characters (5 %) are not in the alphabet ('\u00e9' 2, '\u20ac' 1)"
    """
    count = sum(strange.values())
    best = sorted(strange.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{char!r} {n:,}" for char, n in best[:5]) + (", ..." if len(best) > 5 else "")
    verb = "is" if count == 1 else "are"
    share = f"{100 * count / total:.2g} %"
    return f"{count:,} of {total:,} characters ({share}) {verb} not in the alphabet ({shown})"
