# SPDX-License-Identifier: BSD-2-Clause
"""Processor: the one path from examples to the arrays of a batch, and from a model's outputs to answers.

Training, evaluation, prediction, export and serving all use it. It runs on the host and needs only NumPy, so that an
exported folder can carry its source.
"""

import abc
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from spago_jax.errors import InputError

Example = TypeVar("Example")
AnswerType = TypeVar("AnswerType", bound="Answer")

Paint = Callable[[str, str], str]
"""Marks a piece of text with its label: ``paint("Paris", "location")``."""


class Answer(abc.ABC):
    """The answer to one input, which it can be laid beside."""

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Returns the answer as a plain dict, ready for JSON; offsets are code points, half-open."""

    @abc.abstractmethod
    def to_text(self, paint: Paint | None = None) -> str:
        """Returns the answer as readable lines, each with its line end; ``paint`` marks labels, if there are any."""

    def to_columns(self) -> str | None:
        """Returns the answer as CoNLL columns, or None if it has none."""
        return None


Finding = TypeVar("Finding", covariant=True)


class Findings(Generic[Finding]):
    """A mixin for answers that are a sequence of findings: they can be counted, indexed and iterated over."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, best or first one first."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, place: int) -> Finding:
        return self.findings[place]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __bool__(self) -> bool:
        return True  # an answer without findings is an answer


class Rows(abc.ABC):
    """Encoded examples, from which batches are made. An example may have several rows (windows of a long text).

    Attributes:
        lengths: the length of each row, int [n], by which batches are sorted.
        owners: the number of the example that each row belongs to, int [n].
    """

    lengths: np.ndarray
    owners: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


class Processor(abc.ABC, Generic[Example, AnswerType]):
    """Turns examples into arrays and outputs into answers; saved among the assets of a run.

    Attributes:
        outputs: the outputs of a prediction that ``decode`` reads.
        unit: the unit that throughput counts.
        whole: whether a user's file is one input, rather than each of its lines.
        generates: whether an answer is written step by step, each step reading the one before.
        example_options: what a user may set when predicting that ``example`` takes, rather than ``decode``.
    """

    outputs: ClassVar[tuple[str, ...]] = ()
    unit: str = "examples"
    whole: bool = False
    generates: ClassVar[bool] = False
    example_options: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def example(self, value: Any) -> Example:
        """Makes an example of a user's input: a text, a list of tokens, an array, a dict of an example's fields.

        Raises:
            InputError: for a value of another kind.
        """

    @abc.abstractmethod
    def encode(self, examples: Iterable[Example]) -> Rows:
        """Encodes some examples into rows, in memory, in their order."""

    @abc.abstractmethod
    def batch(self, rows: Any, indices: np.ndarray, length: int, *, targets: bool = False) -> dict[str, np.ndarray]:
        """Returns the arrays of some rows.

        Args:
            rows: from ``encode``, or of a corpus encoded on disk.
            indices: the rows to take, int64 of any shape; -1 is an empty row, of length and weight 0.
            length: the length that rows are padded to.
            targets: add the arrays that only a loss needs, under names of their own.
        """

    @property
    def longest(self) -> int | None:
        """The length of the longest row that there can be, or None where nothing limits it."""
        return getattr(self, "max_length", None)

    @abc.abstractmethod
    def specs(self) -> dict[str, str]:
        """Returns dtypes and shapes of a prediction's arrays, by name: ``{"words": "i32[batch, time]"}``."""

    def sizes(self) -> dict[str, int]:
        """Returns typical sizes of the free dimensions of ``specs`` except the batch, for pictures and costs."""
        return {"time": 32}

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: Any,
        owned: Sequence[int],
        example: Example,
    ) -> AnswerType:
        """Returns the answer to one example; a processor that ``generates`` has none, for a loop writes its answers.

        Args:
            outputs: the outputs of each of its rows, without the batch axis.
            rows: the rows that the outputs belong to.
            owned: the numbers of the example's rows.
            example: the example, as it was encoded.

        Subclasses may take what the task lets a user set as keyword arguments.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """Returns all that restores it beside its vocabularies, as plain JSON."""

    @abc.abstractmethod
    def save(self, folder: Path) -> None:
        """Writes ``processor.json`` and its vocabularies into an existing folder."""

    @classmethod
    @abc.abstractmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote.

        Raises:
            InputError: if it is missing or damaged.
        """

    def components(self) -> list[Any]:
        """Returns the objects whose source an exported folder has to carry, this one first."""
        return [self]


def save_settings(processor: Processor, folder: Path) -> None:
    """Writes ``processor.json``: the settings of a processor."""
    text = json.dumps(processor.settings(), indent=1, ensure_ascii=False)
    (folder / "processor.json").write_text(text, encoding="utf-8")


def load_settings(folder: Path) -> dict[str, Any]:
    """Reads ``processor.json``.

    Raises:
        InputError: if it is missing or damaged.
    """
    path = folder / "processor.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"the processor's assets cannot be read: {error}", path=path) from None
    if not isinstance(found, dict):
        raise InputError(f"a {type(found).__name__}, expected the settings of a processor", path=path)
    return found


@contextmanager
def restoring(folder: Path, what: str) -> Iterator[None]:
    """Turns whatever wrong settings of a processor bring about into an InputError that names their file.

    Args:
        folder: that of the assets.
        what: the kind of processor, with an article, for the message.
    """
    try:
        yield
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        why = f"{error.args[0]!r} is missing" if type(error) is KeyError else str(error)
        raise InputError(f"not the settings of {what}: {why}", path=folder / "processor.json") from None


def padded_length(longest: int, lengths: Sequence[int]) -> int:
    """Returns the first of these lengths that is long enough; beyond them, the next multiple of the last one.

    >>> padded_length(17, (16, 32)), padded_length(70, (16, 32))
    (32, 96)
    """
    return next((length for length in lengths if length >= longest), -(-longest // lengths[-1]) * lengths[-1])
