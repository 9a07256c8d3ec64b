# SPDX-License-Identifier: BSD-2-Clause
"""Loads a text file as an encoded corpus, through the cache: slow the first time, instant afterwards."""

from collections.abc import Sequence
from pathlib import Path

from spago_jax.data.cache import cached
from spago_jax.data.encoded_text import EncodedText, encode_text

__all__ = ["load_text"]


def load_text(path: str | Path, *, alphabet: Sequence[str] | None = None, unknown: int | None = None) -> EncodedText:
    """Encodes a text with ``encode_text``, cached.

    Raises:
        InputError: as for ``encode_text``.
    """
    names = None if alphabet is None else list(alphabet)

    def build(folder: Path) -> None:
        encode_text(path, folder, names, unknown=unknown)

    return EncodedText.open(cached("text", [path], {"alphabet": names, "unknown": unknown}, build))
