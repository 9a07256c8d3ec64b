# SPDX-License-Identifier: BSD-2-Clause
"""The compile cache on disk, and a count of what XLA really compiled."""

import dataclasses
import os
from pathlib import Path

import jax

from spago_jax.core.paths_on_disk import cache_root

SETTING = "SPAGO_COMPILE_CACHE"
_OFF = {"off", "0", "false", "no"}


def cache(folder: str | Path | bool | None = None) -> Path | None:
    """Keeps compiled programs on disk, so that the next process starts without compiling.

    JAX's own threshold skips programs that compile in under a second, which for many small programs adds up
    to minutes; here everything is kept.

    Args:
        folder: where; ``None`` for ``$SPAGO_COMPILE_CACHE``, else the user's cache folder; ``False`` (or the
            variable set to ``off``) for no cache.

    Returns:
        The folder in use, or None.
    """
    setting = os.environ.get(SETTING, "")
    if folder is False or (folder is None and setting.lower() in _OFF and setting):
        jax.config.update("jax_compilation_cache_dir", None)
        return None
    path = Path(folder) if isinstance(folder, str | Path) else Path(setting) if setting else default_folder()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a read-only home: compile in memory only
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return path


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/spago_jax/xla``, or ``~/.cache/spago_jax/xla``."""
    return cache_root() / "xla"


_decided = False


def cache_by_default() -> None:
    """Turns the cache on at the first compilation, unless the user has configured JAX's own already."""
    global _decided
    if not _decided and jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        cache()
    _decided = True


@dataclasses.dataclass
class CompileCounter:
    """Counts XLA compilations (of any function, ours or not) while it is open."""

    compilations: int = 0
    seconds: float = 0.0

    def __enter__(self) -> "CompileCounter":
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *exc: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.compilations += 1
            self.seconds += duration_secs
