# SPDX-License-Identifier: BSD-2-Clause
"""Folders made once from source files and settings, and kept in the user's cache; none is ever incomplete."""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spago_jax.core.machine import cache_root
from spago_jax.data.files import find_file
from spago_jax.data.formats.reader import Reader
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError

__all__ = ["FORMAT_VERSION", "cached", "cached_corpus", "fingerprint"]

FORMAT_VERSION = 2  # raise it when the output of the encoders changes: older folders are then ignored
_PART = ".building-"
_STALE = 24 * 3600.0  # seconds; a folder left by a killed builder is removed after this

_fallback: tempfile.TemporaryDirectory[str] | None = None


def fingerprint(kind: str, sources: Sequence[str | Path], settings: Mapping[str, Any]) -> str:
    """Returns the name of a cached folder: a hash of the sources' paths, sizes and times, and the settings.

    Raises:
        InputError: a source is missing or is not a regular file, or JSON cannot write a setting.
    """
    files = []
    for source in sources:
        if not find_file(source).is_file():
            raise InputError("is a pipe or a device: data that are read more than once need a file", path=source)
        path = Path(source).resolve()
        state = path.stat()
        files.append([str(path), state.st_size, state.st_mtime_ns])
    try:
        text = json.dumps([FORMAT_VERSION, kind, files, dict(settings)], sort_keys=True)
    except TypeError as problem:
        raise InputError(f"the settings of a cached {kind} must be plain values: {problem}") from None
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached(
    kind: str, sources: Sequence[str | Path], settings: Mapping[str, Any], build: Callable[[Path], object]
) -> Path:
    """Returns the folder that ``build`` makes, from the cache if it was made before.

    It is built under another name and renamed, so that a folder in the cache is complete; when several processes build
    the same one, the first to finish wins and the others use its folder. If the cache cannot be written, a temporary
    folder that lives as long as the process takes its place, with a warning.

    Args:
        kind: the kind of folder, such as ``"conll"``; part of the fingerprint.
        sources: the files it is made from; it is rebuilt when a size or time changes.
        settings: all else that it depends on, as plain values.
        build: fills the empty folder that it is given.

    Raises:
        InputError: a source is missing; settings are not plain values; ``build`` finds something wrong.
    """
    name = f"{kind}-{fingerprint(kind, sources, settings)}"
    root = _writable(cache_root() / "data", name)
    folder = root / name
    if folder.is_dir():
        with suppress(OSError):
            os.utime(folder)  # the time of last use, for tools that tidy the cache
        return folder
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=root))
    try:
        build(part)
        try:
            os.replace(part, folder)
        except OSError:
            if not folder.is_dir():  # if it exists, another process was quicker: use its folder
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def cached_corpus(
    reader: Reader,
    split: str,
    files: Sequence[Path] | None,
    kind: str,
    settings: Mapping[str, Any],
    encode: Callable[[Iterator[Any], Path], object],
) -> tuple[Path, Notes]:
    """Returns the folder of a part of the data, encoded once, and the remarks that were made as it was read.

    Args:
        reader: the ``data`` section.
        split: the part.
        files: other files, read whole, instead of the part's own.
        kind: as for ``cached``.
        settings: what the encoding depends on beside the reader's settings, as plain values.
        encode: writes the examples into an empty folder.

    Raises:
        InputError: as for ``cached``, and for bad data.
    """
    sources = reader.sources(split) if files is None else list(files)

    def build(folder: Path) -> None:
        notes = Notes()
        encode(reader.read(split, files, notes=notes), folder)
        notes.save(folder)

    folder = cached(kind, sources, {**reader.settings(split), **settings, "whole": files is not None}, build)
    return folder, Notes.load(folder)


def _writable(root: Path, name: str) -> Path:
    """Returns the cache's folder if it holds ``name`` or can be written, otherwise a temporary one."""
    global _fallback
    if (root / name).is_dir():
        return root
    try:
        root.mkdir(parents=True, exist_ok=True)
        os.rmdir(tempfile.mkdtemp(prefix=_PART, dir=root))
        _tidy(root)
        return root
    except OSError as problem:
        if _fallback is None:
            _fallback = tempfile.TemporaryDirectory(prefix="spago_jax-")
            warnings.warn(
                f"the cache {root} cannot be written ({problem.strerror}): using {_fallback.name} for this run;"
                " set SPAGO_CACHE to a folder that can be, so that corpora are encoded once",
                stacklevel=3,
            )
        return Path(_fallback.name)


def _tidy(root: Path) -> None:
    for part in root.glob(f"{_PART}*"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE:
                shutil.rmtree(part, ignore_errors=True)
