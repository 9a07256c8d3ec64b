# SPDX-License-Identifier: BSD-2-Clause
"""Terms and their ids, both ways: words, characters, tags."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from spago_jax.core.disk import replace_file
from spago_jax.errors import InputError, did_you_mean

__all__ = ["Vocabulary"]

FORMAT = "spago_jax/vocabulary/1"


@dataclass(frozen=True)
class Vocabulary:
    """An immutable two-way table between terms and the ids ``0 .. len - 1``.

    Ids are positions in `terms`. If `unknown` names one of the terms, every term that is not in the table
    has its id; if it is None, such a term is an error. `padding` names the term that fills batches.

    spaGO (section 6.5 of its feature list) answers with the last *id* when asked for the size, and refuses to
    give the last term back, so that its models never store or emit the last entry. Here ``len`` is the number
    of terms, and the last id is as good as any other.

    >>> vocabulary = Vocabulary.build([["the", "cat"], ["the", "dog"]])
    >>> vocabulary.terms
    ('<pad>', '<unk>', 'the', 'cat', 'dog')
    >>> vocabulary.encode(["the", "dog", "barks"])
    array([2, 4, 1], dtype=int32)
    >>> vocabulary.decode([2, 4, 1]), len(vocabulary)
    (['the', 'dog', '<unk>'], 5)

    Args:
        terms: the terms in the order of their ids; no term may occur twice.
        unknown: the term that stands for all others, or None.
        padding: the term that fills batches, or None.

    Raises:
        InputError: a term is not a string or occurs twice; `unknown` or `padding` is not among the terms.
    """

    terms: tuple[str, ...]
    unknown: str | None = None
    padding: str | None = None
    _index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.terms, str):
            raise InputError(f"terms is one string ({self.terms!r}), expected a sequence of terms: tuple(...)")
        terms = tuple(self.terms)
        index: dict[str, int] = {}
        for i, term in enumerate(terms):
            if not isinstance(term, str):
                raise InputError(f"term {i} of the vocabulary is {term!r}, expected a string")
            if term in index:
                raise InputError(f"term {term!r} occurs twice in the vocabulary, as id {index[term]} and {i}")
            index[term] = i
        for role, name in (("unknown", self.unknown), ("padding", self.padding)):
            if name is not None and name not in index:
                raise InputError(
                    f"the {role} term {name!r} is not in the vocabulary of {len(terms)} terms: add it to terms, "
                    f"or pass {role}=None"
                )
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "_index", MappingProxyType(index))

    def __getstate__(self) -> dict[str, Any]:
        return {"terms": self.terms, "unknown": self.unknown, "padding": self.padding}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def extended(self, terms: Iterable[str]) -> "Vocabulary":
        """Returns a vocabulary in which every term keeps its id, with the terms that are new at the end.

        >>> Vocabulary(("<unk>", "a"), unknown="<unk>").extended(["b", "a"]).terms
        ('<unk>', 'a', 'b')
        """
        return Vocabulary(tuple(dict.fromkeys((*self.terms, *terms))), self.unknown, self.padding)

    # Making one

    @classmethod
    def build(
        cls,
        sequences: Iterable[Iterable[str]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: str | None = "<unk>",
        padding: str | None = "<pad>",
        specials: Sequence[str] = (),
    ) -> "Vocabulary":
        """Counts the terms of many sequences and keeps the frequent ones; see `from_counts`.

        A string is a sequence of characters, so a character vocabulary is ``build(lines)``.

        >>> Vocabulary.build(["abba", "ab"], padding=None).terms
        ('<unk>', 'a', 'b')
        """
        counts: Counter[str] = Counter()
        for sequence in sequences:
            counts.update(sequence)
        return cls.from_counts(
            counts, min_count=min_count, max_size=max_size, unknown=unknown, padding=padding, specials=specials
        )

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: str | None = "<unk>",
        padding: str | None = "<pad>",
        specials: Sequence[str] = (),
    ) -> "Vocabulary":
        """Orders terms by descending count, then by code points: the same counts always give the same ids.

        >>> Vocabulary.from_counts({"b": 2, "a": 2, "c": 9, "d": 1}, min_count=2, padding=None).terms
        ('<unk>', 'c', 'a', 'b')

        Args:
            counts: how often each term was seen.
            min_count: terms seen less often are left out (and become the unknown term).
            max_size: the most terms, special ones included; None for no limit.
            unknown: stands for all other terms; None for a closed vocabulary, such as tags.
            padding: has id 0, if given.
            specials: further terms, after padding and unknown, whatever their count.

        Raises:
            InputError: `min_count` below 1, or `max_size` without room for the special terms.
        """
        if min_count < 1:
            raise InputError(f"min_count is {min_count}, expected 1 or more")
        head = list(dict.fromkeys(t for t in (padding, unknown, *specials) if t is not None))
        if max_size is not None and max_size < len(head):
            raise InputError(f"max_size is {max_size}, but the special terms alone are {len(head)}: {head}")
        special = set(head)
        body = [term for term, n in counts.items() if n >= min_count and term not in special]
        body.sort(key=lambda term: (-counts[term], term))
        room = None if max_size is None else max_size - len(head)
        return cls((*head, *body[:room]), unknown=unknown, padding=padding)

    # Looking up

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[str]:
        return iter(self.terms)

    def __contains__(self, term: object) -> bool:
        return term in self._index

    @cached_property
    def unknown_id(self) -> int | None:
        """The id of the unknown term, or None."""
        return None if self.unknown is None else self._index[self.unknown]

    @cached_property
    def padding_id(self) -> int | None:
        """The id of the padding term, or None."""
        return None if self.padding is None else self._index[self.padding]

    def id(self, term: str) -> int:
        """Returns the id of a term, or that of the unknown term if it is not in the table.

        >>> Vocabulary(("O", "B-PER", "I-PER")).id("B-PERS")
        Traceback (most recent call last):
        spago_jax.errors.InputError: 'B-PERS' is not in the vocabulary of 3 terms; did you mean 'B-PER'?

        Raises:
            InputError: there is no unknown term and `term` is not in the table.
        """
        found = self._index.get(term, self.unknown_id)
        if found is None:
            raise self._not_found(term)
        return found

    def term(self, id: int) -> str:
        """Returns the term of an id.

        >>> Vocabulary(("a", "b")).term(1)
        'b'

        Raises:
            InputError: the id is not in ``0 .. len - 1`` (negative ids do not count from the end).
        """
        if not 0 <= id < len(self.terms):
            raise InputError(
                f"id {int(id)} is not in the vocabulary: its {len(self.terms)} ids are 0 to {len(self.terms) - 1}"
            )
        return self.terms[id]

    def encode(self, terms: Iterable[str]) -> np.ndarray:
        """Returns the ids of a sequence of terms, ``int32[n]``.

        Raises:
            InputError: as for `id`.
        """
        index, default = self._index, self.unknown_id
        if default is not None:
            get = index.get
            return np.array([get(term, default) for term in terms], np.int32)
        try:
            return np.array([index[term] for term in terms], np.int32)
        except KeyError as error:
            raise self._not_found(error.args[0]) from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the terms of a sequence of ids.

        Raises:
            InputError: as for `term`.
        """
        return [self.term(int(i)) for i in ids]

    def _not_found(self, term: str) -> InputError:
        # A list of thousands of known terms would drown the message.
        hint = did_you_mean(term, self.terms if len(self.terms) <= 50_000 else self.terms[:50_000])
        hint = hint if len(hint) <= 400 else hint[:400] + " ..."
        return InputError(f"{term!r} is not in the vocabulary of {len(self.terms)} terms; {hint}")

    # Files

    def save(self, path: str | Path) -> None:
        """Writes the table: as JSON if the name ends in ``.json``, otherwise as text with one term per line.

        The text form is that of BERT's ``vocab.txt`` and spaGO's ``NewFromFile``; it does not say which terms
        are the unknown and the padding one.

        Raises:
            InputError: a term with a line break cannot be saved as text.
        """
        path = Path(path)
        if path.suffix == ".json":
            text = json.dumps(
                {"format": FORMAT, "unknown": self.unknown, "padding": self.padding, "terms": list(self.terms)},
                ensure_ascii=False,
                indent=0,
            )
        else:
            for i, term in enumerate(self.terms):
                if "\n" in term or "\r" in term or not term:
                    raise InputError(
                        f"term {i} ({term!r}) cannot be one line of a text file: save as .json instead", path=path
                    )
            text = "\n".join(self.terms)
        replace_file(path, text + "\n")

    @classmethod
    def load(cls, path: str | Path, *, unknown: str | None = None, padding: str | None = None) -> "Vocabulary":
        """Reads what `save` wrote, or any text file with one term per line.

        Args:
            path: a ``.json`` file, or a text file.
            unknown: for text files, the unknown term (``"[UNK]"`` in BERT's).
            padding: for text files, the padding term.

        Raises:
            InputError: the file is missing, empty or not a vocabulary.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InputError(f"cannot read the vocabulary: {error.strerror}", path=path) from None
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8 text ({error.reason} at byte {error.start})", path=path) from None
        if path.suffix == ".json":
            try:
                data = json.loads(text)
            except json.JSONDecodeError as error:
                raise InputError(f"not JSON: {error.msg}", path=path, line=error.lineno) from None
            if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("terms"), list):
                raise InputError(f'not a vocabulary: expected {{"format": "{FORMAT}", "terms": [...]}}', path=path)
            terms = data["terms"]
            unknown, padding = data.get("unknown"), data.get("padding")
        else:
            terms = [line.removesuffix("\r") for line in text.split("\n")]
            if terms[-1] == "":
                terms.pop()
            if not terms:
                raise InputError("the vocabulary is empty: expected one term per line", path=path)
        try:
            return cls(tuple(terms), unknown=unknown, padding=padding)
        except InputError as error:
            raise InputError(str(error), path=path) from None
