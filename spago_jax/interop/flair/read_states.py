# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings of words by the states of character language models."""

from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.language_model import LanguageModel
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile
from spago_jax.interop.flair.language_model import described, from_object
from spago_jax.interop.flair.part import Part
from spago_jax.interop.flair.tree import Node


def read_states(node: Node, file: FlairFile) -> Part:
    """Returns the states of a character language model of one direction."""
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
