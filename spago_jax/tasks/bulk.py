# SPDX-License-Identifier: BSD-2-Clause
"""Many inputs from files, answered in blocks: the same answers whole, in shards, and after an interruption."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from spago_jax.data.formats.split_files import expanded
from spago_jax.errors import InputError
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.predictor import Predictor

Line = tuple[InputFile, int, str]
"""An input as it is written: its file, its number there, and the line."""

BLOCK = 64
"""How many inputs a block has. The last digits of an answer depend on what it is computed beside, so that only inputs
that are always in the same block always have the same answer."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of several contiguous parts of the inputs, made of whole blocks.

    Attributes:
        index: which part, from 1.
        of: how many parts there are.

    >>> Shard.parse("2/3")
    Shard(index=2, of=3)
    """

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads ``i/n``.

        Raises:
            InputError: for anything else, and for a part that there is not.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None:
            raise InputError(f"--shard {text!r}: expected the number of a part and how many there are, as in 1/4")
        index, of = int(found[1]), int(found[2])
        if not 1 <= index <= of:
            raise InputError(f"--shard {text}: parts are numbered from 1 to {of}")
        return cls(index, of)

    def part(self, count: int, size: int) -> range:
        """Returns the places of its inputs, among ``count`` in blocks of ``size``; the parts join without a gap.

        >>> [list(Shard(index, 3).part(7, 2)) for index in (1, 2, 3)]
        [[0, 1], [2, 3], [4, 5, 6]]
        """
        blocks = -(-count // size)
        first, last = (blocks * end // self.of for end in (self.index - 1, self.index))
        return range(min(first * size, count), min(last * size, count))


def input_files(name: str) -> list[InputFile]:
    """Returns the files that a name or a pattern such as ``news-*.jsonl.gz`` stands for, sorted by their names.

    Raises:
        InputError: for a file that does not exist, a folder, or a pattern that no file matches.
    """
    if name == "-":
        return [InputFile(name)]
    found = expanded(name, lambda _: False)
    return [InputFile(name)] if found == [Path(name)] else [InputFile(str(path)) for path in found]


def input_lines(files: Iterable[InputFile]) -> Iterator[Line]:
    """Yields every input of some files, as the line that it is written in, with its file and its number there."""
    for file in files:
        for number, line in enumerate(file.lines(), 1):
            if line.strip() or not file.has_records:
                yield file, number, line


def answered_blocks(
    predictor: Predictor,
    files: Sequence[InputFile],
    read: Callable[[Iterable[Line]], Iterable[Any]],
    form: str,
    options: Mapping[str, Any],
    *,
    batch_size: int | None = None,
    shard: Shard | None = None,
    kept: int = 0,
) -> Iterator[list[str]]:
    """Yields the written answers to the inputs of some files, block after block.

    Args:
        predictor: what answers.
        files: the files, as ``input_files`` finds them; they are read twice where there is a shard.
        read: makes inputs of lines.
        form: how answers are written: ``text`` or ``json``.
        options: what the task lets a user set.
        batch_size: how many inputs a block has; ``BLOCK`` by default.
        shard: which part of the inputs is answered; all of them by default.
        kept: how many of its first answers are not yielded, because they are known.

    Raises:
        InputError: for the first input that the task does not read; the blocks before its own have been answered.
    """
    size = batch_size or BLOCK
    first, last = 0, None
    if shard is not None:
        part = shard.part(sum(1 for _ in input_lines(files)), size)
        first, last = part.start, part.stop
    begin, known = first + kept // size * size, kept % size
    # A block of which a part is known is answered whole, or the rest of it would not be as it was.
    inputs = iter(read(islice(input_lines(files), begin, None if last is None else max(last, begin))))
    while block := list(islice(inputs, size)):
        yield list(predictor.written(block, form, at_once=batch_size, **options))[known:]
        known = 0
