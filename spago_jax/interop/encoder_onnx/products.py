# SPDX-License-Identifier: BSD-2-Clause
"""The products of an encoder's layer as operators of ONNX Runtime: in float32, or in int8."""

import numpy as np
from numpy.typing import ArrayLike

from spago_jax.interop.encoder_onnx.builder import MICROSOFT, GraphBuilder


class FloatProducts:
    """Products in float32.

    Args:
        graph: that they are added to.
        heads: of attention.
    """

    def __init__(self, graph: GraphBuilder, heads: int):
        self.graph, self.heads = graph, heads

    def product(self, weight: ArrayLike) -> tuple[str, ...]:
        """Returns the weights [out, in] of a product as the graph holds them."""
        return (self.graph.weight(np.asarray(weight).T, "matrix"),)

    def multiply(self, x: str, held: tuple[str, ...]) -> str:
        """Returns ``x W'``, without a bias."""
        return self.graph.node("MatMul", x, held[0])

    def attend(self, x: str, held: tuple[str, ...], bias: str, lengths: str, relative: str) -> str:
        """Returns the heads' values side by side, from the products of queries, keys and values in one."""
        return self.graph.node(
            "Attention", x, held[0], bias, lengths, "", relative, domain=MICROSOFT, num_heads=self.heads
        )


class Int8Products(FloatProducts):
    """Products in int8: weights with a scale per output, inputs with one per row, so that no row changes another.

    ONNX Runtime's own dynamic quantization has one scale for all rows of a call: a row with a large number, or the
    padding, takes the others' digits. So rows are divided by their largest number before, and multiplied by it after.

    Args:
        graph: that they are added to.
        heads: of attention.
        largest: of a weight. Processors without VNNI add pairs of products in 16 bits, for which 127 is too large.
    """

    def __init__(self, graph: GraphBuilder, heads: int, largest: int = 127):
        super().__init__(graph, heads)
        self._largest = largest
        self._step = graph.weight(np.float32(1 / 127), "step")
        self._zero = graph.weight(np.uint8(128), "zero")
        self._least = graph.weight(np.float32(1e-12), "least")

    def product(self, weight: ArrayLike) -> tuple[str, ...]:
        """Returns the rounded weights and their scales."""
        wide = np.asarray(weight, np.float32)
        scale = np.maximum(np.abs(wide).max(axis=1), 1e-12) / self._largest
        rounded = np.rint(wide / scale[:, None]).astype(np.int8)
        return self.graph.weight(rounded.T, "matrix"), self.graph.weight(scale.astype(np.float32), "scale")

    def multiply(self, x: str, held: tuple[str, ...]) -> str:
        """Returns ``x W'``, without a bias."""
        graph, (matrix, scale) = self.graph, held
        largest = graph.node("ReduceMax", graph.node("Abs", x), axes=[-1], keepdims=1)
        largest = graph.node("Max", largest, self._least)
        rounded = graph.node("QuantizeLinear", graph.node("Div", x, largest), self._step, self._zero)
        y = graph.node(
            "MatMulIntegerToFloat", rounded, matrix, self._step, scale, self._zero, domain=MICROSOFT
        )  # fmt: skip
        return graph.node("Mul", y, largest)

    def attend(self, x: str, held: tuple[str, ...], bias: str, lengths: str, relative: str) -> str:
        """Returns the heads' values side by side, from the products of queries, keys and values in one."""
        query, key, value = self.graph.nodes("Split", self.multiply(x, held), outputs=3, axis=-1)
        return self.graph.node(
            "MultiHeadAttention", query, key, value, bias, lengths, relative, domain=MICROSOFT, num_heads=self.heads
        )
