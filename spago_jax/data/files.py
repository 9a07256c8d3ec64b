# SPDX-License-Identifier: BSD-2-Clause
"""Opens files with errors that name the place, and writes files and folders completely or not at all."""

import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

import numpy as np

from spago_jax.core import disk
from spago_jax.errors import InputError, did_you_mean

__all__ = ["find_file", "load_array", "new_file", "new_folder", "open_binary", "open_text", "read_up_to", "text_lines"]

_BUFFER = 1 << 20
_MARK = b"\xef\xbb\xbf"  # U+FEFF, the byte-order mark, in UTF-8
T = TypeVar("T")


def find_file(path: str | Path) -> Path:
    """Returns the path of a file, a pipe or a device that exists and can be read.

    Raises:
        InputError: it is missing (suggests the nearest name beside it), is a folder, or may not be read.
    """
    path = Path(path)
    if os.path.isdir(path):  # unlike the methods of a Path also for names that no file can have
        raise InputError(f"is a folder, expected a file; {_contents(path)}", path=path)
    if not os.path.exists(path):
        parent = path.parent
        if not os.path.isdir(parent):
            raise InputError(f"no such file: the folder {str(parent)!r} does not exist", path=path)
        names = sorted(entry.name for entry in parent.iterdir() if entry.is_file())
        hint = did_you_mean(path.name, names, known="beside it") if names else "its folder holds no files"
        raise InputError(f"no such file; {hint if len(hint) < 400 else hint[:400] + ', ...'}", path=path)
    if not os.access(path, os.R_OK):
        raise InputError("cannot be read: permission denied", path=path)
    return path


