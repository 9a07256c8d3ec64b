# SPDX-License-Identifier: BSD-2-Clause
"""A user's file, or standard input, as lines or as a whole."""

import io
import sys
import tempfile
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from spago_jax.data.files import find_file, text_lines
from spago_jax.data.formats.plain_text import read_lines
from spago_jax.errors import InputError


class InputFile:
    """What a user hands over to be answered: a file, a pipe, or ``-`` for standard input.

    Args:
        name: the path, or ``-``.
        file_format: its format; None: by the end of its name.

    Raises:
        InputError: for a file that does not exist, or a folder.
    """

    def __init__(self, name: str, file_format: str | None = None):
        self.name, self.file_format = name, file_format
        self._copy: Path | None = None
        if not self.is_stdin:
            find_file(name)

    @property
    def is_stdin(self) -> bool:
        """Whether it is standard input."""
        return self.name == "-"

    @property
    def interactive(self) -> bool:
        """Whether a person types it: answers then come line by line."""
        return self.is_stdin and _stdin().isatty()

    @property
    def path(self) -> Path:
        """A file that may be read more than once: of a pipe or standard input a temporary copy, kept until the end."""
        if not self.is_stdin and Path(self.name).is_file():
            return Path(self.name)
        if self._copy is None:
            file = tempfile.NamedTemporaryFile(prefix="spago_jax-input-")  # noqa: SIM115  (closed with the process)
            if self.is_stdin:
                buffer = _stdin_bytes()
                file.write(_stdin().read().encode("utf-8") if buffer is None else buffer.read())
            else:
                file.write(Path(self.name).read_bytes())
            file.flush()
            self._file, self._copy = file, Path(file.name)
        return self._copy

    @property
    def suffix(self) -> str:
        """The end of the name in small letters, without a last ``.gz``; empty for standard input."""
        return "" if self.is_stdin else Path(self.name.removesuffix(".gz")).suffix.lower()

    @property
    def has_records(self) -> bool:
        """Whether its lines are objects of JSON rather than texts, by the end of its name."""
        return self.suffix in (".jsonl", ".ndjson")

    def lines(self) -> Iterator[str]:
        """The lines as they come, without their ends and byte-order marks.

        Raises:
            InputError: for bytes that are not UTF-8, with the line.
        """
        if not self.is_stdin:
            yield from read_lines(self.name)
        elif (buffer := _stdin_bytes()) is not None:
            yield from text_lines(buffer, self.name)
        else:
            yield from (line.rstrip("\r\n") for line in _stdin())

    def made_of_lines(self, make: Callable[[str, int], Any], what: str) -> Iterator[Any]:
        """Yields what is made of each line and its number, from 1.

        Args:
            make: makes an example of a line.
            what: it is a record of, for messages.

        Raises:
            InputError: for a line of which none can be made, with its number.
        """
        for number, line in enumerate(self.lines(), 1):
            try:
                made = make(line, number)
            except (InputError, TypeError, ValueError, RecursionError) as error:
                raise InputError(f"not a record of {what}: {error}", path=self.name, line=number) from None
            yield made

    def source_text(self) -> str:
        """The whole as a Python source, whose coding line is followed.

        Raises:
            InputError: for bytes that cannot be decoded, with the line.
        """
        buffer = _stdin_bytes() if self.is_stdin else None
        if self.is_stdin and buffer is None:
            return _stdin().read()
        source = Path(self.name).read_bytes() if buffer is None else buffer.read()
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
            return io.TextIOWrapper(io.BytesIO(source), encoding).read()
        except SyntaxError as error:
            raise InputError(f"cannot decode the source: {error}", path=self.name) from None
        except UnicodeDecodeError as error:
            line = source.count(b"\n", 0, error.start) + 1
            raise InputError(f"cannot decode the source: {error}", path=self.name, line=line) from None


def _stdin() -> TextIO:
    if sys.stdin is None:  # closed by the caller: `<&-`
        raise InputError("standard input is closed; give a file by --input")
    return sys.stdin


def _stdin_bytes() -> BinaryIO | None:
    """Standard input as bytes; None where a program put a stream of texts in its place."""
    return getattr(_stdin(), "buffer", None)
