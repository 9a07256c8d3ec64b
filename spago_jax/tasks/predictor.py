# SPDX-License-Identifier: BSD-2-Clause
"""Predictor: examples in, answers out, as they come. Needs NumPy alone; an exported folder carries a copy."""

import abc
import argparse
import dataclasses
import io
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.files import text_lines
from spago_jax.data.processor import Answer, Paint, Processor, Rows, padded_length
from spago_jax.errors import InputError
from spago_jax.text.unicode import refuse_surrogates

Call = Callable[[dict[str, np.ndarray]], Mapping[str, Any]]

LENGTHS = (16, 32, 64, 128, 256, 512)
"""The lengths that rows are padded to."""

FINE_LENGTHS = (16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)
"""The same for models that are worth more programs, until a warm-up compiles all that there may be."""

CALL = 32
"""What a call costs beside its pieces, in pieces: the weights are read once more."""

FORMATS = ("text", "json", "conll")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """An input that is ready for the model: what is wrong with it has been said, and what it costs is known.

    Attributes:
        by: the predictor that answers it.
        example: the input as an example of the task.
        options: what a user set for it, where ``example`` did not take it.
        lengths: the padded length of each row that the model is called with.
        dropped: how many of its tokens the model will not read.
        rows: the example encoded, where the predictor keeps that.
    """

    by: "Predictor"
    example: Any
    options: Mapping[str, Any]
    lengths: tuple[int, ...]
    dropped: int = 0
    rows: Any = None

    @property
    def cost(self) -> int:
        """The padded tokens of its rows; at least 1."""
        return max(sum(self.lengths), 1)

    @property
    def kind(self) -> tuple[int, str]:
        """What inputs share that are answered in one call."""
        return id(self.by), "" if self.by.mixes else repr(sorted(self.options.items()))


