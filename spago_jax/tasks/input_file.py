# SPDX-License-Identifier: BSD-2-Clause
"""A user's file, or standard input, as lines or as a whole."""

import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from spago_jax.data.formats.plain_text import read_lines
from spago_jax.errors import InputError


class InputFile:
    """What a user hands over to be answered: a file, or ``-`` for standard input.

    Args:
        name: the path, or ``-``.

    Raises:
        InputError: for a file that does not exist.
    """

    def __init__(self, name: str):
        self.name = name
        if not self.is_stdin and not Path(name).is_file():
            raise InputError("no such file", path=name)

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
        """The file.

        Raises:
            InputError: for standard input.
        """
        if self.is_stdin:
            raise InputError("this input is read from a file: --input FILE")
        return Path(self.name)

    @property
    def suffix(self) -> str:
        """The end of the name, without a last ``.gz``; empty for standard input."""
        return "" if self.is_stdin else Path(self.name.removesuffix(".gz")).suffix

    def lines(self) -> Iterator[str]:
        """The lines as they come, without their ends.

        Raises:
            InputError: for bytes that are not UTF-8.
        """
        if not self.is_stdin:
            yield from read_lines(self.name)
            return
        number = 0
        try:
            for line in _stdin():
                number += 1
                yield line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            # The decoder works in blocks, so the line is at or after the next one.
            byte = error.object[error.start]
            raise InputError(f"not UTF-8 after line {number}: byte 0x{byte:02x}", path="-") from None

    def source_text(self) -> str:
        """The whole as a Python source, whose coding line is followed.

        Raises:
            InputError: for bytes that cannot be decoded.
        """
        if self.is_stdin:
            try:
                return _stdin().read()
            except UnicodeDecodeError as error:
                raise InputError(f"not UTF-8: byte 0x{error.object[error.start]:02x}", path="-") from None
        try:
            with tokenize.open(self.name) as file:
                return file.read()
        except (SyntaxError, UnicodeDecodeError) as error:
            raise InputError(f"cannot decode the source: {error}", path=self.name) from None


def _stdin() -> TextIO:
    if sys.stdin is None:  # closed by the caller: `<&-`
        raise InputError("standard input is closed; give a file by --input")
    return sys.stdin
