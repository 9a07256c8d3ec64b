# SPDX-License-Identifier: BSD-2-Clause
"""An embedding of words of Flair's as one of this library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile, as_floats
from spago_jax.interop.flair.language_model import module_tensors
from spago_jax.interop.flair.recurrent import Get, Has
from spago_jax.interop.flair.tree import Node

EPSILON = 1e-5  # of PyTorch's LayerNorm


@dataclass(frozen=True)
class Part:
    """An embedding, ready to be stacked.

    Attributes:
        config: of ``model.embeddings``.
        indexer: makes its host half, for a name.
        arrays: of its device half, by path.
        about: what it is, in a line.
        longest: the most words that it reads of a sentence; None for any number.
    """

    config: Mapping[str, Any]
    indexer: Callable[[str], TokenIndexer]
    arrays: Mapping[str, np.ndarray]
    about: str
    longest: int | None = None


def tensors_of(node: Node, file: FlairFile) -> tuple[Get, Has]:
    """The tensors of an embedding: those of the whole model below its prefix, or those of its object."""
    if file.names(node.prefix):
        return lambda name: file.array(f"{node.prefix}{name}"), lambda name: file.has(f"{node.prefix}{name}")
    own = module_tensors(node.record)

    def get(name: str) -> np.ndarray:
        return as_floats(file.objects.array(own.get(name), f"{name!r} of {node.name or node.kind}"))

    return get, lambda name: name in own


def refuse_fields(node: Node, file: FlairFile) -> None:
    """Refuses an embedding of something else of tokens than their text, a tag that they were given before.

    Raises:
        InputError: naming what it reads.
    """
    field = node.get("field")
    if field not in (None, "text"):
        raise InputError(f"{node.name or node.kind} reads {field!r} of tokens, not their text", path=file.path)


def normalized(rows: np.ndarray, node: Node, file: FlairFile) -> np.ndarray:
    """Returns the rows of a table as they are read: of stable embeddings ``w (x - mean(x)) / sqrt(var(x) + eps) + b``.

    What is read of a word depends on its row alone, so that the normalization is made once, here.
    """
    if not is_stable(node):
        return rows
    get, has = tensors_of(node, file)
    x = rows.astype(np.float64)
    centered = x - x.mean(-1, keepdims=True)
    found = centered / np.sqrt(np.square(centered).mean(-1, keepdims=True) + EPSILON)
    if has("layer_norm.weight"):
        found = found * get("layer_norm.weight") + get("layer_norm.bias")
    return found.astype(np.float32)


def is_stable(node: Node) -> bool:
    """Whether vectors are normalized when they are read."""
    return bool(node.get("stable", isinstance(node.module("layer_norm"), Record)))