class Predictor(abc.ABC):
    """A task with a trained model, ready to answer.

    Attributes:
        name: of the task.
        processor: from inputs to arrays, and from outputs to answers.
        Options: the section of a config that names what a user may set when predicting, where it is known.
        mixes: whether inputs with other options may be answered in one call.
    """

    name: str
    processor: Any
    Options: ClassVar[Any] = None
    mixes: bool = False

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The answer to one input, or the list of answers to a list of inputs.

        A list of strings is several texts; tokens of one sentence are a tuple of strings, or a list within a list.

        Args:
            inputs: one input, or a list of them.
            options: what the task lets a user set (the temperature of a language model).

        Raises:
            InputError: for an input that the task does not read.
        """
        if isinstance(inputs, list):
            return list(self.stream(inputs, **options))
        (answer,) = self.stream([inputs], **options)
        return answer

    @abc.abstractmethod
    def stream(self, inputs: Iterable[Any], *, at_once: int | None = None) -> Iterator[Answer]:
        """The answers as they come, in order.

        Args:
            inputs: texts, or what else the processor takes for an example.
            at_once: how many inputs may be waited for; 1 answers each before the next is read.
        """

    def prepare(self, value: object, **options: Any) -> Prepared:
        """Reads an input, without the model: a server does it beside the call that runs.

        Args:
            value: as an item of ``stream``.
            options: as for ``stream``.

        Raises:
            InputError: for an input that the task does not read.
        """
        example, rest = self._asked(value, options)
        rows = self.processor.encode([example])
        return Prepared(self, example, rest, tuple(rows.lengths.tolist()), dropped_of(rows))

    def answers(
        self, prepared: Sequence[Prepared], cancelled: Callable[[], bool] | None = None
    ) -> list[Answer | Exception]:
        """Answers some inputs of one ``kind`` together; what is wrong with one of them is the answer to it alone.

        Args:
            prepared: inputs that this predictor prepared.
            cancelled: is asked between the steps of what is written step by step; once it says true, nobody waits for
                the answers.
        """
        try:
            return list(self._prepared(prepared, cancelled))
        except Exception as error:
            if len(prepared) == 1:
                return [error]
        return [answer for each in prepared for answer in self.answers([each], cancelled)]

    def streamed(self, prepared: Prepared) -> Iterator[str]:
        """The answer to an input in pieces, each as soon as it is written; closing the iterator stops the writing.

        Raises:
            InputError: for a task that does not write step by step, or options that do not allow it.
        """
        raise InputError(f"{self.name} does not write its answers step by step")

    def _prepared(self, prepared: Sequence[Prepared], cancelled: Callable[[], bool] | None) -> Iterator[Answer]:
        return self.stream([each.example for each in prepared], **prepared[0].options)

    def _asked(self, value: object, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Returns an input as an example, and the options that are left for the answer."""
        names = self.processor.example_options
        asked = {name: options[name] for name in names if name in options}
        return self._example(value, **asked), {name: options[name] for name in options if name not in names}

    def written(
        self,
        inputs: Iterable[Any],
        form: str,
        paint: Paint | None = None,
        *,
        at_once: int | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """The answers as pieces of text, each as soon as it is known.

        Args:
            inputs: as for ``stream``.
            form: ``text``, ``json`` (one object per line) or ``conll``.
            paint: marks labels in text.
            at_once: as for ``stream``.
            options: as for ``stream``.

        Raises:
            InputError: for a form that the answers do not have.
        """
        for answer in self.stream(inputs, **{"at_once": at_once, **options}):
            yield written(self.name, answer, form, paint)

    def _example(self, value: object, **options: Any) -> Any:
        """An input as an example of the task.

        Raises:
            InputError: for an input that the task does not read, or a text that is not Unicode.
        """
        if isinstance(value, str):
            refuse_surrogates(value)
        elif isinstance(value, tuple | list):
            for number, piece in enumerate(value):
                if isinstance(piece, str):
                    refuse_surrogates(piece, f"token {number}: ")
        return self.processor.example(value, **options)


class BatchPredictor(Predictor):
    """Answers from one call of the model per batch of rows of similar length.

    Args:
        name: of the task.
        processor: of the task.
        call: from the arrays of a batch to the model's outputs.
        max_tokens: rows times padded length of a call, at most.
        waiting: inputs that are read before the first of them is answered, so that rows of like length meet.
        freeze: forbids the model to be compiled for any other shape; called after ``warm_up``.
        fine: whether rows are padded to ``FINE_LENGTHS``, and to every power of two of rows, for as long as nothing is
            warmed up: less padding, and more programs.
    """

    def __init__(
        self,
        name: str,
        processor: Processor,
        call: Call,
        *,
        max_tokens: int = 4096,
        waiting: int = 256,
        freeze: Callable[[], object] | None = None,
        fine: bool = False,
    ):
        self.name, self.processor, self.call, self._freeze, self.fine = name, processor, call, freeze, fine
        self.max_tokens, self.waiting = max_tokens, waiting
        self.mixes = True
        self._has_length = any("time" in spec for spec in processor.specs().values())

    def stream(self, inputs: Iterable[Any], *, at_once: int | None = None, **options: Any) -> Iterator[Answer]:
        """The answers as they come, in order; at most ``waiting`` inputs are held.

        Of inputs with a method ``arrived(count)``, as many as are there are answered together.
        """
        asked = {name: options.pop(name) for name in self.processor.example_options if name in options}
        iterator = iter(inputs)
        arrived = getattr(inputs, "arrived", lambda count: list(islice(iterator, count)))
        while chunk := arrived(at_once or self.waiting):
            yield from self._answers([self._example(value, **asked) for value in chunk], options)

    def prepare(self, value: object, **options: Any) -> Prepared:
        """Encodes an input, without the model."""
        example, rest = self._asked(value, options)
        rows = self.processor.encode([example])
        lengths = [self._padded(length) if self._has_length else 1 for length in rows.lengths.tolist()]
        return Prepared(self, example, rest, tuple(lengths), dropped_of(rows), rows)

    def answers(
        self, prepared: Sequence[Prepared], cancelled: Callable[[], bool] | None = None
    ) -> list[Answer | Exception]:
        """Answers inputs together, whatever their options, by the calls with the least padding."""
        owned = [(each, row) for each in prepared for row in range(len(each.rows))]
        outputs: dict[int, dict[str, np.ndarray]] = {}
        try:
            for chunk, shape in self.plan_of([int(each.rows.lengths[row]) for each, row in owned]):
                found = self.call(self._joined([owned[place] for place in chunk], *shape))
                arrays = {name: np.asarray(found[name]) for name in self.processor.outputs}
                for place, row in enumerate(chunk):
                    outputs[row] = {name: array[place] for name, array in arrays.items()}
        except Exception as error:
            if len(prepared) == 1:
                return [error]
            return [answer for each in prepared for answer in self.answers([each], cancelled)]
        answers: list[Answer | Exception] = []
        at = 0
        for each in prepared:
            own, at = range(at, at + len(each.rows)), at + len(each.rows)
            found = [outputs[row] for row in own]
            try:
                answers.append(self.processor.decode(found, each.rows, range(len(own)), each.example, **each.options))
            except Exception as error:
                answers.append(error)
        return answers

    def _joined(self, rows: Sequence[tuple[Prepared, int]], count: int, length: int) -> dict[str, np.ndarray]:
        """The arrays of rows that were encoded one by one, and of empty rows after them."""
        parts = [self.processor.batch(each.rows, np.array([row]), length) for each, row in rows]
        if count > len(rows):
            parts.append(self.processor.batch(rows[0][0].rows, np.full(count - len(rows), -1), length))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def shapes(self) -> list[tuple[int, int]]:
        """Every (rows, length) that a call may have: what a server compiles beforehand."""
        lengths = [1]
        if self._has_length:
            grid = FINE_LENGTHS if self.fine else LENGTHS
            longest = self.processor.longest or grid[-1]
            lengths = [n for n in grid if n < longest] + list(range(2 * grid[-1], longest, grid[-1])) + [longest]
        return [(rows, length) for length in lengths for rows in self._row_counts(length)]

    def warm_up(self) -> None:
        """Compiles the model for every shape that there is, runs it, and forbids any other shape.

        What can be compiled without being run is compiled on all cores, and run in the smallest shape of each length.
        """
        self.fine = False
        rows = self.processor.encode([])
        prepare = getattr(self.call, "prepare", None)
        shapes = self.shapes()
        if prepare is not None:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                # Traced here, one after the other, while those before are compiled there.
                arrays = (self.processor.batch(rows, np.full(count, -1), length) for count, length in shapes)
                for done in [pool.submit(prepare(batch)) for batch in arrays]:
                    done.result()
            shapes = [shape for shape in shapes if shape[0] == 1]
        for count, length in shapes:
            self.call(self.processor.batch(rows, np.full(count, -1), length))
        if self._freeze is not None:
            self._freeze()

    def _answers(self, examples: Sequence[Any], options: Mapping[str, Any]) -> Iterator[Answer]:
        rows = self.processor.encode(examples)
        # All calls are under way before the first is waited for: the device is not left idle.
        calls = [(chunk, self._call(rows, chunk, *shape)) for chunk, shape in self.plan_of(rows.lengths.tolist())]
        outputs: dict[int, dict[str, np.ndarray]] = {}
        for chunk, found in calls:
            arrays = {name: np.asarray(found[name]) for name in self.processor.outputs}
            for place, row in enumerate(chunk):
                outputs[row] = {name: array[place] for name, array in arrays.items()}
        owned: dict[int, list[int]] = defaultdict(list)
        for row, owner in enumerate(rows.owners.tolist()):
            owned[owner].append(row)
        for number, example in enumerate(examples):
            found = [outputs[row] for row in owned[number]]
            yield self.processor.decode(found, rows, owned[number], example, **options)

    def plan_of(self, lengths: Sequence[int]) -> list[tuple[list[int], tuple[int, int]]]:
        """Returns the calls that rows of such lengths are answered by; see ``plan``."""
        if not self._has_length:
            lengths = [1] * len(lengths)
            return plan(lengths, lengths, self._row_counts)
        return plan(lengths, [self._padded(length) for length in lengths], self._row_counts)

    def _padded(self, length: int) -> int:
        """The length that a row is padded to; never more than a row may have, for which a model may lack positions."""
        found = padded_length(length, FINE_LENGTHS if self.fine else LENGTHS)
        longest = self.processor.longest
        return found if longest is None else max(min(found, longest), length)

    def _call(self, rows: Rows, chunk: Sequence[int], count: int, length: int) -> Mapping[str, Any]:
        indices = np.full(count, -1)
        indices[: len(chunk)] = chunk
        return self.call(self.processor.batch(rows, indices, length))

    def _row_counts(self, length: int) -> list[int]:
        """Few numbers of rows, so that there are few programs: 1, 4, 16, ... up to the most that fit."""
        most = max(self.max_tokens // max(length, 16), 1)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128) if self.fine else (1, 4, 16, 64)
        return [size for size in sizes if size < most] + [most]


def dropped_of(rows: Rows) -> int:
    """Returns how many tokens of an example were cut off, as its rows say it."""
    return max((encoding.dropped for encoding in getattr(rows, "encodings", ())), default=0)


class TokenPredictor(BatchPredictor):
    """A ``BatchPredictor`` of a task that reads sentences by their tokens too."""

    def __call__(self, inputs: Any = None, *, tokens: Sequence[Any] | None = None, **options: Any) -> Any:
        """The answer to one input, or the list of answers to a list of inputs.

        Args:
            inputs: one input, or a list of them.
            tokens: instead of inputs, the tokens of one sentence, or a list of those of several.
            options: what the task lets a user set.

        Raises:
            InputError: for an input that the task does not read.
        """
        if tokens is None:
            return super().__call__(inputs, **options)
        if inputs is not None:
            raise InputError("inputs and tokens: give one of the two")
        if isinstance(tokens, str):
            raise InputError(f"tokens is one text, {tokens[:40]!r}; give it as the input, or a list of its tokens")
        one = all(isinstance(token, str) for token in tokens)
        return super().__call__(tuple(tokens) if one else [tuple(sentence) for sentence in tokens], **options)


def plan(
    lengths: Sequence[int], padded: Sequence[int], counts: Callable[[int], Sequence[int]]
) -> list[tuple[list[int], tuple[int, int]]]:
    """Returns the calls that answer some rows with the least padding: the rows of each, and its shape (rows, length).

    Rows of like length stand together. Of all ways to cut the sorted rows into calls, the one is taken whose calls
    have the fewest places in all, each call counted as ``CALL`` more.

    Args:
        lengths: of the rows.
        padded: the length that a call must have for each row; not falling as the lengths rise.
        counts: the numbers of rows that a call of a length may have.

    >>> plan([9, 30, 10], [16, 32, 16], lambda length: [1, 2])
    [([0, 2], (2, 16)), ([1], (1, 32))]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # the least cost of the first so many rows, and the shape of the last call of it
    best: list[tuple[int, tuple[int, int]]] = [(0, (0, 0))]
    for end in range(1, len(order) + 1):
        length = padded[order[end - 1]]
        ways = ((best[max(end - n, 0)][0] + n * length + CALL, (n, length)) for n in counts(length))
        best.append(min(ways))
    found, end = [], len(order)
    while end > 0:
        start = max(end - best[end][1][0], 0)
        found.append((order[start:end], best[end][1]))
        end = start
    return found[::-1]


def written(task: str, answer: Answer, form: str, paint: Paint | None = None) -> str:
    """An answer as text, as a line of JSON, or as CoNLL columns.

    Raises:
        InputError: for columns of an answer that has none.
    """
    if form == "json":
        return json.dumps(answer.to_dict(), ensure_ascii=False) + "\n"
    if form == "conll":
        columns = answer.to_columns()
        if columns is None:
            raise InputError(f"{task} has no tags to write as CoNLL columns; choose the format text or json")
        return columns
    return answer.to_text(paint)


def main(
    load: Callable[[], Predictor], arguments: Sequence[str] | None = None, *, options: Mapping[str, type] | None = None
) -> None:
    """The command line of an exported folder: texts as arguments, lines of a file, or lines of standard input.

    Args:
        load: opens the folder.
        arguments: those of the command line, by default.
        options: what a user may set when predicting, with its type: ``{"top_k": int}`` is ``--top-k 3``.
    """
    parser = argparse.ArgumentParser(description="Answers texts with the exported model.")
    parser.add_argument("texts", nargs="*", help="texts to answer; lines of standard input where there are none")
    parser.add_argument("--input", help="a file of one text per line (a whole source for models of code), or .npy")
    parser.add_argument("--format", choices=FORMATS, default="text")
    for name, kind in (options or {}).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS)
    chosen = vars(parser.parse_args(arguments))
    name, form, texts = chosen.pop("input"), chosen.pop("format"), chosen.pop("texts")
    predictor = load()
    try:
        inputs: Iterable[Any] = texts
        if name and name.endswith(".npy"):
            inputs = np.load(name, allow_pickle=False)
        elif name or not texts:
            with open(name, "rb") if name else nullcontext(sys.stdin.buffer) as file:
                if predictor.processor.whole:
                    inputs = [io.TextIOWrapper(file, "utf-8-sig").read()]
                else:
                    inputs = list(text_lines(file, name or "-"))
        for piece in predictor.written(inputs, form, **chosen):
            sys.stdout.write(piece)
            sys.stdout.flush()
    except (InputError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"predict: {error}")