def _contents(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    if not names:
        return "it holds no files"
    return f"it holds: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


@contextmanager
def open_binary(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a file for reading as bytes; a name that ends in ``.gz`` is decompressed on the way.

    Raises:
        InputError: the file is missing, or its compressed data are broken or cut off.
    """
    path = find_file(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb", buffering=_BUFFER) as file:
            yield cast(BinaryIO, file)
    except EOFError:
        raise InputError("the compressed data end too early: the file is cut off", path=path) from None
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise InputError(f"not valid gzip data ({problem})", path=path) from None


def read_up_to(file: BinaryIO, count: int) -> bytes:
    """Reads so many bytes, or those that there are: a count that a damaged file gives takes no memory of its own.

    >>> read_up_to(io.BytesIO(b"abc"), 1 << 60)
    b'abc'
    """
    blocks = []
    while count > 0 and (block := file.read(min(count, _BUFFER))):
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)


@contextmanager
def open_text(path: str | Path, *, newline: str | None = "\n") -> Iterator[TextIO]:
    """Opens a UTF-8 file for reading as text; ``.gz`` is decompressed.

    Byte-order marks are left out wherever they stand, for files that were put together have one in the middle.

    Args:
        path: the file.
        newline: as for ``open``. ``"\\n"`` ends lines at line feeds only, so that a carriage return, or one of
            Unicode's other separators, stays within its line; None reads CR and CRLF as line feeds.

    Raises:
        InputError: the file is missing or broken, or is not UTF-8 (with the line of the first bad byte).
    """
    with open_binary(path) as binary:
        # a large buffer between the decompressor and the decoder, which asks for 8 kB at a time
        raw = io.BufferedReader(_WithoutMarks(binary), _BUFFER)
        try:
            yield io.TextIOWrapper(raw, encoding="utf-8", newline=newline)
        except UnicodeDecodeError as problem:
            raise _not_utf8(Path(path), problem, universal=newline is None) from None


class _WithoutMarks(io.RawIOBase):
    """The bytes of a UTF-8 file without its byte-order marks."""

    def __init__(self, file: BinaryIO):
        self._file, self._held = file, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer, or a part of it; 0 at the end."""
        while True:
            read = self._file.read(len(buffer) - len(self._held))
            out, self._held = (self._held + read).replace(_MARK, b""), b""
            if read:  # what may be the beginning of a mark waits for the bytes after it
                self._held = next((_MARK[:n] for n in (2, 1) if out.endswith(_MARK[:n])), b"")
                out = out.removesuffix(self._held)
            if out or not read:
                buffer[: len(out)] = out
                return len(out)


def text_lines(file: BinaryIO, name: str | Path) -> Iterator[str]:
    """Decodes the lines of a UTF-8 stream as they come, without their ends (LF, CRLF or CR) and byte-order marks.

    Unlike ``open_text`` it reads its input once, so that a pipe will do.

    Args:
        file: opened for bytes.
        name: its name, for messages.

    Raises:
        InputError: for bytes that are not UTF-8, or a read that fails, with the line.

    >>> list(text_lines(io.BytesIO(b"one\\r\\ntwo\\rthree"), "-"))
    ['one', 'two', 'three']
    """
    number = offset = 0
    try:
        for line in file:
            for piece in line.splitlines(keepends=True):
                number += 1
                try:
                    text = piece.decode("utf-8")
                except UnicodeDecodeError as problem:
                    raise _bad_byte(piece, problem, name, number, offset) from None
                offset += len(piece)
                yield text.rstrip("\r\n").replace("\ufeff", "")
    except OSError as problem:
        raise InputError(f"cannot be read: {problem.strerror or problem}", path=name, line=number + 1) from None


def _not_utf8(path: Path, problem: UnicodeDecodeError, *, universal: bool) -> InputError:
    """Reads again, line by line, to find the place: decoders work in blocks and do not know it."""
    if not path.is_file():  # a pipe, which is read once
        return InputError(f"not UTF-8: byte 0x{problem.object[problem.start]:02x}", path=path)
    number = offset = 0
    with open_binary(path) as file:
        for line in file:
            for piece in line.splitlines(keepends=True) if universal else [line]:
                number += 1
                try:
                    piece.decode("utf-8")
                except UnicodeDecodeError as found:
                    return _bad_byte(piece, found, path, number, offset)
                offset += len(piece)
    return InputError("not UTF-8", path=path)


def _bad_byte(line: bytes, problem: UnicodeDecodeError, path: str | Path, number: int, offset: int) -> InputError:
    if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return InputError("not UTF-8 but, by its first bytes, UTF-16: convert it", path=path, line=1)
    message = f"not UTF-8: byte 0x{line[problem.start]:02x} at offset {offset + problem.start}"
    return InputError(message, path=path, line=number)


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """Writes a file completely or not at all: under a temporary name, renamed when the block succeeds.

    Raises:
        InputError: its folder is missing or may not be written, or the disk is full.
    """
    with _explained(Path(path), disk.new_file(path)) as file:
        yield file


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Writes a folder completely or not at all: yields a temporary one, renamed when the block succeeds.

    Raises:
        InputError: a folder that is not empty exists, the place may not be written, or the disk is full.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError("already exists and is not an empty folder: choose another name", path=path)
    with _explained(path, disk.new_folder(path)) as part:
        yield part


@contextmanager
def _explained(path: Path, opened: AbstractContextManager[T]) -> Iterator[T]:
    """Turns the system's errors about opening, and a full disk, into an InputError that names the path."""
    with ExitStack() as stack:
        try:
            target = stack.enter_context(opened)
        except OSError as problem:
            raise InputError(f"cannot be written: {problem.strerror}", path=path) from None
        try:
            with stack.pop_all():
                yield target
        except OSError as problem:
            if problem.errno == errno.ENOSPC:
                raise InputError("cannot be written: no space left on the disk", path=path) from None
            raise


def load_array(path: str | Path, *, mapped: bool = False) -> np.ndarray:
    """Reads an ``.npy`` file, or maps it into memory; never unpickles.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return np.asarray(np.load(path, mmap_mode="r" if mapped else None))
    except (OSError, ValueError, EOFError):
        raise InputError("missing or damaged", path=path) from None
