# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings of words, each as one of this library, in the order in which they are concatenated."""

from collections.abc import Callable
from typing import Any

from spago_jax.errors import InputError
from spago_jax.interop.flair.file import FlairFile
from spago_jax.interop.flair.part import Part
from spago_jax.interop.flair.read_spelling import read_byte_pairs, read_characters, read_hashes
from spago_jax.interop.flair.read_states import read_pooled, read_states
from spago_jax.interop.flair.read_transformer import read_transformer
from spago_jax.interop.flair.read_words import read_one_hot, read_words
from spago_jax.interop.flair.tree import Node, leaves

READERS: dict[str, Callable[[Node, FlairFile], Part]] = {
    "BytePairEmbeddings": read_byte_pairs,
    "CharLMEmbeddings": read_states,
    "CharacterEmbeddings": read_characters,
    "FlairEmbeddings": read_states,
    "HashEmbeddings": read_hashes,
    "OneHotEmbeddings": read_one_hot,
    "PooledFlairEmbeddings": read_pooled,
    "TransformerEmbeddings": read_transformer,
    "TransformerWordEmbeddings": read_transformer,
    "WordEmbeddings": read_words,
}


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
