# SPDX-License-Identifier: BSD-2-Clause
"""The distinct token forms of a corpus, numbered in order of first appearance, with their counts, on disk."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from spago_jax.data.files import load_array
from spago_jax.data.ragged import RaggedArray
from spago_jax.errors import InputError

__all__ = ["Lexicon", "LexiconBuilder"]

# JSON may hold lone surrogates ("\ud83d"), which strict UTF-8 refuses
_ENCODING, _ERRORS = "utf-8", "surrogatepass"


class _Numbering(dict[str, int]):
    """A dict that gives the next number to a string it does not hold."""

    def __missing__(self, form: str) -> int:
        number = self[form] = len(self)
        return number


class LexiconBuilder:
    """Numbers forms in order of appearance and counts them.

    >>> builder = LexiconBuilder()
    >>> builder.encode(["the", "cat", "the"]).tolist()
    [0, 1, 0]
    >>> lexicon = builder.build()
    >>> list(lexicon), lexicon.counts.tolist()
    (['the', 'cat'], [2, 1])
    """

    def __init__(self):
        self._ids = _Numbering()
        self._counts = np.zeros(1024, np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def encode(self, forms: Iterable[str]) -> np.ndarray:
        """Returns the number of each form, int32 [n]; new forms get the next numbers."""
        ids = np.fromiter(map(self._ids.__getitem__, forms), np.int32)
        if len(self._ids) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(2 * len(self._ids) - len(self._counts), np.int64)])
        counted = np.bincount(ids)
        self._counts[: len(counted)] += counted
        return ids

    def build(self) -> "Lexicon":
        """Returns the lexicon so far."""
        encoded = [form.encode(_ENCODING, _ERRORS) for form in self._ids]
        blob = np.frombuffer(b"".join(encoded), np.uint8)
        forms = RaggedArray.from_lengths(blob, np.fromiter(map(len, encoded), np.int64))
        return Lexicon(forms, self._counts[: len(self._ids)].copy())


class Lexicon:
    """Distinct forms: id -> string, with counts. The strings are one UTF-8 blob, which may stay on disk.

    Attributes:
        counts: how often each form occurs, int64 [n].
    """

    def __init__(self, forms: RaggedArray, counts: np.ndarray):
        self._forms = forms
        self.counts = counts

    def __len__(self) -> int:
        return len(self._forms)

    def __getitem__(self, form_id: int) -> str:
        return self._forms[form_id].tobytes().decode(_ENCODING, _ERRORS)

    def __iter__(self) -> Iterator[str]:
        blob = self._forms.values.tobytes()
        for start, end in pairwise(self._forms.offsets.tolist()):
            yield blob[start:end].decode(_ENCODING, _ERRORS)

    def __repr__(self) -> str:
        return f"Lexicon({len(self)} forms, {int(self.counts.sum())} occurrences)"

    def lookup(self, ids: Mapping[str, int] | Callable[[str], int], *, unknown: int = 0) -> np.ndarray:
        """Maps this lexicon's numbers to those of a vocabulary: ``table[form id]`` is the vocabulary's id.

        Args:
            ids: the vocabulary, as a mapping or as a function of a form.
            unknown: the id of forms that are not in the mapping.

        Returns:
            int32 [n forms].

        >>> builder = LexiconBuilder()
        >>> ids = builder.encode(["the", "cat", "the"])
        >>> builder.build().lookup({"cat": 5}, unknown=1)[ids].tolist()
        [1, 5, 1]
        """
        if isinstance(ids, Mapping):
            return np.fromiter((ids.get(form, unknown) for form in self), np.int32, len(self))
        return np.fromiter(map(ids, self), np.int32, len(self))

    def code_points(self) -> RaggedArray:
        """Returns the Unicode code points of each form, uint32: one row per form."""
        blob = self._forms.values
        text = blob.tobytes().decode(_ENCODING, _ERRORS)
        values = np.frombuffer(text.encode("utf-32-le", _ERRORS), "<u4")
        # in UTF-8 each character has one byte that is not of the form 10xxxxxx: its first
        firsts = np.concatenate([[0], np.cumsum((blob & 0xC0) != 0x80, dtype=np.int64)])
        return RaggedArray(values, firsts[self._forms.offsets])

    def save(self, folder: str | Path) -> None:
        """Writes ``lexicon.*`` and ``counts.npy`` in a folder."""
        np.save(Path(folder) / "counts.npy", self.counts)
        self._forms.save(folder, "lexicon")

    @classmethod
    def open(cls, folder: str | Path) -> "Lexicon":
        """Maps a saved lexicon into memory.

        Raises:
            InputError: it is missing or incomplete.
        """
        forms = RaggedArray.open(folder, "lexicon")
        path = Path(folder) / "counts.npy"
        counts = load_array(path)
        if len(counts) != len(forms):
            raise InputError(f"{len(counts)} counts, expected {len(forms)}, one per form", path=path)
        return cls(forms, counts)
