# SPDX-License-Identifier: BSD-2-Clause
"""Flair's embeddings of words by the states of character language models."""

import numpy as np

from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.language_model import LanguageModel
from spago_jax.embeddings.memory import POOLS, WordMemory
from spago_jax.embeddings.pooled_index import PooledIndexer
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record
from spago_jax.interop.flair.file import FlairFile, a_number, as_floats
from spago_jax.interop.flair.language_model import described, from_object
from spago_jax.interop.flair.part import Part
from spago_jax.interop.flair.tree import Node, context_of


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


def read_pooled(node: Node, file: FlairFile) -> Part:
    """Returns the pooled half of pooled embeddings; the words' own vectors are an embedding by themselves."""
    context = read_states(context_of(node), file)
    pooling, capitals = node.get("pooling", "min"), bool(node.get("only_capitalized", False))
    if pooling not in POOLS:
        raise InputError(f"{node.name}: pooling = {pooling!r}, expected {', '.join(POOLS)}", path=file.path)
    plain = context.indexer("states")
    assert isinstance(plain, ContextualIndexer)
    ((_, model),) = plain.models.items()
    memory = _memory(node, model["shape"]["projection"] or model["shape"]["hidden"], pooling, file)
    config = {
        **{key: value for key, value in context.config.items() if key != "fine_tune"},
        "kind": "pooled-strings", "pooling": pooling, "context": False, "only_capitalized": capitals,
        "max_words": memory.most,
    }  # fmt: skip
    reading = {key: getattr(plain, key) for key in ("start", "end", "after", "lowercase")}

    def indexer(name: str) -> PooledIndexer:
        return PooledIndexer(name, plain.models, memory, only_capitalized=capitals, **reading)

    arrays = {f"inner.{path}": array for path, array in context.arrays.items()}
    return Part(config, indexer, arrays, f"{pooling} of {context.about}, {len(memory):,} words in memory")


def _memory(node: Node, size: int, pooling: str, file: FlairFile) -> WordMemory:
    """What the file remembers of words: nothing from 0.12 on."""
    words, counts = (node.settings.get(key) for key in ("word_embeddings", "word_count"))
    most = 1_000_000
    if not isinstance(words, dict) or not words:
        return WordMemory(size, pooling, most)
    counts = counts if isinstance(counts, dict) else {}
    rows = np.stack([as_floats(file.objects.array(words[word], f"the memory of {word!r}")) for word in words])
    if rows.shape != (len(words), size):
        raise InputError(f"{node.name}: vectors of shape {rows.shape} in memory, expected {size} numbers each",
                         path=file.path)  # fmt: skip
    seen = np.array([a_number(counts.get(word, 1), "word_count", file.path) for word in words], np.int64)
    return WordMemory.of([str(word) for word in words], rows, np.maximum(seen, 1), pooling, max(most, len(words)))


def _language_model(node: Node, file: FlairFile) -> LanguageModel:
    prefix = f"{node.prefix}lm."
    settings = node.get("model_params")
    record = node.module("lm")
    if isinstance(settings, dict):
        return described(settings, file.array, file.has, prefix, file.path)
    if isinstance(record, Record):
        return from_object(record, file)
    raise InputError(f"{node.name or node.kind} has no language model", path=file.path)
