# SPDX-License-Identifier: BSD-2-Clause
"""Reads the pieces of a SentencePiece model: the parts of its protocol buffer that other engines need."""

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError

__all__ = ["SentencePieces", "message_fields", "read_sentencepieces"]

_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


@dataclasses.dataclass(frozen=True)
class SentencePieces:
    """What a SentencePiece model holds.

    Attributes:
        kind: unigram, bpe, word or char.
        pieces: the pieces with their scores, in the order of their ids.
        types: the type of each: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
        normalizer: the compiled table of character replacements; empty if characters stay as they are.
    """

    kind: str
    pieces: list[tuple[str, float]]
    types: list[int]
    normalizer: bytes


def read_sentencepieces(content: bytes, path: str | Path) -> SentencePieces:
    """Reads the content of a ``.model`` file.

    Raises:
        InputError: it is not a SentencePiece model, or is cut off.
    """
    pieces: list[tuple[str, float]] = []
    types: list[int] = []
    kind, normalizer, parts = 1, b"", set()
    try:
        for number, value in message_fields(content):
            parts.add(number)
            if number == 1:
                fields = dict(message_fields(value))
                (score,) = struct.unpack("<f", fields.get(2, bytes(4)))
                pieces.append((fields[1].decode("utf-8"), score))
                types.append(fields.get(3, 1))
            elif number == 2:
                kind = dict(message_fields(value)).get(3, 1)
            elif number == 3:
                normalizer = dict(message_fields(value)).get(2, b"")
        found = SentencePieces(_KINDS[kind], pieces, types, normalizer)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        raise InputError("not a SentencePiece model, or one that is cut off", path=path) from None
    if not parts >= {1, 2, 3}:  # pieces, how they were trained, how texts are normalized
        raise InputError("not a SentencePiece model, or one that is cut off", path=path)
    return found


def message_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yields the fields of a message of protocol buffers: numbers as integers, everything else as bytes.

    >>> list(message_fields(bytes([8, 150, 1, 18, 2, 104, 105])))
    [(1, 150), (2, b'hi')]
    """
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _number(data, at)
        else:
            length = {1: 8, 5: 4}.get(wire)
            if wire == 2:
                length, at = _number(data, at)
            if length is None or at + length > len(data):
                raise ValueError("a field that ends beyond the message")
            value, at = data[at : at + length], at + length
        yield key >> 3, value


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
