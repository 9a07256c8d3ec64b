# SPDX-License-Identifier: BSD-2-Clause
"""The compile cache on disk, and a count of what XLA really compiled."""

import dataclasses
import os
import tempfile
import threading
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from spago_jax.core.machine import cache_root

SETTING = "SPAGO_COMPILE_CACHE"
_decided = False
_OFF = {"off", "0", "false", "no"}


def cache(folder: str | Path | bool | None = None) -> Path | None:
    """Keeps compiled programs on disk, so that the next process starts without compiling.

    JAX's own threshold skips programs that compile in under a second, which for many small programs adds up
    to minutes; here everything is kept.

    Args:
        folder: where; ``None`` for ``$SPAGO_COMPILE_CACHE``, else the user's cache folder; ``False`` (or the
            variable set to ``off``) for no cache.

    Returns:
        The folder in use, or None (no cache is wanted, or the folder cannot be written).
    """
    global _decided
    _decided = True
    setting = os.environ.get(SETTING, "").strip()
    if folder is False or (folder is None and setting.lower() in _OFF):
        _use(None)
        return None
    chosen = Path(folder) if isinstance(folder, str | Path) else Path(setting) if setting else default_folder()
    path = chosen.expanduser().absolute()
    if not _writable(path):
        _use(None)  # a read-only home: compile in memory only
        return None
    _use(path)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return path


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _use(folder: Path | None) -> None:
    text = None if folder is None else str(folder)
    if jax.config.jax_compilation_cache_dir != text:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", text)
        compilation_cache.reset_cache()  # JAX opens its cache once, and would stay with the folder of that time


def default_folder() -> Path:
    """Returns the folder ``xla`` of ``cache_root``: ``$SPAGO_CACHE``, else the user's cache folder."""
    return cache_root() / "xla"


def cache_by_default() -> None:
    """Turns the cache on at the first compilation, unless the user has configured JAX's own already."""
    global _decided
    if not _decided and jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        cache()
    _decided = True


@dataclasses.dataclass
class CompileCounter:
    """Counts XLA compilations (of any function, ours or not) while it is open.

    A program that is read from the cache on disk counts too: it was not ready in memory.
    """

    compilations: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False, compare=False)

    def __enter__(self) -> "CompileCounter":
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *exc: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            with self._lock:  # programs are compiled in several threads
                self.compilations += 1
                self.seconds += duration_secs
