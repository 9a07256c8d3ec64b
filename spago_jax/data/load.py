# SPDX-License-Identifier: BSD-2-Clause
"""Loads a text file as an encoded corpus, through the cache: slow the first time, instant afterwards."""

from collections.abc import Sequence
from pathlib import Path

from spago_jax.data.cache import cached
from spago_jax.data.encoded_text import EncodedText, encode_text
from spago_jax.text.alphabet import Alphabet

__all__ = ["load_text"]


def load_text(path: str | Path | Sequence[Path], *, alphabet: Alphabet | None = None) -> EncodedText:
    """Encodes a text, or several as one, with ``encode_text``, cached.

    Raises:
        InputError: as for ``encode_text``.
    """

    def build(folder: Path) -> None:
        encode_text(path, folder, alphabet)

    settings = {"alphabet": None if alphabet is None else alphabet.saved()}
    sources = [path] if isinstance(path, str | Path) else list(path)
    return EncodedText.open(cached("text", sources, settings, build))
