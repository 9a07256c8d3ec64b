# SPDX-License-Identifier: BSD-2-Clause
"""Plain text: in chunks for character models, or line by line."""

from collections.abc import Iterator
from pathlib import Path

from spago_jax.data.files import find_file, open_text

__all__ = ["read_lines", "read_text"]


def read_text(path: str | Path, *, chunk: int = 1 << 22) -> Iterator[str]:
    """Reads a UTF-8 text in pieces of at most ``chunk`` characters; joined, they are the text exactly.

    Line ends stay as they are (``\\r\\n`` too); a byte-order mark is passed over; ``.gz`` is decompressed.

    Raises:
        InputError: the file is missing, or is not UTF-8 (with the line and the offset of the first bad byte).

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_bytes(b"one\\r\\ntwo")
    >>> list(read_text(file, chunk=5))
    ['one\\r\\n', 'two']
    """
    return _chunks(find_file(path), chunk)


def _chunks(path: Path, chunk: int) -> Iterator[str]:
    with open_text(path, newline="") as file:
        while piece := file.read(chunk):
            yield piece


def read_lines(path: str | Path) -> Iterator[str]:
    """Reads a UTF-8 text line by line, without the line ends (LF or CRLF).

    Raises:
        InputError: the file is missing or is not UTF-8.
    """
    return _lines(find_file(path))


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as file:
        for line in file:
            yield line.removesuffix("\n").removesuffix("\r")
