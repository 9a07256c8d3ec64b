# SPDX-License-Identifier: BSD-2-Clause
"""One process at a time in a folder: a lock that ends with the process that holds it, however it ends."""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spago_jax.core.disk import explain_os_error
from spago_jax.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "lock"
# What a file system says that cannot lock, such as some network mounts.
_CANNOT = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_POLL = 0.05  # seconds


@contextmanager
def locked(folder: str | Path, what: str, *, patience: float = 0.5) -> Iterator[int]:
    """Holds a folder until the block ends; where the system or the file system cannot lock, holds nothing.

    The file ``lock`` in the folder names the process that holds it, and goes with the lock. One that a killed process
    left behind holds nothing.

    Args:
        folder: an existing folder.
        what: what is in it, for the error: "run", "sweep".
        patience: seconds to wait for another process.

    Yields:
        The descriptor, which a child process may inherit, to hold the folder as long as it lives; -1 if there is none.

    Raises:
        InputError: when another process holds it; names the folder and the process.
        CheckpointError: when the folder cannot be written.
    """
    if fcntl is None:
        yield -1
        return
    path = Path(folder) / LOCK
    deadline = time.monotonic() + patience
    with explain_os_error(path):
        while (handle := _try(path, fcntl)) is None:
            if time.monotonic() > deadline:
                raise InputError(
                    f"another process{_of(holder(folder))} is at work on the {what} in {folder}; wait for it, or end it"
                )
            time.sleep(_POLL)
    if handle < 0:
        yield -1
        return
    try:
        with explain_os_error(path):
            about = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(about).encode(), 0)
        yield handle
    finally:
        with suppress(OSError):
            os.unlink(path)  # while it is held: whoever opened this file in the meantime sees that it is gone
        os.close(handle)


def _try(path: Path, fcntl: Any) -> int | None:
    """Opens and locks the file; None if another process holds it, or has just let go of it; -1 if locks fail."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(handle)
        if error.errno in _CANNOT:
            with suppress(OSError):
                os.unlink(path)
            return -1
        raise
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def holder(folder: str | Path) -> dict[str, Any] | None:
    """Returns the process that holds a folder: ``pid``, ``host``, ``since``; None if none does, or nobody can tell."""
    if fcntl is None:
        return None
    try:
        handle = os.open(Path(folder) / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        try:
            about = json.loads(os.pread(handle, 1000, 0))
        except ValueError:  # it has not been written yet
            return {}
        return about if isinstance(about, dict) else {}
    except OSError:
        return None
    finally:
        os.close(handle)


def _of(about: dict[str, Any] | None) -> str:
    if not about or "pid" not in about:
        return ""
    elsewhere = "" if about.get("host") == socket.gethostname() else f" on {about.get('host')}"
    return f" ({about['pid']}{elsewhere})"
