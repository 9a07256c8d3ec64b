# SPDX-License-Identifier: BSD-2-Clause
"""Questions about passages in the JSON format of SQuAD, versions 1.1 and 2.0, which XQuAD and others use as well."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from spago_jax.data.examples import Question
from spago_jax.data.files import find_file, open_text
from spago_jax.data.formats.split_files import SplitFiles
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError
from spago_jax.text.unicode import refuse_surrogates

__all__ = ["Squad", "read_squad"]

_SHOWN = 40  # characters of an answer in a message


class Squad(SplitFiles):
    """Questions about passages in the JSON files of SQuAD 1.1 and 2.0, XQuAD, and others of this format."""

    format: Literal["squad"]
    repair_answers: bool = Field(
        default=False, description="move an answer whose answer_start is wrong to where its text stands nearest"
    )

    draw_by: Literal["passage", "title", "question"] = Field(
        default="passage",
        description="what dev, test or a fold is drawn of: passages with all their questions, whole articles, or "
        "single questions, whose passages other parts then know",
    )

    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def read_files(self, files: Sequence[Path], notes: Notes) -> Iterator[Question]:
        """Yields the questions of some files."""
        for path in files:
            bad = BadRows("questions", skip=self.skip_bad_rows, notes=notes)
            yield from read_squad(path, repair=self.repair_answers, bad=bad, notes=notes)

    def settings(self, split: str) -> dict[str, Any]:
        """Returns all that the examples of a part depend on; how parts are drawn only where one is."""
        return {name: value for name, value in super().settings(split).items() if name != "draw_by"}

    def _drawing(self) -> dict[str, Any]:
        found = super()._drawing()
        return found and {**found, "by": self.draw_by}

    def draw(self) -> dict[str, np.ndarray]:
        """Draws the parts; no passage, or no article, is in two of them unless single questions are drawn."""
        if self.draw_by == "question":
            return super().draw()
        groups: dict[str, int] = {}
        owners = []
        for question in self.read_files(self.files("train"), Notes()):
            whole = question.title if self.draw_by == "title" else None
            owners.append(groups.setdefault(question.passage if whole is None else whole, len(groups)))
        owner = np.array(owners, np.int64)
        try:
            parts = self.draw_groups(len(groups))
        except InputError as error:
            raise InputError(f"{error}; each is a whole {self.draw_by} (data.draw_by)") from None
        return {name: np.flatnonzero(np.isin(owner, chosen)) for name, chosen in parts.items()}


def read_squad(
    path: str | Path, *, repair: bool = False, bad: BadRows | None = None, notes: Notes | None = None
) -> Iterator[Question]:
    """Reads the questions of a file.

    A question without answers is impossible if the file says so (``is_impossible``, version 2.0); otherwise its answers
    are not known. What version 2.0 calls plausible answers is not read.

    Args:
        path: a JSON file, ``.gz`` too.
        repair: whether an answer that does not stand where the file says is moved to where it stands nearest.
        bad: takes malformed questions; None: they are an error, reported together.
        notes: where moved answers are counted.

    Raises:
        InputError: the file is missing, is not JSON, or is not in this format; questions are malformed, among them
            those with an answer that does not stand at its ``answer_start`` (each with its id, and its number in the
            file in the place of a line).

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.json")
    >>> qas = [{"id": "q1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 4}]}]
    >>> _ = file.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Yes Ada.", "qas": qas}]}]}))
    >>> list(read_squad(file))
    [Question(id='q1', question='Who?', passage='Yes Ada.', answers=(('Ada', 4),), impossible=False, line=1)]
    """
    return _questions(find_file(path), repair, bad or BadRows("questions"), notes or Notes())


def _questions(path: Path, repair: bool, bad: BadRows, notes: Notes) -> Iterator[Question]:
    with open_text(path) as file:
        try:
            document = json.load(file)
        except (ValueError, RecursionError) as problem:
            if isinstance(problem, UnicodeDecodeError):
                raise
            raise InputError(f"not JSON: {problem}", path=path) from None
    number, seen, found = 0, dict[str, int](), False
    for place, title, passage, qas in _passages(path, document):
        for index, entry in enumerate(qas):
            number += 1
            try:
                question = _question(entry, passage, number, repair, path, notes)
                if question.id in seen:
                    raise ValueError(f"the id is there twice: {question.id!r}, also of question {seen[question.id]}")
            except ValueError as error:
                name = entry.get("id") if isinstance(entry, Mapping) else None
                kind, _, rest = str(error).partition(": ")
                bad.add(f"{kind}: {rest} (id {name!r}, {place}.qas.{index})", path=path, line=number)
                continue
            seen[question.id] = number
            question.title = title
            found = True
            yield question
    bad.finish()
    if not found:
        raise bad.nothing_left("no questions", path=path)


def _passages(path: Path, document: object) -> Iterator[tuple[str, str | None, str, list[Any]]]:
    """The place, the title, the text and the questions of each passage."""

    def part(value: object, key: str, kind: type, place: str) -> Any:
        if not isinstance(value, Mapping):
            raise InputError(f"{place or 'the file'}: {json.dumps(value)[:_SHOWN]}, expected an object", path=path)
        if not isinstance(value.get(key), kind):
            what = {list: "an array", str: "a text"}[kind]
            raise InputError(
                f"{f'{place}.{key}' if place else key}: expected {what}, as SQuAD has it; found"
                f" {', '.join(map(repr, value)) or 'nothing'}" + (f" in {place}" if place else ""),
                path=path,
            )
        return value[key]

    for i, article in enumerate(part(document, "data", list, "")):
        for j, paragraph in enumerate(part(article, "paragraphs", list, f"data.{i}")):
            place = f"data.{i}.paragraphs.{j}"
            passage = refuse_surrogates(part(paragraph, "context", str, place), f"{place}.context: ", path=path)
            title = article.get("title")
            yield place, title if isinstance(title, str) else None, passage, part(paragraph, "qas", list, place)


def _question(entry: object, passage: str, number: int, repair: bool, path: Path, notes: Notes) -> Question:
    """The question of an entry.

    Raises:
        ValueError: what is wrong with it; what stands before the first colon is the kind of mistake.
    """
    if not isinstance(entry, Mapping):
        raise ValueError(f"not an object: a {type(entry).__name__}")
    id, text = entry.get("id"), entry.get("question")
    if isinstance(id, bool) or not isinstance(id, str | int) or id == "":
        raise ValueError(f"no id: {id!r}")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"no question: {text!r}")
    impossible = entry.get("is_impossible", False)
    answers = entry.get("answers", [])
    if not isinstance(impossible, bool):
        raise ValueError(f"is_impossible is neither true nor false: {impossible!r}")
    if not isinstance(answers, list):
        raise ValueError(f"answers are not an array: a {type(answers).__name__}")
    if impossible and answers:
        raise ValueError(f"impossible, and answered: {json.dumps(answers)[:_SHOWN]}")
    refuse_surrogates(f"{id} {text}", "not Unicode: ")
    placed = tuple(_answer(answer, passage, number, repair, path, notes) for answer in answers)
    return Question(str(id), text, passage, placed, impossible, number)


def _answer(answer: object, passage: str, number: int, repair: bool, path: Path, notes: Notes) -> tuple[str, int]:
    text = answer.get("text") if isinstance(answer, Mapping) else None
    start = answer.get("answer_start") if isinstance(answer, Mapping) else None
    if not isinstance(text, str) or not text:
        raise ValueError(f"an answer without a text: {answer!r}")
    if not isinstance(start, int) or isinstance(start, bool):
        raise ValueError(f"an answer without a place: answer_start of {text[:_SHOWN]!r} is {start!r}")
    if start >= 0 and passage.startswith(text, start):
        return text, start
    places = _places(passage, text)
    if not places:
        raise ValueError(f"an answer that is not in the passage: {text[:_SHOWN]!r}")
    nearest = min(places, key=lambda place: abs(place - start))
    if repair:
        notes.add("answers moved to where their text stands", path=path, line=number)
        return text, nearest
    there = passage[max(0, start) : max(0, start) + len(text)][:_SHOWN]
    raise ValueError(
        f"a wrong answer_start: {text[:_SHOWN]!r} does not stand at {start}, where {there!r} is, but at {nearest}; move"
        " such answers with data.repair_answers: true"
    )


def _places(passage: str, text: str) -> list[int]:
    places, at = [], passage.find(text)
    while at >= 0:
        places.append(at)
        at = passage.find(text, at + 1)
    return places
