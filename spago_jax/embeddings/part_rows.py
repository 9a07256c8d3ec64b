# SPDX-License-Identifier: BSD-2-Clause
"""The vectors of parts of words that a run keeps, so that it reads words that nobody gave it."""

from pathlib import Path

import numpy as np

from spago_jax.core.disk import new_file
from spago_jax.embeddings.formats.fasttext import NgramVectors
from spago_jax.embeddings.formats.floret import FloretVectors
from spago_jax.embeddings.saved_settings import settings_of, write_settings
from spago_jax.embeddings.word_vectors import Subwords
from spago_jax.errors import InputError

_AT_ONCE = 4096  # rows
PartRows = NgramVectors | FloretVectors


def parts_of_words(found: Subwords | None, path: str | Path) -> PartRows:
    """Returns what composes words of their n-grams alone, which a run can keep.

    Args:
        found: the ``subwords`` of word vectors.
        path: their file, for messages.

    Raises:
        InputError: for a file without vectors of n-grams.
    """
    if isinstance(found, NgramVectors) and found.buckets:
        held = found.buckets if found.kept is None else len(found.kept)
        return NgramVectors(found.rows[:held], found.shortest, found.longest, buckets=found.buckets, kept=found.kept)
    if isinstance(found, FloretVectors):
        return found
    raise InputError(
        "subwords: these vectors have none of n-grams, as fastText's .bin, gensim's FastText and floret's tables do; "
        "take such a file, or leave the key out",
        path=path,
    )


def save_parts(parts: PartRows, folder: Path, name: str) -> None:
    """Writes the rows as ``NAME.ngrams.npy``, some at a time, and how they are found as ``NAME.ngrams.json``."""
    rows = parts.rows
    with new_file(folder / f"{name}.ngrams.npy") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": rows.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for at in range(0, len(rows), _AT_ONCE):
            file.write(np.ascontiguousarray(rows[at : at + _AT_ONCE], "<f4").tobytes())
    settings: dict[str, object] = {"shortest": parts.shortest, "longest": parts.longest}
    if isinstance(parts, FloretVectors):
        settings |= {"hashes": parts.hashes, "seed": parts.seed, "begin": parts.begin, "end": parts.end}
    else:
        settings["buckets"] = parts.buckets
        if parts.kept is not None:
            settings["kept"] = sorted(parts.kept.items())
    write_settings(folder / f"{name}.ngrams.json", settings)


def load_parts(folder: Path, name: str) -> PartRows | None:
    """Reads what ``save_parts`` wrote, the rows mapped from disk; None where it wrote nothing.

    Raises:
        InputError: where it is damaged.
    """
    path = folder / f"{name}.ngrams.json"
    if not path.exists():
        return None
    with settings_of(path) as found:
        rows = np.load(folder / f"{name}.ngrams.npy", mmap_mode="r", allow_pickle=False)
        if rows.ndim != 2 or rows.dtype != np.float32 or not rows.size:
            raise ValueError(f"rows of shape {rows.shape}, {rows.dtype}")
        shortest, longest = int(found["shortest"]), int(found["longest"])
        if "hashes" in found:
            begin, end = str(found["begin"]), str(found["end"])
            hashes = int(found["hashes"])
            if not 1 <= hashes <= 4:
                raise ValueError(f"{hashes} hashes")
            return FloretVectors(rows, shortest, longest, hashes, int(found["seed"]), begin, end)
        buckets = int(found["buckets"])
        kept = None if "kept" not in found else {int(bucket): int(row) for bucket, row in found["kept"]}
        if buckets < 1 or (len(rows) < buckets if kept is None else not all(0 <= r < len(rows) for r in kept.values())):
            raise ValueError(f"{len(rows)} rows for {buckets} buckets")
        return NgramVectors(rows, shortest, longest, buckets=buckets, kept=kept)
