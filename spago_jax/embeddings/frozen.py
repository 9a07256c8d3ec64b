# SPDX-License-Identifier: BSD-2-Clause
"""The vectors that frozen models give the words of a corpus: in batches, and once on disk."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from spago_jax.core import Array, flat
from spago_jax.core.disk import new_folder
from spago_jax.core.machine import cache_root
from spago_jax.data.lexicon import Lexicon
from spago_jax.data.processor import padded_length
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.sentence_vectors import SentenceVectors
from spago_jax.embeddings.transformer_index import TransformerIndexer

_LENGTHS = (8, 16, 32, 64, 128, 256)
_ROWS, _SORTED = 32, 1024
VALUES, ABOUT = "values.npy", "about.json"


@jax.jit
def _computed(module: Any, batch: Mapping[str, Array]) -> Array:
    return module(batch)


FrozenIndexer = ContextualIndexer | TransformerIndexer
"""The host half of an embedding whose vectors depend on the sentence alone."""


def word_vectors(
    module: Any, indexer: FrozenIndexer, forms: RaggedArray, lexicon: Lexicon
) -> Iterator[list[np.ndarray]]:
    """Yields the vectors of the words of some sentences, float32 [tokens, features] each, in lists, in their order.

    Sentences of like length are computed together, in one padded batch per direction.

    Args:
        module: the embedding, such as a ``ContextualEmbedding`` or a ``TransformerEmbedding``.
        indexer: its host half.
        forms: the forms of each sentence.
        lexicon: what the forms are.
    """
    kind = _kind(indexer)
    tables = kind.tables(indexer, lexicon)
    positions = np.maximum(indexer.positions(tables, forms), forms.lengths)
    for at in range(0, len(forms), _SORTED):
        rows = np.arange(at, min(at + _SORTED, len(forms)))
        order = rows[np.argsort(positions[rows], kind="stable")]
        found: dict[int, np.ndarray] = {}
        for begin in range(0, len(order), _ROWS):
            chunk = order[begin : begin + _ROWS]
            indices = np.full(_ROWS, -1)
            indices[: len(chunk)] = chunk
            length = padded_length(max(int(positions[chunk].max()), 1), _LENGTHS)
            ids, lengths = forms.gather(indices, length, pad=-1)
            vectors = np.asarray(_computed(module, kind.arrays(indexer, tables, ids, length)), np.float32)
            found |= {row: vectors[place, : lengths[place]] for place, row in enumerate(chunk.tolist())}
        yield [found[row] for row in rows.tolist()]


def _kind(indexer: FrozenIndexer) -> Any:
    """The class of an indexer; a pooled embedding's own vectors are those of the contextual one that it pools."""
    return ContextualIndexer if isinstance(indexer, ContextualIndexer) else type(indexer)


def cached_vectors(
    module: Any, indexer: FrozenIndexer, forms: RaggedArray, lexicon: Lexicon
) -> tuple[SentenceVectors, Path, bool]:
    """Returns the vectors of a corpus from the cache folder, where they are computed into if they are not there.

    They are known by the weights, by how sentences are read, and by the sentences themselves.

    Returns:
        The vectors, mapped from disk; their folder; and whether they were there.
    """
    folder = cache_root() / "vectors" / _key(module, indexer, forms, lexicon)
    total, size = int(forms.offsets[-1]), module.out_features
    about = {"tokens": total, "size": size}
    if _read_about(folder) != about:
        with new_folder(folder, replace=True) as part:
            values = np.lib.format.open_memmap(part / VALUES, "w+", np.float32, (total, size))
            at = 0
            for block in word_vectors(module, indexer, forms, lexicon):
                whole = np.concatenate(block) if block else np.zeros((0, size), np.float32)
                values[at : at + len(whole)] = whole
                at += len(whole)
            values.flush()
            del values
            (part / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        there = False
    else:
        there = True
    found = np.load(folder / VALUES, mmap_mode="r") if total else np.zeros((0, size), np.float32)
    return SentenceVectors(found, forms.offsets, tuple(_kind(indexer).specs(indexer))), folder, there


def _read_about(folder: Path) -> Any:
    try:
        return json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _key(module: Any, indexer: FrozenIndexer, forms: RaggedArray, lexicon: Lexicon) -> str:
    digest = hashlib.sha256(b"spago_jax vectors 2")
    for path, array in sorted(flat(module).items()):
        digest.update(path.encode("utf-8"))
        digest.update(np.ascontiguousarray(array).tobytes())
    computing = {name: getattr(module, name) for name in module.computing}
    digest.update(json.dumps([indexer.reading(), computing], sort_keys=True).encode("utf-8"))
    digest.update(np.asarray(forms.offsets, np.int64).tobytes())
    digest.update(np.asarray(forms.values, np.int64).tobytes())
    for form in lexicon:
        digest.update(form.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:32]
