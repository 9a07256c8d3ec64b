# SPDX-License-Identifier: BSD-2-Clause
"""The files that a run was trained and scored on, by their contents, so that a change does not pass unnoticed."""

import functools
import hashlib
from pathlib import Path
from typing import Any

from spago_jax.data.formats.reader import SPLITS, Reader
from spago_jax.errors import InputError
from spago_jax.train.run_folder import RunFolder

_BLOCK = 1 << 20


def recorded(data: Reader) -> dict[str, list[dict[str, Any]]]:
    """Returns path, size and SHA-256 of the files of each part; a drawn part has those of the training files."""
    return {split: [_entry(path) for path in files] for split in SPLITS if (files := data.sources(split))}


def refuse_changed(run: RunFolder, data: Reader, split: str, why: str) -> None:
    """Refuses files of a part whose contents are not those that the run was trained with.

    Args:
        run: the run.
        data: the ``data`` section of its config.
        split: the part.
        why: the consequence, for the message.

    Raises:
        InputError: for the first file that changed or is not there any more, and for a damaged record; nothing for
            a run without a record.
    """
    try:
        before = {Path(entry["path"]): entry for entry in run.read_json("data.json", {}).get(split, ())}
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            "the record of the data is damaged; restore it, or delete it", path=run / "data.json"
        ) from None
    if not before:
        return
    files = data.sources(split)
    for path in files:
        if not path.is_file():
            raise InputError(f"data.{split}: no such file any more; {why}", path=path)
        entry = before.get(path)
        if entry is None:
            raise InputError(f"data.{split}: not one of the files that the run was trained with; {why}", path=path)
        if _entry(path) != entry:
            raise InputError(f"data.{split}: the file has changed since the run was trained; {why}", path=path)
    gone = [path for path in before if path not in files]
    if gone:
        raise InputError(f"data.{split}: the run was trained with this file too, which is not named now", path=gone[0])


def _entry(path: Path) -> dict[str, Any]:
    state = path.stat()
    digest = _digest(str(path), state.st_size, state.st_mtime_ns)
    return {"path": str(path), "bytes": state.st_size, "sha256": digest}


@functools.lru_cache(maxsize=4096)
def _digest(path: str, size: int, changed: int) -> str:
    """The SHA-256 of a file; read once, for drawn parts have the training files, and a resume checks and records."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
