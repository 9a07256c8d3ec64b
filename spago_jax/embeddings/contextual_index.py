# SPDX-License-Identifier: BSD-2-Clause
"""The host half of contextual string embeddings: the characters of a sentence, and where each word's states are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.saved_settings import settings_of, write_settings
from spago_jax.text.alphabet import Alphabet, ByteAlphabet, alphabet_from

ROOM = 6
"""Characters per position of a row. A sentence of longer words takes more positions than it has words."""
LONGEST = 1024
"""Positions that a sentence may take: of one with more characters than fit, the longest words are cut."""
DIRECTIONS = ("forward", "backward")


class Characters:
    """The alphabet of a language model, in which every character has ids.

    Args:
        alphabet: the known characters.
        unknown: the id of all others.
    """

    def __init__(self, alphabet: Alphabet, unknown: int | None = None):
        self.alphabet = alphabet
        self.unknown = _stand_in(alphabet) if unknown is None else unknown
        self._ids = {char: number for number, char in enumerate(alphabet)}

    def ids(self, text: str) -> list[int]:
        """The ids of a text: one per character, or one per byte."""
        if isinstance(self.alphabet, ByteAlphabet):
            return list(text.encode("utf-8", "surrogatepass"))
        return [self._ids.get(char, self.unknown) for char in text]


def _stand_in(alphabet: Alphabet) -> int:
    """What a character outside an alphabet is read as: ``<unk>``, else a blank, else the first."""
    if alphabet.unknown is not None:
        return alphabet.unknown
    return next((number for number, char in enumerate(alphabet) if char == " "), 0)


class ContextualIndexer(TokenIndexer):
    """A sentence as the characters that language models read: ``start``, the words apart by blanks, and ``end``.

    The backward model reads ``start``, the words from the last character to the first, and ``end``. A word has the
    forward state after the character that follows it, and the backward state after the one that precedes it.

    Args:
        name: of its arrays in a batch: ``NAME_forward``, ``NAME_backward`` and the same with ``_at``.
        models: by direction, ``alphabet`` (a list of characters, or ``bytes``), ``unknown`` (an id) and ``shape``, the
            sizes from which the device half is made again.
        start: what stands before a sentence.
        end: what stands after it.
        after: whether a word has the states after the character beyond it, and not after its own last one.
        lowercase: whether sentences are read in lower case.
    """

    kind: ClassVar[str] = "contextual-strings"
    longest = LONGEST

    def __init__(
        self,
        name: str,
        models: Mapping[str, Mapping[str, Any]],
        *,
        start: str = "\n",
        end: str = " ",
        after: bool = True,
        lowercase: bool = False,
    ):
        self.name, self.models = name, {side: dict(model) for side, model in models.items()}
        self.start, self.end, self.after, self.lowercase = start, end, after, lowercase
        self._characters = {
            side: Characters(alphabet_from(model["alphabet"]), model.get("unknown")) for side, model in models.items()
        }

    @property
    def size(self) -> int:
        """The number of ids of the larger alphabet."""
        return max(len(characters.alphabet) for characters in self._characters.values())

    def _array(self, side: str) -> str:
        return f"{self.name}_{side}"

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The ids of the characters of each form, one form after the other, and where each begins."""
        forms = [form.lower() for form in lexicon] if self.lowercase else list(lexicon)
        found: dict[str, np.ndarray] = {}
        for side, characters in self._characters.items():
            rows = [characters.ids(form if side == "forward" else form[::-1]) for form in forms]
            lengths = [len(row) for row in rows]
            found[self._array(side)] = np.array([id for row in rows for id in row], np.int32)
            found[f"{self._array(side)}_starts"] = np.concatenate([[0], np.cumsum([*lengths, 0])]).astype(np.int64)
        return found

    def positions(self, tables: Mapping[str, np.ndarray], forms: RaggedArray) -> np.ndarray:
        """How many positions of ``ROOM`` characters each sentence takes, int64 [n]."""
        found = []
        for side in self._characters:
            sizes = np.diff(tables[f"{self._array(side)}_starts"])[np.asarray(forms.values)] + 1
            ends = np.concatenate([[0], np.cumsum(sizes)])[forms.offsets]
            found.append(-(-(np.diff(ends) - 1 + self._around(side)) // ROOM))
        return np.minimum(np.max(found, axis=0), LONGEST)

    def _around(self, side: str) -> int:
        """How many ids stand around a sentence."""
        characters = self._characters[side]
        return len(characters.ids(self.start)) + len(characters.ids(self.end))

    def arrays(self, tables: Mapping[str, np.ndarray], forms: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The characters of each sentence [..., length, ROOM], and the place of each word's state [..., length]."""
        flat = forms.reshape(-1, forms.shape[-1])
        held = flat >= 0
        rows, _ = np.nonzero(held)
        found: dict[str, np.ndarray] = {}
        for side, characters in self._characters.items():
            name = self._array(side)
            starts = tables[f"{name}_starts"]
            begins, sizes = starts[flat][held], np.diff(starts)[flat]  # -1 is the last form, which is empty
            self._shorten(sizes, held, length * ROOM - self._around(side))
            sums = np.cumsum(np.where(held, sizes + 1, 0), axis=-1)
            totals = np.maximum(sums[:, -1:] - 1, 0)  # there is no blank after the last word
            firsts = np.where(held, sums - sizes - 1, 0)
            before, after = characters.ids(self.start), characters.ids(self.end)
            to = len(before) + (firsts if side == "forward" else totals - firsts - sizes)
            ids = np.full((len(flat), length * ROOM), characters.ids(" ")[0], np.int32)
            ids[:, : len(before)] = before
            counts = sizes[held]
            step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            ids[np.repeat(rows, counts), np.repeat(to[held], counts) + step] = tables[name][
                np.repeat(begins, counts) + step
            ]
            ids[np.arange(len(flat))[:, None], len(before) + totals + np.arange(len(after))] = after
            found[name] = ids.reshape(*forms.shape[:-1], length, ROOM)
            at = np.where(held, to + sizes - (0 if self.after else 1), -1)
            found[f"{name}_at"] = at.astype(np.int32).reshape(forms.shape)
        return found

    def _shorten(self, sizes: np.ndarray, held: np.ndarray, room: int) -> None:
        """Cuts the longest words of sentences that have more characters than there is room for."""
        for row in np.flatnonzero((np.where(held, sizes + 1, 0)).sum(-1) - 1 > room):
            most = int(sizes[row].max())
            while most > 1 and int((np.minimum(sizes[row], most) + 1)[held[row]].sum()) - 1 > room:
                most -= max((most - 1) // 16, 1)
            sizes[row] = np.minimum(sizes[row], most)

    def reading(self) -> dict[str, Any]:
        """How sentences are read: by what alphabets, and with what around them."""
        models = {side: [model["alphabet"], model["unknown"]] for side, model in self.models.items()}
        return {
            "start": self.start, "end": self.end, "after": self.after, "lowercase": self.lowercase, "models": models,
        }  # fmt: skip

    def specs(self) -> dict[str, str]:
        """Ids of characters, and the places of words among them."""
        found = {}
        for side in self._characters:
            found[self._array(side)] = f"i32[batch, time, {ROOM}]"
            found[f"{self._array(side)}_at"] = "i32[batch, time]"
        return found

    def save(self, folder: Path) -> None:
        """Writes ``NAME.json``: the alphabets, the sizes of the models, and how sentences are read."""
        settings = {
            "models": self.models, "start": self.start, "end": self.end, "after": self.after,
            "lowercase": self.lowercase,
        }  # fmt: skip
        write_settings(folder / f"{self.name}.json", settings)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        with settings_of(folder / f"{name}.json") as found:
            models = found.pop("models")
            if not models or not models.keys() <= set(DIRECTIONS):
                raise ValueError(f"models of the directions {list(models)}")
            return cls(name, models, **found)
