# SPDX-License-Identifier: BSD-2-Clause
"""Plain text: in chunks for character models, or line by line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from spago_jax.core.section import DataPath
from spago_jax.data.examples import Text
from spago_jax.data.files import find_file, open_binary, open_text, text_lines
from spago_jax.data.formats.reader import Reader, as_files
from spago_jax.data.notes import Notes

__all__ = ["PlainText", "read_lines", "read_text"]


class PlainText(Reader):
    """Plain text: one file cut into parts, or one file per part."""

    format: Literal["text"]
    train: DataPath = Field(description="text file; its end is cut off for dev and test where these have no file")
    dev: DataPath | None = Field(default=None, description="text file that picks the best checkpoint")
    test: DataPath | None = Field(default=None, description="text file for the final scores")
    dev_fraction: float = Field(default=0.1, ge=0, lt=1, description="share of `train` that becomes dev")
    test_fraction: float = Field(default=0.0, ge=0, lt=1, description="share of `train`, after dev, that becomes test")

    def files(self, split: str) -> list[Path]:
        """Returns the file of a part of the data; none for a part that is cut off the training file."""
        return as_files(getattr(self, split))

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Text]:
        """Yields the text of a part of the data, in pieces."""
        for path in self.files(split) if files is None else files:
            for piece in read_text(path):
                yield Text(piece)


def read_text(path: str | Path, *, chunk: int = 1 << 22) -> Iterator[str]:
    """Reads a UTF-8 text in pieces of at most ``chunk`` characters; joined, they are exactly the text.

    Every line end (LF, CRLF or CR) is read as a line feed, so that a text scores alike whatever system wrote it;
    byte-order marks are left out; ``.gz`` is decompressed.

    Raises:
        InputError: the file is missing, or is not UTF-8 (with the line and the offset of the first bad byte).

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_bytes(b"one\\r\\ntwo")
    >>> list(read_text(file, chunk=4))
    ['one\\n', 'two']
    """
    return _chunks(find_file(path), chunk)


def _chunks(path: Path, chunk: int) -> Iterator[str]:
    with open_text(path, newline=None) as file:
        while piece := file.read(chunk):
            yield piece


def read_lines(path: str | Path) -> Iterator[str]:
    """Reads a UTF-8 text line by line, without the line ends (LF, CRLF or CR); a pipe is read as it comes.

    Raises:
        InputError: the file is missing or is not UTF-8.
    """
    return _lines(find_file(path))


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():  # decoded in blocks: mostly, a bad byte is refused before the first line is given
        with open_text(path, newline=None) as file:
            yield from (line.removesuffix("\n") for line in file)
    else:
        with open_binary(path) as file:
            yield from text_lines(file, path)
