# SPDX-License-Identifier: BSD-2-Clause
"""Reads the binary format of word2vec, as its C program and gensim write it."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from spago_jax.embeddings.formats.rows import Sink
from spago_jax.errors import InputError

_LONGEST_WORD = 1 << 16
_MOST_DIMENSIONS = 1 << 20  # the header alone says where a word ends
_BLOCK = 1 << 22  # bytes read at a time


def read_binary(path: Path, file: BinaryIO, header: tuple[int, int], sink: Sink) -> None:
    """Words end in a blank, then come the little-endian float32 values; some writers put a line feed after them.

    Raises:
        InputError: for a file that is cut off, longer than its header says, or has values that are not finite.
    """
    count, size = header
    if size > _MOST_DIMENSIONS:
        raise InputError(f"the header says {size:,} dimensions: is it damaged?", path=path, line=1)
    width = 4 * size
    block = max(_BLOCK, 4 * width)
    held, at = b"", 0
    sink.begin(size)
    for number in range(1, count + 1):
        end = held.find(b" ", at)
        if end < 0 or end + 1 + width > len(held):
            held, at = held[at:] + file.read(block), 0
            end = held.find(b" ")
        if end - at > _LONGEST_WORD or (end < 0 and len(held) - at > _LONGEST_WORD):
            message = f"vector {number} of {count} has no word: not the {size} dimensions that the header says?"
            raise InputError(message, path=path)
        if end < 0 or end + 1 + width > len(held):
            raise InputError(f"cut off within vector {number} of {count}", path=path)
        word = held[at:end].lstrip(b"\n")
        at = end + 1 + width
        if sink.wants(word):
            sink.add(word, np.frombuffer(held, "<f4", size, end + 1), place=f"vector {number}: ")
    if held[at:].strip(b"\n") or file.read(1).strip(b"\n"):
        raise InputError(f"bytes beyond the {count} vectors that the header says", path=path)
