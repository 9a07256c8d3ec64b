# SPDX-License-Identifier: BSD-2-Clause
"""Where spago_jax keeps what it can make again: encoded corpora and compiled programs."""

import os
from pathlib import Path

__all__ = ["cache_root"]


def cache_root() -> Path:
    """The folder of the caches: ``$SPAGO_CACHE``, else ``$XDG_CACHE_HOME/spago_jax``, else ``~/.cache/spago_jax``.

    The folder is not made. Deleting it is safe at any time that no run is using it.

    >>> import os, unittest.mock
    >>> with unittest.mock.patch.dict(os.environ, SPAGO_CACHE="/var/cache/words"):
    ...     print(cache_root().as_posix())
    /var/cache/words
    """
    chosen = os.environ.get("SPAGO_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spago_jax"
