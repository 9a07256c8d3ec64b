# SPDX-License-Identifier: BSD-2-Clause
"""Made-up strings with what is to be written for them: a first problem for encoder-decoders, which needs no files."""

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from spago_jax.core.section import PositiveInt
from spago_jax.data.examples import Parallel
from spago_jax.data.formats.reader import SPLITS, Reader
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError

__all__ = ["Strings"]

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TRIES = 100  # strings that were drawn before, one after the other, which say that there are no others


class Strings(Reader):
    """Strings of letters with their reverse (``abc``, ``cba``), or dates with their usual form (``2021-03-07``)."""

    format: Literal["strings"]
    rule: Literal["reverse", "dates"] = Field(
        default="reverse", description="what is to be written: the string backwards, or the date as YYYY-MM-DD"
    )
    letters: str = Field(
        default="abcdefghijklmnopqrstuvwxyz", min_length=2, description="the letters of strings that are reversed"
    )
    shortest: PositiveInt = Field(default=3, description="the fewest letters of a string that is reversed")
    longest: PositiveInt = Field(default=12, description="the most letters")
    train_examples: PositiveInt = Field(default=20000, description="strings to learn from")
    eval_examples: PositiveInt = Field(default=500, description="strings of dev and of test, none of them in train")
    seed: int = Field(default=1, ge=0, lt=2**32, description="of the drawing")

    @model_validator(mode="after")
    def _some_lengths(self) -> "Strings":
        if self.shortest > self.longest:
            raise ValueError(f"data.shortest = {self.shortest} is more than data.longest = {self.longest}")
        return self

    def splits(self) -> list[str]:
        """Returns all three parts, which share no string."""
        return list(SPLITS)

    def files(self, split: str) -> list[Path]:
        """Returns no files: the strings are made up."""
        return []

    def settings(self, split: str) -> dict[str, Any]:
        """Returns all that the strings depend on."""
        return self.model_dump(mode="json")

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Parallel]:
        """Yields the strings of a part; whatever part is asked for, they are drawn in the order test, dev, train.

        Raises:
            InputError: for files, which there are none of, or where there are not so many strings.
        """
        if files is not None:
            raise InputError("data.format: strings makes its strings up and reads no files", path=files[0])
        random = np.random.default_rng(self.seed)
        seen: set[str] = set()
        for part, count in (("test", self.eval_examples), ("dev", self.eval_examples), ("train", self.train_examples)):
            for number in range(1, count + 1):
                pair = self._new(random, seen)
                if part == split:
                    yield Parallel(*pair, number)
            if part == split:
                return

    def _new(self, random: np.random.Generator, seen: set[str]) -> tuple[str, str]:
        for _ in range(_TRIES):
            pair = _date(random) if self.rule == "dates" else self._reversed(random)
            if pair[0] not in seen:
                seen.add(pair[0])
                return pair
        raise InputError(
            f"there are hardly more than {len(seen)} such strings: ask for fewer (data.train_examples, "
            "data.eval_examples), or for longer ones"
        )

    def _reversed(self, random: np.random.Generator) -> tuple[str, str]:
        length = random.integers(self.shortest, self.longest + 1)
        text = "".join(self.letters[i] for i in random.integers(len(self.letters), size=length))
        return text, text[::-1]


def _date(random: np.random.Generator) -> tuple[str, str]:
    first = datetime.date(1900, 1, 1).toordinal()
    day = datetime.date.fromordinal(int(random.integers(first, datetime.date(2100, 1, 1).toordinal())))
    month, weekday = _MONTHS[day.month - 1], _DAYS[day.weekday()]
    forms = (
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{weekday}, {day.day} {month} {day.year}",
        f"{day.day} {month[:3]} {day.year}",
        f"{month[:3]} {day.day} {day.year}",
        f"{day.day}.{day.month}.{day.year}",
        f"{day.year}/{day.month:02}/{day.day:02}",
        f"{day.day:02}-{month[:3].lower()}-{day.year}",
    )
    return forms[random.integers(len(forms))], day.isoformat()
