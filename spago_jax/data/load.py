# SPDX-License-Identifier: BSD-2-Clause
"""A text file to an encoded corpus in one call, through the cache: slow the first time, at once after."""

from collections.abc import Sequence
from pathlib import Path

from spago_jax.data.cache import cached
from spago_jax.data.encoded_text import EncodedText, encode_text

__all__ = ["load_text"]


def load_text(path: str | Path, *, alphabet: Sequence[str] | None = None, unknown: int | None = None) -> EncodedText:
    """``encode_text``, cached.

    Raises:
        InputError: as ``encode_text``.
    """
    names = None if alphabet is None else list(alphabet)

    def build(folder: Path) -> None:
        encode_text(path, folder, names, unknown=unknown)

    return EncodedText.open(cached("text", [path], {"alphabet": names, "unknown": unknown}, build))
