# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings of words by their spelling: characters, byte pairs and hashes."""

import numpy as np

from spago_jax.embeddings.byte_pair_index import BytePairIndexer
from spago_jax.embeddings.character_index import CharacterIndexer
from spago_jax.embeddings.hash_index import HashIndexer
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile, items_of
from spago_jax.interop.flair.part import Part, refuse_fields, tensors_of
from spago_jax.interop.flair.read_words import keyed_vectors
from spago_jax.interop.flair.recurrent import recurrent_arrays, shape_of_recurrence
from spago_jax.interop.flair.tree import Node
from spago_jax.text.vocabulary import Vocabulary

_LONGEST = 64  # characters of a word


def read_characters(node: Node, file: FlairFile) -> Part:
    """Returns a BiLSTM over the characters of words."""
    dictionary = node.settings.get("path_to_char_dict", node.settings.get("char_dictionary"))
    alphabet = items_of(dictionary, f"the dictionary of {node.kind}", file.path)
    get, has = tensors_of(node, file)
    shape = shape_of_recurrence(get, has, "char_rnn.", file.path)
    if (shape["cell"], shape["layers"], shape["bidirectional"]) != ("lstm", 1, True):
        raise InputError(f"{node.name or node.kind} reads characters by {shape}", path=file.path)
    table = get("char_embedding.weight")
    if len(table) != len(alphabet):
        raise InputError(f"{len(alphabet)} characters, and vectors of shape {table.shape}", path=file.path)
    # Row 0 of theirs is that of unknown characters, and ours is padding.
    known = [number for number, char in enumerate(alphabet) if number and len(char) == 1]
    vocabulary = Vocabulary(("<pad>", "<unk>", *(alphabet[number] for number in known)), "<unk>", "<pad>")
    arrays = {
        "encoder.embedding.weight": np.concatenate([np.zeros_like(table[:1]), table[:1], table[known]]),
        **{
            f"encoder.rnn.{path.removeprefix('layers.0.')}": array
            for path, array in recurrent_arrays(get, "char_rnn.", shape).items()
        },
    }
    config = {
        "kind": "characters", "encoder": "lstm-last", "size": table.shape[1], "filters": shape["hidden"],
        "max_length": _LONGEST,
    }  # fmt: skip
    about = f"characters: BiLSTM {shape['hidden']}, {len(alphabet)} characters"
    return Part(config, lambda name: CharacterIndexer(name, vocabulary, _LONGEST), arrays, about)


def read_hashes(node: Node, file: FlairFile) -> Part:
    """Returns vectors that words share by their hashes."""
    method = node.get("hash_method", "md5")
    if method != "md5":
        raise InputError(f"{node.name or node.kind}: hash_method = {method!r}; md5 is read", path=file.path)
    get, _ = tensors_of(node, file)
    table = get("embedding_layer.weight")
    arrays = {"table.weight": np.concatenate([np.zeros_like(table[:1]), table])}
    config = {"kind": "hashes", "rows": len(table), "size": table.shape[1]}
    return Part(
        config, lambda name: HashIndexer(name, len(table)), arrays, f"hashes: {len(table):,} of {table.shape[1]}"
    )


def read_byte_pairs(node: Node, file: FlairFile) -> Part:
    """Returns the vectors of words' first and last pieces."""
    refuse_fields(node, file)
    embedder = node.settings.get("embedder")
    model = node.settings.get("spm_model_binary")
    if isinstance(embedder, Record):
        model = embedder.get("spm_model_binary")
    if not isinstance(model, bytes):
        raise InputError(f"{node.name or node.kind} has no SentencePiece model", path=file.path)
    vectors = embedder.get("emb") if isinstance(embedder, Record) else None
    if isinstance(vectors, Record):
        words, table = keyed_vectors(vectors, file)
    else:
        get, _ = tensors_of(node, file)
        table = get("embedding.weight")
        words = None
    plain = bool(node.get("preprocess", True))
    first = BytePairIndexer("byte_pair", model, plain)
    if words is None and len(table) == first.size:
        table = table[:-1]  # the last row is that of blank words
    if len(table) != first.size - 1:
        raise InputError(
            f"{node.name or node.kind}: {first.size - 1:,} pieces, and vectors of shape {table.shape}", path=file.path
        )
    arrays = {"table.weight": np.concatenate([np.zeros_like(table[:1]), table])}
    config = {"kind": "byte-pair", "size": table.shape[1]}
    about = f"byte pairs: {len(table):,} of {table.shape[1]}"
    return Part(config, lambda name: BytePairIndexer(name, model, plain), arrays, about)
