# SPDX-License-Identifier: BSD-2-Clause
"""The character n-grams of words and their hashes, as fastText has them."""

from collections.abc import Sequence

import numpy as np

_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)


def ngram_hashes(words: Sequence[bytes], shortest: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hashes of all n-grams of ``<word>``, uint32, and the number of the word that each belongs to.

    The lengths ``shortest`` to ``longest`` count characters of UTF-8; the marks ``<`` and ``>`` alone are left out.
    The hash is FNV-1a of the bytes, each sign-extended to 32 bits before the exclusive or (Bojanowski et al., 2017).
    The n-grams of a word come in the order of their beginnings, then of their lengths.

    >>> hashes, owners = ngram_hashes([b"ab"], 3, 4)
    >>> hashes.tolist(), owners.tolist()  # <ab, <ab>, ab>
    ([1218209508, 674621742, 1699241756], [0, 0, 0])
    """
    marked = [b"<" + word + b">" for word in words]
    if not marked or longest < 1:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    width = max(map(len, marked))
    table = np.frombuffer(b"".join(word.ljust(width, b"\0") for word in marked), np.uint8).reshape(len(marked), width)
    sizes = np.array([len(word) for word in marked])
    inside = np.arange(width) < sizes[:, None]
    first = inside & ((table & 0xC0) != 0x80)  # bytes that begin a character
    # fastText goes on after bytes 10xxxxxx only: a word that is cut off within a character ends in a shorter one
    ends = inside & ~np.pad(inside & ~first, ((0, 0), (0, 1)))[:, 1:]
    extended = table.astype(np.int8).astype(np.int32).view(np.uint32)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(width):
        rows = np.flatnonzero(first[:, start])
        if not len(rows):
            continue
        hashes, count = np.full(len(rows), _BASIS), np.zeros(len(rows), np.int64)
        for at in range(start, width):
            going = inside[rows, at] & (count + first[rows, at] <= longest)
            if not going.all():
                rows, hashes, count = rows[going], hashes[going], count[going]
            if not len(rows):
                break
            count = count + first[rows, at]
            hashes = (hashes ^ extended[rows, at]) * _PRIME
            whole = ends[rows, at] & (count >= shortest)
            mark = (count == 1) & ((start == 0) | (at == sizes[rows] - 1))
            kept = whole & ~mark
            if kept.any():
                found.append((rows[kept], hashes[kept]))
    if not found:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    owners = np.concatenate([rows for rows, _ in found])
    hashes = np.concatenate([each for _, each in found])
    order = np.argsort(owners, kind="stable")  # found in the order of beginnings and ends
    return hashes[order], owners[order]
