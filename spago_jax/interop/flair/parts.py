# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings of words as those of this library: a config, a host half and arrays for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.language_model import LanguageModel
from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile, as_floats
from spago_jax.interop.flair.language_model import described, from_object, module_tensors
from spago_jax.interop.flair.tree import Node, leaves
from spago_jax.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Part:
    """An embedding, ready to be stacked.

    Attributes:
        config: of ``model.embeddings``.
        indexer: makes its host half, for a name.
        arrays: of its device half, by path.
        about: what it is, in a line.
    """

    config: Mapping[str, Any]
    indexer: Callable[[str], TokenIndexer]
    arrays: Mapping[str, np.ndarray]
    about: str


def parts_of(value: Any, prefix: str, file: FlairFile) -> list[Part]:
    """Returns the embeddings of a tree, in the order in which their vectors are concatenated.

    Args:
        value: the tree, or a list of embeddings, as it was saved.
        prefix: of its tensors, with a dot at its end.
        file: the file.

    Raises:
        InputError: for an embedding that is not read, naming it, or one that is damaged.
    """
    found = []
    for leaf in leaves(value, prefix, file.path):
        reader = READERS.get(leaf.kind)
        if reader is None:
            raise InputError(
                f"has {leaf.kind} ({leaf.prefix.rstrip('.')}), and of Flair's embeddings {', '.join(sorted(READERS))} "
                "are read",
                path=file.path,
            )
        found.append(reader(leaf, file))
    if not found:
        raise InputError("has no embeddings", path=file.path)
    return found


# -- words -------------------------------------------------------------------------------------------------------------


def _words(node: Node, file: FlairFile) -> Part:
    if node.get("stable"):
        raise InputError(f"{node.name or node.kind}: stable=True, a normalization of word vectors, is not read",
                         path=file.path)  # fmt: skip
    words, table = _table(node, file)
    # Their own names for padding and the unknown word, whatever the words are called.
    taken, padding, unknown = set(words), "<pad>", "<unk>"
    while padding in taken:
        padding += "_"
    while unknown in taken:
        unknown += "_"
    vocabulary = Vocabulary((padding, unknown, *words), unknown, padding)
    zeros = np.zeros((2, table.shape[1]), np.float32)
    arrays = {
        "table.weight": np.concatenate([zeros, table]),
        "unknown_probability": np.zeros(len(words) + 2, np.float32),
    }
    config = {
        "kind": "words", "size": table.shape[1], "lookup": "digits", "unknown_rate": 0.0,
        "trainable": bool(node.get("fine_tune", False)), "max_words": max(len(words), 1),
    }  # fmt: skip
    about = f"words: {len(words):,} vectors of {table.shape[1]}"
    return Part(config, lambda name: WordIndexer(name, vocabulary, match="digits"), arrays, about)


def _table(node: Node, file: FlairFile) -> tuple[list[str], np.ndarray]:
    """The words by row, and their vectors."""
    vectors = node.settings.get("precomputed_word_embeddings")
    if isinstance(vectors, Record):
        return _keyed_vectors(vectors, file)
    vocab = node.settings.get("vocab")
    if not isinstance(vocab, dict):
        raise InputError(f"{node.name or node.kind} has neither a vocab nor word vectors", path=file.path)
    name = f"{node.prefix}embedding.weight"
    if file.has(name):
        table = file.array(name)
    else:
        tensors = module_tensors(node.record)
        table = as_floats(file.objects.array(tensors.get("embedding.weight"), f"the vectors of {node.name}"))
    return _ordered(vocab, file), _rows(table, len(vocab), node.name, file)


def _keyed_vectors(record: Record, file: FlairFile) -> tuple[list[str], np.ndarray]:
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
    """The rows of the words; a last one of zeros, which newer releases have for unknown words, is left out."""
    if table.ndim != 2 or len(table) not in (words, words + 1):
        raise InputError(f"{name}: {words:,} words, and vectors of shape {table.shape}", path=file.path)
    return table[:words]


# -- character language models -----------------------------------------------------------------------------------------


def _contextual(node: Node, file: FlairFile) -> Part:
    found = _language_model(node, file)
    if not node.get("tokenized_lm", True):
        raise InputError(
            f"{node.name or node.kind}: tokenized_lm=False, which reads a text with the blanks that it was typed with; "
            "tokens are read apart by one blank each",
            path=file.path,
        )
    side = "forward" if found.forward else "backward"
    after, lower = bool(node.get("with_whitespace", True)), bool(node.get("is_lower", False))
    config = {
        "kind": "contextual-strings", side: "init.from", "start": found.start, "after": after, "lowercase": lower,
        "fine_tune": bool(node.get("fine_tune", False)),
    }  # fmt: skip
    shape = found.shape
    models = {side: {"alphabet": found.alphabet, "unknown": found.unknown, "shape": shape}}
    arrays = {f"{side}.{path}": array for path, array in found.weights.items() if not path.startswith("decoder.")}
    size = shape["projection"] or shape["hidden"]
    about = f"a {side} language model: {shape['cell'].upper()} {size}, {shape['rows']} characters"

    def indexer(name: str) -> ContextualIndexer:
        return ContextualIndexer(name, models, start=found.start, after=after, lowercase=lower)

    return Part(config, indexer, arrays, about)


def _language_model(node: Node, file: FlairFile) -> LanguageModel:
    prefix = f"{node.prefix}lm."
    settings = node.get("model_params")
    record = node.module("lm")
    if isinstance(settings, dict):
        return described(settings, file.array, file.has, prefix, file.path)
    if isinstance(record, Record):
        return from_object(record, file)
    raise InputError(f"{node.name or node.kind} has no language model", path=file.path)


READERS: dict[str, Callable[[Node, FlairFile], Part]] = {
    "WordEmbeddings": _words,
    "FlairEmbeddings": _contextual,
    "CharLMEmbeddings": _contextual,
}
