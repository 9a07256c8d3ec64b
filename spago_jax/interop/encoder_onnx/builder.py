# SPDX-License-Identifier: BSD-2-Clause
"""GraphBuilder: nodes and weights to an ONNX model whose weights lie in a file beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""
_SMALL = 1024  # bytes; a smaller weight is written into the graph, since the runtime reads some of them at once
_ALIGNED = 4096  # bytes; of a page, so that the file can be mapped
_KINDS = {"int32": TensorProto.INT32, "float32": TensorProto.FLOAT}


class GraphBuilder:
    """Collects the nodes of a graph, and writes its large weights to a file as they come.

    Args:
        folder: of the two files, ``model.onnx`` and ``weights.bin``.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights = (folder / "weights.bin").open("wb")
        self._names: dict[str, int] = {}

    def input(self, name: str, kind: str, axes: Sequence[str | int]) -> str:
        """Adds an input, whose named axes are free."""
        self._inputs.append(helper.make_tensor_value_info(name, _KINDS[kind], list(axes)))
        return name

    def weight(self, array: object, name: str = "weight") -> str:
        """Adds an array and returns its name in the graph."""
        found = np.asarray(array, order="C")
        name = self._fresh(name)
        tensor = numpy_helper.from_array(found, name) if found.nbytes < _SMALL else self._outside(found, name)
        self._initializers.append(tensor)
        return name

    def _outside(self, array: np.ndarray, name: str) -> onnx.TensorProto:
        at = -(-self._weights.tell() // _ALIGNED) * _ALIGNED
        self._weights.seek(at)
        array.tofile(self._weights)
        tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "weights.bin"), ("offset", at), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Adds an operation with one output and returns its name; ``""`` stands for an input that is left out."""
        return self.nodes(kind, *inputs, outputs=1, domain=domain, **attributes)[0]

    def nodes(self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """Adds an operation with several outputs and returns their names."""
        names = tuple(self._fresh(kind) for _ in range(outputs))
        self._nodes.append(helper.make_node(kind, list(inputs), list(names), domain=domain, **attributes))
        return names

    def output(self, name: str, value: str, axes: Sequence[str | int]) -> None:
        """Makes a value an output of floats, by this name."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes)))

    def _fresh(self, name: str) -> str:
        number = self._names[name] = self._names.get(name, -1) + 1
        return f"{name}.{number}"

    def write(self) -> Path:
        """Writes the model, and returns its path."""
        self._weights.close()
        graph = helper.make_graph(self._nodes, "encoder", self._inputs, self._outputs, self._initializers)
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=9)
        path = self._folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path
