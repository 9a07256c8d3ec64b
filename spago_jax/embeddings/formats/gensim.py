# SPDX-License-Identifier: BSD-2-Clause
"""Reads the files of gensim 3 and 4 without gensim: a pickle, and large arrays in files beside it."""

from pathlib import Path

import numpy as np

from spago_jax.data.files import load_array
from spago_jax.embeddings.formats.fasttext import NgramVectors
from spago_jax.embeddings.formats.rows import Sink, as_bytes
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record, array_of, number_of, read_objects

_LONGEST = 8 << 30  # bytes of a pickle; that of three million words has about 100 million


def read_gensim(path: Path, sink: Sink) -> None:
    """Reads ``KeyedVectors.save`` of any gensim since 1.0, or the vectors of a saved ``Word2Vec`` or ``FastText``.

    Nothing of the pickle is run. Arrays in files of their own (``FILE.vectors.npy``) stay there until they are needed.

    Raises:
        InputError: for a pickle of something else, a missing partner, or rows that do not fit the words.
    """
    with path.open("rb") as file:
        value, _ = read_objects(file, path, _LONGEST)
    if not isinstance(value, Record):
        raise InputError(f"a pickle of a {type(value).__name__}, expected the vectors of gensim", path=path)
    prefix = path.name
    if isinstance(inner := value.get("wv"), Record):  # a whole model
        value, prefix = inner, f"{path.name}.wv"
    words = _words(value, path)
    composed = _ngrams(value, words, path, prefix)
    if composed is not None:
        sink.subwords = composed
        rows = composed.own_rows
    else:
        rows = _array(value, ("vectors", "syn0"), path, prefix)
    if rows is None:
        raise InputError(f"a pickle of {value.name!r} without vectors; is it of gensim?", path=path)
    if rows.ndim != 2 or len(rows) < len(words):
        raise InputError(f"vectors of shape {rows.shape} for {len(words):,} words", path=path)
    sink.begin(rows.shape[1])
    for word, row in words.items():
        key = as_bytes(word)
        if sink.wants(key):
            vector = rows[row] if composed is None else composed.compose([key])[0][0]
            sink.add(key, np.asarray(vector), place=f"row {row}: ")


def _ngrams(value: Record, words: dict[str, int], path: Path, prefix: str) -> NgramVectors | None:
    """What composes the vectors of a ``FastTextKeyedVectors``; None for other classes.

    Gensim saves the words' own vectors and those of the n-grams, and makes their means anew.
    """
    rows = _array(value, ("vectors_ngrams",), path, prefix)
    own = _array(value, ("vectors_vocab",), path, prefix)
    shortest, longest = number_of(value.get("min_n")), number_of(value.get("max_n"))
    if rows is None or own is None or not isinstance(shortest, int) or not isinstance(longest, int):
        return None
    if value.get("compatible_hash", True) is False or not value.get("bucket"):
        raise InputError(
            "its n-grams are hashed as gensim before 3.7 did, not as fastText does; save it with a newer gensim",
            path=path,
        )
    buckets = number_of(value.get("bucket"))
    if rows.ndim != 2 or len(rows) != buckets:
        raise InputError(f"{len(rows):,} vectors of n-grams, but {buckets:,} buckets", path=path)
    return NgramVectors(rows, shortest, longest, {as_bytes(word): row for word, row in words.items()}, own)


def refuse_partner(path: Path) -> None:
    """Refuses an array that is the partner of a file of gensim, naming that file.

    Raises:
        InputError: for a name that ends in ``.npy`` or ``.npz``.
    """
    if path.suffix not in (".npy", ".npz"):
        return
    whole = path.with_suffix("")
    while whole.suffix and not whole.is_file():
        whole = whole.with_suffix("")
    if whole.is_file() and whole != path:
        raise InputError(f"holds the numbers without their words; give the file beside it, {whole.name!r}", path=path)
    name = path.name.partition(".vectors")[0]
    raise InputError(
        f"holds the numbers without their words; the file that it belongs to ({name!r}, by its name) is missing here: "
        "copy both into one folder",
        path=path,
    )


def _words(value: Record, path: Path) -> dict[str, int]:
    """The row of each word, in the order of the rows."""
    index = value.get("key_to_index")
    if index is None and isinstance(vocabulary := value.get("vocab"), dict):
        index = {word: entry.get("index") for word, entry in vocabulary.items() if isinstance(entry, Record)}
    if index is None and isinstance(listed := value.get("index2word") or value.get("index2entity"), list):
        index = {word: row for row, word in enumerate(listed) if isinstance(word, str)}
    if not isinstance(index, dict):
        raise InputError(f"a pickle of {value.name!r} without words; is it of gensim?", path=path)
    found = {word: number_of(row) for word, row in index.items() if isinstance(word, str)}
    for word, row in found.items():
        if type(row) is not int or not row >= 0:
            raise InputError(f"the row of {word!r} is {row!r}, expected a number", path=path)
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def _array(value: Record, names: tuple[str, ...], path: Path, prefix: str) -> np.ndarray | None:
    """An array by the first of its names that the object knows: in the pickle, or in a partner file."""
    outside = {name for kind in ("__numpys", "__scipys") for name in value.get(kind) or () if isinstance(name, str)}
    for name in names:
        if name in outside:
            return _partner(path, f"{prefix}.{name}")
        held = value.get(name)
        if held is not None:
            return array_of(held, path)
    return None


def _partner(path: Path, name: str) -> np.ndarray:
    plain, packed = path.with_name(f"{name}.npy"), path.with_name(f"{name}.npz")
    if plain.is_file():
        return load_array(plain, mapped=True)
    if packed.is_file():
        try:
            with np.load(packed, allow_pickle=False) as held:
                return np.asarray(held["val"])
        except (OSError, ValueError, KeyError, EOFError):
            raise InputError("missing or damaged", path=packed) from None
    raise InputError(f"its vectors are in {plain.name!r}, which is missing beside it: copy both files", path=path)
