# SPDX-License-Identifier: BSD-2-Clause
"""The processor of pre-trained encoders: texts to the ids of their pieces, one row or several windows each."""

import abc
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np

from spago_jax.data.examples import Text
from spago_jax.data.processor import Answer, Processor, Rows, load_settings, restoring, save_settings
from spago_jax.data.ragged import RaggedArray
from spago_jax.errors import InputError, did_you_mean
from spago_jax.tasks.pretrained.windows import shared
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding

CONFIG = "config.json"
Example = TypeVar("Example")
AnswerType = TypeVar("AnswerType", bound=Answer)


class PieceRows(Rows):
    """Encoded texts.

    Attributes:
        encodings: that of each row.
        ids: the ids of each row's pieces.
        types: their token types.
        places: the piece of each row that an answer is read at, int32 [n].
    """

    def __init__(self, encodings: Sequence[Encoding], owners: Sequence[int], places: Sequence[int] | None = None):
        self.encodings = tuple(encodings)
        self.owners = np.asarray(owners, np.int64)
        self.lengths = np.array([len(encoding.ids) for encoding in encodings], np.int64)
        self.ids = self._ragged([encoding.ids for encoding in encodings])
        self.types = self._ragged([encoding.type_ids for encoding in encodings])
        self.places = np.zeros(len(encodings), np.int32) if places is None else np.asarray(places, np.int32)

    def _ragged(self, rows: Sequence[Sequence[int]]) -> RaggedArray:
        values = [value for row in rows for value in row]
        return RaggedArray.from_lengths(np.array(values, np.int32), self.lengths)


class PieceProcessor(Processor[Example, AnswerType], abc.ABC, Generic[Example, AnswerType]):
    """Texts to the ids of their pieces; the answers are the tasks' own.

    Args:
        tokenizer: that of the encoder.
        max_length: the most pieces of a row, special ones among them.

    Attributes:
        config: the ``config.json`` of the encoder, where it was trained by a run, whose assets hold it.
    """

    unit = "pieces"
    config: Mapping[str, Any] | None = None

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int):
        self.tokenizer, self.max_length = tokenizer, max_length

    @abc.abstractmethod
    def encodings(self, examples: Sequence[Example]) -> list[list[Encoding]]:
        """Returns the rows of each example."""

    def encode(self, examples: Iterable[Example]) -> PieceRows:
        """The rows of some examples."""
        rows = self.encodings(list(examples))
        owners = [number for number, own in enumerate(rows) for _ in own]
        return PieceRows([encoding for own in rows for encoding in own], owners)

    def batch(
        self, rows: PieceRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """The ``ids``, ``types`` and ``lengths`` of some rows."""
        ids, lengths = rows.ids.gather(indices, length, pad=self.tokenizer.special_ids.get("pad", 0))
        types, _ = rows.types.gather(indices, length)
        return {"ids": ids, "types": types, "lengths": lengths}

    def specs(self) -> dict[str, str]:
        """The ids and types of pieces, and the lengths of the rows."""
        return {"ids": "i32[batch, time]", "types": "i32[batch, time]", "lengths": "i32[batch]"}

    def settings(self) -> dict[str, Any]:
        """The size of a row."""
        return {"max_length": self.max_length}

    def save(self, folder: Path) -> None:
        """Writes ``processor.json``, the tokenizer's files and the encoder's ``config.json``."""
        save_settings(self, folder)
        self.tokenizer.save(folder / "tokenizer")
        if self.config is not None:
            save_config(self.config, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = {name: value for name, value in load_settings(folder).items() if name != "task"}
        tokenizer = load_tokenizer(folder / "tokenizer")
        with restoring(folder, "a pre-trained encoder"):
            found = cls(tokenizer, **settings)
        found.config = load_config(folder)
        return found

    def components(self) -> list[Any]:
        """The processor and its tokenizer."""
        return [self, self.tokenizer]


class WindowProcessor(PieceProcessor[Example, AnswerType], abc.ABC, Generic[Example, AnswerType]):
    """Texts to windows of pieces.

    Args:
        tokenizer: that of the encoder.
        max_length: the most pieces of a window, special ones among them.
        stride: how many pieces the next window repeats, if there is room for them; 64 by default.
    """

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int, stride: int | None = None):
        super().__init__(tokenizer, max_length)
        self.stride = 64 if stride is None else stride

    def windows(self, text: str | Sequence[str]) -> list[Encoding]:
        """Returns the windows of a text, or of its tokens."""
        room = self.max_length - self.tokenizer.special_count()
        stride = shared(room, self.stride)
        if isinstance(text, str):
            return self.tokenizer.windows(text, max_length=self.max_length, stride=stride)
        return self.tokenizer.windows_of_words(text, max_length=self.max_length, stride=stride)

    def settings(self) -> dict[str, Any]:
        """The size of a window, and how much the next one repeats."""
        return {"max_length": self.max_length, "stride": self.stride}


def save_config(config: Mapping[str, Any], folder: Path) -> None:
    """Writes the ``config.json`` of an encoder among the assets of a run."""
    (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")


def load_config(folder: Path) -> dict[str, Any]:
    """Reads what ``save_config`` wrote.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return dict(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the assets cannot be read: {error}", path=folder / CONFIG) from None


def fields(value: Mapping[str, Any], *needed: str, optional: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the fields of a record, a JSON object of a user's file.

    Raises:
        InputError: for a field that is missing, or one that is not known.

    >>> fields({"text": "a", "pair": "b"}, "text", optional=["pair"])
    {'text': 'a', 'pair': 'b'}
    """
    known = (*needed, *optional, "id", "line")
    for name in needed:
        if name not in value:
            raise InputError(f"the record has no {name!r}, but {', '.join(value) or 'nothing'}")
    for name in value:
        if name not in known:
            raise InputError(f"the record has an unknown field {name!r}: {did_you_mean(name, known)}")
    return {name: value[name] for name in known if name in value}


def placed(value: object) -> tuple[Any, int]:
    """Returns an input and the line that it comes from: a ``Text`` is taken apart, a record may name its line.

    >>> placed(Text("a", 3)), placed({"text": "a", "line": 3})[1], placed("a")
    (('a', 3), 3, ('a', 0))
    """
    if isinstance(value, Text):
        return value.text, value.line
    line = value.get("line", 0) if isinstance(value, Mapping) else 0
    return value, line if isinstance(line, int) else 0


def text_of(value: object, what: str = "a text") -> str:
    """Returns a value that has to be a text.

    Raises:
        InputError: for a value of another type.
    """
    if not isinstance(value, str):
        raise InputError(f"{value!r:.60} is a {type(value).__name__}, expected {what}")
    return value
