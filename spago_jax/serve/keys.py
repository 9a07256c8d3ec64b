# SPDX-License-Identifier: BSD-2-Clause
"""Keys: who may ask. Kept as hashes, compared in constant time, read again when their file changes."""

import hashlib
import hmac
import logging
import os
import threading
from pathlib import Path
from typing import NamedTuple

from spago_jax.errors import InputError

log = logging.getLogger("spago_jax.serve")
_LEAST = 16
"""Characters of a key, at least."""


class Key(NamedTuple):
    """Who asks.

    Attributes:
        name: for the log.
        admin: whether it may load models.
        write: whether it may change collections; an administrator's may.
    """

    name: str
    admin: bool
    write: bool = False


class Keys:
    """The keys of a file: one per line, ``KEY``, ``NAME KEY``, ``NAME KEY write`` or ``NAME KEY admin``; ``#``
    begins a comment.

    A file that changes is read again; where it has become bad, the keys that were read last go on.

    Args:
        path: the file.

    Raises:
        InputError: for a file that cannot be read, or a line that is not a key.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = threading.Lock()
        self._stamp = self._state()
        self._keys = read_keys(self.path)

    def find(self, key: str) -> Key | None:
        """Returns whose key it is; every key is compared, so that the time says nothing."""
        self._refresh()
        digest, found = _digest(key), None
        for known, who in self._keys:
            if hmac.compare_digest(known, digest):
                found = who
        return found

    def _refresh(self) -> None:
        state = self._state()
        if state == self._stamp:
            return
        with self._lock:
            if state == self._stamp:
                return
            self._stamp = state
            try:
                self._keys = read_keys(self.path)
                log.info("read %d keys again", len(self._keys))
            except InputError as error:
                log.error("the keys are as they were: %s", error)

    def _state(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self.path)
        except OSError:
            return (0, 0, 0)
        return found.st_mtime_ns, found.st_size, found.st_ino


def read_keys(path: Path) -> list[tuple[bytes, Key]]:
    """Returns the hashes of the keys of a file, with their names.

    Raises:
        InputError: for a file that cannot be read, a line that is not a key, or none at all.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the keys cannot be read: {error}", path=path) from None
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        scope = words[2] if len(words) == 3 else ""
        if len(words) > 2 and scope not in ("write", "admin"):
            raise InputError("expected KEY, NAME KEY, NAME KEY write or NAME KEY admin", path=path, line=number)
        name, key = (f"line {number}", words[0]) if len(words) == 1 else (words[0], words[1])
        if len(key) < _LEAST:
            raise InputError(f"a key of {len(key)} characters, expected at least {_LEAST}", path=path, line=number)
        found.append((_digest(key), Key(name, scope == "admin", bool(scope))))
    if not found:
        raise InputError("there is no key in it", path=path)
    return found


def bearer(header: str | None) -> str | None:
    """Returns the key of an ``Authorization`` header.

    >>> bearer("Bearer abc"), bearer("bearer  abc "), bearer("Basic abc"), bearer(None)
    ('abc', 'abc', None, None)
    """
    scheme, _, key = (header or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
