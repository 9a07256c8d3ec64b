# SPDX-License-Identifier: BSD-2-Clause
"""Files and folders that appear atomically: whole or not at all, whatever stops the process."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from spago_jax.errors import CheckpointError, InputError

_BUFFER = 1 << 20


@contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside ``path``; it takes its name when the block ends without an error.

    Raises:
        OSError: if the folder is missing or cannot be written.
    """
    path = Path(path)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    try:
        with os.fdopen(handle, "wb", buffering=_BUFFER) as file:
            yield file
        os.chmod(beside, 0o666 & ~_umask())  # mkstemp makes files that only the owner may read
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Writes a file so that a crash leaves the old one or the new one."""
    with new_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Makes a temporary folder beside ``path``; it takes its name when the block ends without an error.

    An empty folder is replaced in any case; one with something in it if ``replace`` is set.

    Raises:
        OSError: if the place cannot be written, or holds something that is not to be replaced.
    """
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield beside
        beside.chmod(0o777 & ~_umask())
        if replace and path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            os.replace(path, old)  # a folder can only take the place of an empty one
            os.replace(beside, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def refuse_taken(folder: Path, what: str, marker: str, *, overwrite: bool) -> None:
    """Refuses a place where something is that is not to be replaced, before any work is done.

    Args:
        folder: the place.
        what: what is going to be written there, such as ``a model``.
        marker: the file by which such a folder is known.
        overwrite: whether one of the same kind is replaced.

    Raises:
        InputError: for a file, for a folder of other things, and for one of the same kind without ``overwrite``.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError("exists and is not a folder; choose another place", path=folder)
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / marker).is_file():
        raise InputError(f"the folder holds other things than {what}; choose another one", path=folder)
    if not overwrite:
        raise InputError("the folder exists; choose another one, or replace it with --overwrite", path=folder)


@contextmanager
def explain_os_error(path: str | Path) -> Iterator[None]:
    """Turns the system's refusal to write into a CheckpointError that names the file."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None


def _umask() -> int:
    current = os.umask(0o022)  # there is no call that reads it without setting it; restored at once
    os.umask(current)
    return current
