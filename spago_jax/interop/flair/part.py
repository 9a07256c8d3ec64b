# SPDX-License-Identifier: BSD-2-Clause
"""An embedding of words of Flair's as one of this library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.interop.flair.file import FlairFile, as_floats
from spago_jax.interop.flair.language_model import module_tensors
from spago_jax.interop.flair.recurrent import Get, Has
from spago_jax.interop.flair.tree import Node


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
