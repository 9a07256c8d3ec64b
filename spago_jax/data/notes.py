# SPDX-License-Identifier: BSD-2-Clause
"""Counts what was passed over or changed while data were read, so that nothing happens silently."""

import json
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError

_SHOWN = 5  # mistakes listed in one error


class Notes:
    """Remarks about data, each with how often it applies and the first place.

    >>> notes = Notes()
    >>> notes.add("rows skipped: the label is empty", path="a.csv", line=3)
    >>> notes.add("rows skipped: the label is empty", path="a.csv", line=9)
    >>> notes.lines()
    ['2 rows skipped: the label is empty (the first: a.csv:3)']
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, str] = {}
        self._sentences: list[str] = []

    def say(self, sentence: str) -> None:
        """Takes a remark that is not a count."""
        self._sentences.append(sentence)

    def add(self, what: str, *, path: str | Path | None = None, line: int | None = None, count: int = 1) -> None:
        """Counts one remark, worded so that a number may stand before it."""
        self._counts[what] = self._counts.get(what, 0) + count
        if path is not None and what not in self._places:
            self._places[what] = f"{path}:{line}" if line else str(path)

    def lines(self) -> list[str]:
        """Returns the remarks as sentences, the counted ones in order of first appearance."""
        return [
            f"{count:,} {what}" + (f" (the first: {self._places[what]})" if what in self._places else "")
            for what, count in self._counts.items()
        ] + self._sentences

    def save(self, folder: Path) -> None:
        """Writes ``notes.json`` into an existing folder."""
        text = json.dumps({"counts": self._counts, "places": self._places}, ensure_ascii=False)
        (folder / "notes.json").write_text(text, encoding="utf-8", errors="surrogatepass")

    @classmethod
    def load(cls, folder: Path) -> "Notes":
        """Reads what ``save`` wrote; no remarks where there is no file."""
        notes = cls()
        try:
            found: dict[str, Any] = json.loads(
                (folder / "notes.json").read_text(encoding="utf-8", errors="surrogatepass")
            )
            notes._counts, notes._places = dict(found["counts"]), dict(found["places"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return notes


class BadRows:
    """Collects the bad rows of a file: skipped and counted on request, otherwise reported together at its end.

    Args:
        what: the name of a row, in the plural: ``rows`` or ``sentences``.
        skip: whether bad rows are passed over.
        notes: where skipped rows are counted.
    """

    def __init__(self, what: str = "rows", *, skip: bool = False, notes: Notes | None = None):
        self._what, self._skip, self._notes = what, skip, notes or Notes()
        self._errors: list[InputError] = []
        self._first: InputError | None = None
        self._count = 0

    def add(self, message: str, *, path: Path, line: int) -> None:
        """Takes one bad row, with a message that says what is wrong with it."""
        self._count += 1
        self._first = self._first or InputError(message, path=path, line=line)
        if self._skip:
            kind = message.split(":")[0]
            self._notes.add(f"{self._what} skipped: {kind}", path=path, line=line)
        elif len(self._errors) < _SHOWN:
            self._errors.append(InputError(message, path=path, line=line))

    def nothing_left(self, otherwise: str, *, path: Path) -> InputError:
        """Returns the error for a file of which nothing was read.

        Args:
            otherwise: the message where no row was skipped.
            path: the file.
        """
        if self._first is None:
            return InputError(otherwise, path=path)
        skipped = f"{self._count} {self._what} were skipped"
        return InputError(f"nothing is left: {skipped}, the first for this:\n{self._first}")

    def finish(self) -> None:
        """Raises one InputError for all bad rows of the file, unless they are skipped.

        Raises:
            InputError: with the first five bad rows and how many there are.
        """
        if not self._errors:
            return
        if self._count == 1:
            raise self._errors[0]
        more = f"\n... and {self._count - len(self._errors)} more" if self._count > len(self._errors) else ""
        listed = "\n".join(map(str, self._errors))
        raise InputError(
            f"{self._count} {self._what} are bad; mend them, or pass over them with data.skip_bad_rows: true\n"
            f"{listed}{more}"
        )
