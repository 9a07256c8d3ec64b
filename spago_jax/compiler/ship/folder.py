# SPDX-License-Identifier: BSD-2-Clause
"""A folder that appears complete or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from spago_jax.core.disk import new_folder
from spago_jax.errors import InputError


def check_target(target: Path, overwrite: bool) -> None:
    """Refuses a folder that is in the way, before any work is done.

    Raises:
        InputError: where something exists and ``overwrite`` is False, or it is not an exported program.
    """
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise InputError("exists and is no folder; choose another place", path=target)
    if not any(target.iterdir()):
        return
    if not (target / "manifest.json").is_file():
        raise InputError("the folder holds other things than an exported program; choose another one", path=target)
    if not overwrite:
        raise InputError("the folder exists; choose another one, or replace it with --overwrite", path=target)


@contextlib.contextmanager
def appearing(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside ``target`` to write into; it takes the target's place when the block ends without an error."""
    check_target(target, overwrite)
    with new_folder(target, replace=True) as beside:
        yield beside
