# SPDX-License-Identifier: BSD-2-Clause
"""Flair's text classifiers over the embeddings of a document: a recurrence, the tokens pooled, or an encoder."""

from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record, number_of
from spago_jax.interop.flair.file import FlairFile, items_of
from spago_jax.interop.flair.imported import Imported, indexers_of, most_words, stacked_arrays
from spago_jax.interop.flair.parts import parts_of
from spago_jax.interop.flair.read_transformer import read_document
from spago_jax.interop.flair.recurrent import recurrent_arrays, shape_of_recurrence
from spago_jax.interop.flair.tree import Node, node_of
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.text.tokenizers.tokenizer import tokenizer_from
from spago_jax.train.schema import Experiment

MAX_LENGTH = 512  # tokens
THRESHOLD = 0.5


def classifier_of(file: FlairFile, *, tokenizer: str = "whitespace") -> Imported:
    """Returns the text classifier of a file.

    Args:
        file: the file.
        tokenizer: how a text is cut into tokens.

    Raises:
        InputError: for what is not read, or a damaged file.
    """
    prefix = "document_embeddings." if file.names("document_embeddings.") else "embeddings."
    node = node_of(file.value.get("document_embeddings"), prefix, file.path)
    kind = node.kind.removesuffix("Embeddings")
    if kind in ("TransformerDocument", "Transformer"):
        parts = [read_document(node, file)]
        # every token has the one vector, which is that of all of them
        model, arrays = {"encoder": None, "pooling": "max", "dropout": 0.0}, {}
        most = parts[0].longest or MAX_LENGTH
    elif kind in ("DocumentRNN", "DocumentLSTM", "DocumentPool"):
        inner = node.settings.get("embeddings")
        parts = parts_of(node.module("embeddings") if inner is None else inner, f"{prefix}embeddings.", file)
        model, arrays = _pooled(node, file) if kind == "DocumentPool" else _recurrent(node, file)
        most = most_words(parts, MAX_LENGTH)
    else:
        raise InputError(
            f"has {node.kind}; of Flair's embeddings of documents DocumentRNNEmbeddings, DocumentPoolEmbeddings, "
            "TransformerDocumentEmbeddings and TransformerEmbeddings are read",
            path=file.path,
        )
    classes = items_of(file.value.get("label_dictionary"), "the label_dictionary", file.path)
    arrays |= {f"output.{part}": file.array(f"decoder.{part}") for part in ("weight", "bias")}
    several = bool(file.get("multi_label", False))
    thresholds = _thresholds(file.value.get("multi_label_threshold"), several, file)
    model |= {
        "embeddings": [dict(part.config) for part in parts],
        "tokenizer": tokenizer,
        "lowercase": False,
        "problem": "multi-label" if several else "single-label",
    }
    settings = {"task": "text-classification", "data": {"format": "labeled-text"}, "model": model}

    def processor(experiment: Experiment) -> TextProcessor:
        cut = tokenizer_from({"kind": tokenizer})
        return TextProcessor(
            cut,
            indexers_of(parts, experiment),
            classes,
            most,
            problem=model["problem"],
            thresholds=thresholds,
        )

    facts = {
        "embeddings": [part.about for part in parts],
        "document": {key: value for key, value in model.items() if key in ("encoder", "projection", "pooling")},
        "labels": list(classes),
    }
    return Imported.of(file, settings, processor, {**stacked_arrays(parts), **arrays}, facts)


def _pooled(node: Node, file: FlairFile) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The settings and arrays of tokens that are pooled: ``[pool_t f(x_t)]``.

    ``f`` is nothing, ``V x`` of the mode linear, or ``W relu(V x) + b`` of the mode nonlinear.
    """
    pooling = node.get("pooling", "mean")
    if pooling not in ("mean", "max", "min"):
        raise InputError(f"pooling = {pooling!r}; expected mean, max or min", path=file.path)
    model: dict[str, Any] = {"encoder": None, "pooling": pooling, "dropout": 0.0}
    mode = node.get("fine_tune_mode", "none")
    if mode in ("none", None):
        return model, {}
    if mode not in ("linear", "nonlinear"):
        raise InputError(f"fine_tune_mode = {mode!r}; expected none, linear or nonlinear", path=file.path)
    arrays = _linear(file, f"{node.prefix}embedding_flex.", "projection.")
    model["projection"] = len(arrays["projection.bias"])
    if mode == "nonlinear":
        found = _linear(file, f"{node.prefix}embedding_flex_nonlinear_map.", "encoder.flow.layers.linear.")
        arrays |= found
        size = len(found["encoder.flow.layers.linear.bias"])
        model["encoder"] = {"kind": "flow", "steps": ["relu", {"linear": size}]}
    return model, arrays


def _linear(file: FlairFile, theirs: str, ours: str) -> dict[str, np.ndarray]:
    """The arrays of a linear layer; the bias is zeros where theirs has none."""
    weight = file.array(f"{theirs}weight")
    if weight.ndim != 2:
        raise InputError(f"{theirs}weight has the shape {weight.shape}, expected two axes", path=file.path)
    bias = file.array(f"{theirs}bias") if file.has(f"{theirs}bias") else np.zeros(len(weight), np.float32)
    return {f"{ours}weight": weight, f"{ours}bias": bias}


def _recurrent(node: Node, file: FlairFile) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The settings and arrays of a recurrence: its last output, or its first and its last one of both directions."""
    prefix = f"{node.prefix}rnn."
    shape = shape_of_recurrence(file.array, file.has, prefix, file.path)
    arrays = {f"encoder.rnn.{path}": array for path, array in recurrent_arrays(file.array, prefix, shape).items()}
    encoder = {"kind": "birnn", **shape, **({"reset_after": True} if shape["cell"] == "gru" else {})}
    model: dict[str, Any] = {
        "encoder": encoder,
        "pooling": "ends" if shape["bidirectional"] else "last",
        "dropout": float(node.get("dropout", 0.5) if isinstance(node.get("dropout", 0.5), float) else 0.5),
    }
    if file.has(f"{node.prefix}word_reprojection_map.weight"):
        arrays |= _linear(file, f"{node.prefix}word_reprojection_map.", "projection.")
        model["projection"] = len(arrays["projection.bias"])
    return model, arrays


def _thresholds(given: Any, several: bool, file: FlairFile) -> dict[str, float]:
    """The least probability of each label, by its name, and that of all others under an empty name."""
    if not several:
        return {}
    given = number_of(given)
    if isinstance(given, int | float):
        return {"": float(given)}
    if given is None:
        return {"": THRESHOLD}
    if isinstance(given, Record) or not isinstance(given, dict):
        raise InputError(f"multi_label_threshold is {given!r}, expected a number or one per label", path=file.path)
    found = {str(label): number_of(value) for label, value in given.items()}
    if not all(isinstance(value, int | float) for value in found.values()):
        raise InputError(f"multi_label_threshold is {given!r}, expected numbers", path=file.path)
    return {"": float(found.pop("default", THRESHOLD)), **found}
