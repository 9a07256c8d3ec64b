# SPDX-License-Identifier: BSD-2-Clause
"""A folder that appears complete or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from spago_jax.core.disk import new_folder, refuse_taken


def check_target(target: Path, overwrite: bool) -> None:
    """Refuses a folder that is in the way, before any work is done.

    Raises:
        InputError: where something exists and ``overwrite`` is False, or it is not an exported program.
    """
    refuse_taken(target, "an exported program", "manifest.json", overwrite=overwrite)


@contextlib.contextmanager
def appearing(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside ``target`` to write into; it takes the target's place when the block ends without an error."""
    check_target(target, overwrite)
    with new_folder(target, replace=True) as beside:
        yield beside
