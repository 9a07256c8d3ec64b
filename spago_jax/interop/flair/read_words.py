# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings of words: vectors of gensim's, and trained tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile, as_floats, items_of
from spago_jax.interop.flair.part import Part, is_stable, normalized, refuse_fields, tensors_of
from spago_jax.interop.flair.tree import Node
from spago_jax.text.vocabulary import Vocabulary


def read_words(node: Node, file: FlairFile) -> Part:
    """Returns given word vectors."""
    refuse_fields(node, file)
    words, table, unseen = _table(node, file)
    # Their own names for padding and the unknown word, whatever the words are called.
    taken, padding, unknown = set(words), "<pad>", "<unk>"
    while padding in taken:
        padding += "_"
    while unknown in taken:
        unknown += "_"
    vocabulary = Vocabulary((padding, unknown, *words), unknown, padding)
    rows = normalized(np.concatenate([unseen, table]), node, file)
    arrays = {
        "table.weight": np.concatenate([np.zeros_like(unseen), rows]),
        "unknown_probability": np.zeros(len(words) + 2, np.float32),
    }
    config = {
        "kind": "words", "size": table.shape[1], "lookup": "digits", "unknown_rate": 0.0,
        "trainable": bool(node.get("fine_tune", False)), "max_words": max(len(words), 1),
    }  # fmt: skip
    about = f"words: {len(words):,} vectors of {table.shape[1]}{_how(node)}"
    return Part(config, lambda name: WordIndexer(name, vocabulary, match="digits"), arrays, about)


def _how(node: Node) -> str:
    return ", normalized" if is_stable(node) else ""


def _table(node: Node, file: FlairFile) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The words by row, their vectors, and that of all others [1, size]: zeros until it was trained."""
    vectors = node.settings.get("precomputed_word_embeddings")
    if isinstance(vectors, Record):
        words, table = keyed_vectors(vectors, file)
        return words, table, np.zeros((1, table.shape[1]), np.float32)
    vocab = node.settings.get("vocab")
    if not isinstance(vocab, dict):
        raise InputError(f"{node.name or node.kind} has neither a vocab nor word vectors", path=file.path)
    words, table = _ordered(vocab, file), tensors_of(node, file)[0]("embedding.weight")
    rows = _rows(table, len(words), node.name, file)
    unseen = table[len(words) :] if len(table) > len(words) else np.zeros((1, table.shape[1]), np.float32)
    return words, rows, unseen


def keyed_vectors(record: Record, file: FlairFile) -> tuple[list[str], np.ndarray]:
    """The words and vectors of an object of gensim's, of any release."""
    words = next((found for key in ("index_to_key", "index2word", "index2entity") if (found := record.get(key))), None)
    if not isinstance(words, list):
        index = record.get("key_to_index") or record.get("vocab")
        words = _ordered(index, file) if isinstance(index, dict) else []
    array = next((found for key in ("vectors", "syn0") if (found := record.get(key)) is not None), None)
    if array is None:
        raise InputError(f"a {record.name} without vectors: they were saved in a file of their own", path=file.path)
    table = as_floats(file.objects.array(array, f"the vectors of a {record.kind}"))
    return [_word(word) for word in words], _rows(table, len(words), record.kind, file)


def _ordered(index: Mapping[Any, Any], file: FlairFile) -> list[str]:
    """The words of a table from words to rows, by row."""
    places = {word: row.get("index") if isinstance(row, Record) else row for word, row in index.items()}
    if sorted(row for row in places.values() if isinstance(row, int)) != list(range(len(places))):
        raise InputError("a table of words whose rows are not numbered from 0", path=file.path)
    return [_word(word) for word in sorted(places, key=places.__getitem__)]


def _word(word: Any) -> str:
    return word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else str(word)


def _rows(table: np.ndarray, words: int, name: str, file: FlairFile) -> np.ndarray:
    """The rows of the words; a last one, which newer releases have for unknown words, is left out."""
    if table.ndim != 2 or len(table) not in (words, words + 1):
        raise InputError(f"{name}: {words:,} words, and vectors of shape {table.shape}", path=file.path)
    return table[:words]


def read_one_hot(node: Node, file: FlairFile) -> Part:
    """Returns a trained table of words; Flair's one-hot vectors are multiplied by it."""
    refuse_fields(node, file)
    dictionary = node.settings.get("vocab_dictionary", node.settings.get("vocab"))
    words = items_of(dictionary, f"the dictionary of {node.kind}", file.path)
    get, _ = tensors_of(node, file)
    table = get("embedding_layer.weight")
    if table.ndim != 2 or len(table) != len(words):
        raise InputError(f"{len(words)} words, and vectors of shape {table.shape}", path=file.path)
    table = normalized(table, node, file)
    unknown = words.index("<unk>") if "<unk>" in words else 0
    rest = [number for number in range(len(words)) if number != unknown]
    vocabulary = Vocabulary(("<pad>", "<unk>", *(words[number] for number in rest)), "<unk>", "<pad>")
    arrays = {
        "table.weight": np.concatenate([np.zeros_like(table[:1]), table[[unknown]], table[rest]]),
        "unknown_probability": np.zeros(len(words) + 1, np.float32),
    }
    config = {"kind": "words", "size": table.shape[1], "lookup": "exact", "unknown_rate": 0.0,
              "max_words": len(words)}  # fmt: skip
    about = f"trained words: {len(words):,} of {table.shape[1]}{_how(node)}"
    return Part(config, lambda name: WordIndexer(name, vocabulary, match="exact"), arrays, about)
