# SPDX-License-Identifier: BSD-2-Clause
"""From an encoder with its head to the graph that ONNX Runtime runs fastest, written operator by operator."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from spago_jax.errors import InputError
from spago_jax.interop.encoder_onnx.builder import MICROSOFT, GraphBuilder
from spago_jax.interop.encoder_onnx.products import FloatProducts
from spago_jax.models.encoder import EncoderConfig, EncoderModel
from spago_jax.models.encoder.heads import Classifier, MaskedWords
from spago_jax.models.encoder.layer import Layer
from spago_jax.models.encoder.relative import BUCKETS, FARTHEST, buckets
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear

GELUS = ("gelu", "gelu_python")
TANH_GELUS = ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh")


def refuse_unknown(model: EncoderModel) -> None:
    """Refuses what has no graph here.

    Raises:
        InputError: for ModernBERT, and for heads of several outputs or of several texts per row.
    """
    way_out = "leave out runtime='onnxruntime'"
    if not isinstance(model.config, EncoderConfig):
        raise InputError(f"{model.config.architecture} does not run on ONNX Runtime here; {way_out}")
    if model.head_name in ("pretraining", "multiple-choice"):
        raise InputError(f"the head {model.head_name!r} does not run on ONNX Runtime here; {way_out}")


class EncoderGraph:
    """Writes the graph of a model: ``ids``, ``lengths``, ``types`` and ``at`` in, what the head says out.

    Args:
        model: whose arrays are read one after the other.
        graph: that is added to.
        products: how products are made.
        places: whether the head reads places ``at``.
    """

    def __init__(self, model: EncoderModel, graph: GraphBuilder, products: FloatProducts, *, places: bool = False):
        refuse_unknown(model)
        self.model, self.graph, self.products, self.places = model, graph, products, places
        self.config: Any = model.config

    def write(self) -> Path:
        """Writes the files of the graph, and returns the path of the model."""
        graph = self.graph
        ids = graph.input("ids", "int32", ("batch", "time"))
        self.lengths = graph.input("lengths", "int32", ("batch",))
        words = graph.weight(self.model.encoder.embeddings.words, "words")
        x = self._embedded(ids, words)
        relative = self._relative(ids)
        held: dict[int, dict[str, Any]] = {}
        stack = self.model.encoder.layers
        for row in (row for run in self.config.order for row in run):
            if row not in held:
                one = stack[row] if isinstance(stack, tuple) else jax.tree.map(lambda leaf, row=row: leaf[row], stack)
                held[row] = self._layer_weights(one)
            x = self._layer(x, held[row], relative)
        graph.output("found", self._head(x, words), self._axes())
        return graph.write()

    def _axes(self) -> tuple[str | int, ...]:
        head = self.model.head
        time = "places" if self.places else "time"
        if head is None:
            return ("batch", "time", self.config.hidden)
        if isinstance(head, MaskedWords):
            return ("batch", time, self.config.vocabulary)
        assert isinstance(head, Classifier)
        lead = ("batch", time) if self.places or head.pooling == "none" else ("batch",)
        size = head.output.weight.shape[0] if head.output is not None else self.config.hidden
        return lead if head.squeezes else (*lead, size)

    def _embedded(self, ids: str, words: str) -> str:
        graph, fixed = self.graph, ""
        parts: Any = self.model.encoder.embeddings  # ModernBERT's, of other parts, is refused before
        x = graph.node("Gather", words, ids)
        if parts.types is not None and self.config.types > 1:
            types = graph.input("types", "int32", ("batch", "time"))
            x = graph.node("Add", x, graph.node("Gather", graph.weight(parts.types, "types"), types))
        elif parts.types is not None:
            fixed = graph.weight(np.asarray(parts.types)[0], "type")
        table = graph.weight(parts.positions, "positions")
        if self.config.count_from is None:
            time = graph.node("Shape", ids, start=1, end=2)
            places = graph.node("Slice", table, self._ints([0]), time, self._ints([0]))
            places = graph.node("Unsqueeze", places, self._ints([0]))
        else:
            pad = graph.weight(np.array(self.config.count_from, np.int32), "pad")
            counted = graph.node("Cast", graph.node("Not", graph.node("Equal", ids, pad)), to=6)
            count = graph.node("Mul", graph.node("CumSum", counted, self._ints(1)), counted)
            places = graph.node("Gather", table, graph.node("Add", count, pad))
        x = self._norm(x, places, parts.norm, fixed)
        if parts.projection is None:
            return x
        return self._affine(x, parts.projection)

    def _ints(self, values: ArrayLike) -> str:
        return self.graph.weight(np.array(values, np.int64), "numbers")

    def _norm(self, x: str, other: str, norm: LayerNorm, bias: str = "") -> str:
        """``LN(x + other + bias)``."""
        gain, shift = self.graph.weight(norm.weight, "gain"), self.graph.weight(norm.bias, "shift")
        return self.graph.node(
            "SkipLayerNormalization", x, other, gain, shift, bias, domain=MICROSOFT, epsilon=float(norm.eps)
        )

    def _relative(self, ids: str) -> str:
        """The bias of attention [1, heads, time, time] by relative positions; empty where there is none."""
        encoder: Any = self.model.encoder
        table = encoder.relative_bias
        if table is None:
            return ""
        graph = self.graph
        assert table.shape[0] == BUCKETS
        time = graph.node("Squeeze", graph.node("Shape", ids, start=1, end=2))
        places = graph.node("Range", self._ints(0), time, self._ints(1))
        rows = graph.node("Unsqueeze", places, self._ints([1]))
        distance = graph.node("Sub", graph.node("Unsqueeze", places, self._ints([0])), rows)
        distance = graph.node("Clip", distance, self._ints(-FARTHEST), self._ints(FARTHEST))
        by_distance = np.asarray(table)[buckets()]  # [257, heads]
        found = graph.node(
            "Gather", graph.weight(by_distance, "relative"), graph.node("Add", distance, self._ints(FARTHEST))
        )
        return graph.node("Unsqueeze", graph.node("Transpose", found, perm=[2, 0, 1]), self._ints([0]))

    def _layer_weights(self, layer: Layer) -> dict[str, Any]:
        attention, graph, products = layer.attention, self.graph, self.products
        inner = (attention.query, attention.key, attention.value)
        return {
            "attend": products.product(np.concatenate([np.asarray(part.weight) for part in inner])),
            "attend.bias": graph.weight(np.concatenate([np.asarray(part.bias) for part in inner]), "bias"),
            "output": products.product(attention.output.weight),
            "output.bias": graph.weight(attention.output.bias, "bias"),
            "attention_norm": layer.attention_norm,
            "up": products.product(layer.up.weight),
            "up.bias": graph.weight(layer.up.bias, "bias"),
            "down": products.product(layer.down.weight),
            "down.bias": graph.weight(layer.down.bias, "bias"),
            "norm": layer.norm,
        }

    def _layer(self, x: str, held: dict[str, Any], relative: str) -> str:
        products = self.products
        y = products.attend(x, held["attend"], held["attend.bias"], self.lengths, relative)
        x = self._norm(products.multiply(y, held["output"]), x, held["attention_norm"], held["output.bias"])
        y = products.multiply(x, held["up"])
        y = activated(self.graph, y, held["up.bias"], self.config.activation)
        return self._norm(products.multiply(y, held["down"]), x, held["norm"], held["down.bias"])

    def _affine(self, x: str, layer: Linear) -> str:
        """A layer beside the stack, in float32 whatever the products are: they are small, and near the answer."""
        y = self.graph.node("MatMul", x, self.graph.weight(np.asarray(layer.weight).T, "matrix"))
        return y if layer.bias is None else self.graph.node("Add", y, self.graph.weight(layer.bias, "bias"))

    def _dense(self, x: str, layer: Linear, activation: str) -> str:
        bias = np.zeros(layer.weight.shape[0], np.float32) if layer.bias is None else layer.bias
        y = self.graph.node("MatMul", x, self.graph.weight(np.asarray(layer.weight).T, "matrix"))
        return activated(self.graph, y, self.graph.weight(bias, "bias"), activation)

    def _head(self, x: str, words: str) -> str:
        head, graph = self.model.head, self.graph
        if head is None:
            return x
        if self.places:
            at = graph.input("at", "int32", ("batch", "places"))
            at = graph.node("Unsqueeze", graph.node("Cast", at, to=7), self._ints([2]))
            x = graph.node("GatherND", x, at, batch_dims=1)
        if isinstance(head, MaskedWords):
            x = self._plain_norm(self._dense(x, head.dense, head.activation), head.norm)
            table = words if head.decoder is None else graph.weight(head.decoder, "decoder")
            y = graph.node("FusedMatMul", x, table, domain=MICROSOFT, transB=1)
            return y if head.bias is None else graph.node("Add", y, graph.weight(head.bias, "bias"))
        assert isinstance(head, Classifier)
        if not self.places and head.pooling in ("first", "first-real"):  # padding is on the right
            x = graph.node("Gather", x, self._ints(0), axis=1)
        if head.dense is not None:
            x = self._dense(x, head.dense, head.activation)
        if head.norm is not None:
            x = self._plain_norm(x, head.norm)
        if head.output is not None:
            x = self._affine(x, head.output)
        return graph.node("Squeeze", x, self._ints([-1])) if head.squeezes else x

    def _plain_norm(self, x: str, norm: LayerNorm) -> str:
        gain, shift = self.graph.weight(norm.weight, "gain"), self.graph.weight(norm.bias, "shift")
        return self.graph.node("LayerNormalization", x, gain, shift, axis=-1, epsilon=float(norm.eps))


def activated(graph: GraphBuilder, x: str, bias: str, name: str) -> str:
    """Adds the activation, by transformers' name, of ``x + bias``."""
    if name in GELUS:
        return graph.node("BiasGelu", x, bias, domain=MICROSOFT)
    if name in TANH_GELUS:
        return graph.node("FastGelu", x, bias, domain=MICROSOFT)
    x = graph.node("Add", x, bias)
    floats = lambda *values: [graph.weight(np.float32(value), "number") for value in values]  # noqa: E731
    if name == "gelu_10":
        return graph.node("Clip", graph.node("Gelu", x, domain=MICROSOFT), *floats(-10, 10))
    if name == "relu2":
        positive = graph.node("Relu", x)
        return graph.node("Mul", positive, positive)
    if name == "relu6":
        return graph.node("Clip", x, *floats(0, 6))
    if name in ("quick_gelu", "silu", "swish"):
        return graph.node("QuickGelu", x, domain=MICROSOFT, alpha=1.702 if name == "quick_gelu" else 1.0)
    if name == "mish":
        return graph.node("Mul", x, graph.node("Tanh", graph.node("Softplus", x)))
    kinds = {
        "relu": "Relu", "leaky_relu": "LeakyRelu", "hardswish": "HardSwish", "tanh": "Tanh", "sigmoid": "Sigmoid",
        "linear": "Identity",
    }  # fmt: skip
    return graph.node(kinds[name], x)
