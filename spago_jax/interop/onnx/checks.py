# SPDX-License-Identifier: BSD-2-Clause
"""Checks of a finished model, before it is written: the types that each operator takes, and those of ONNX itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spago_jax.errors import ExportError

if TYPE_CHECKING:
    import onnx


def check_model(model: "onnx.ModelProto", name: str, places: dict[str, str]) -> None:
    """Refuses a model that no runtime would load.

    Args:
        model: an ``onnx.ModelProto``.
        name: of the function, for the error.
        places: for each tensor, the place in the source of the operation that makes it.

    Raises:
        ExportError: with every operator that does not take a type that it is given, and the place in the source; or
            with what ONNX's checker says.
    """
    import onnx

    try:
        typed = onnx.shape_inference.infer_shapes(model)
        wrong = list(_wrong_types(typed.graph, {}, model.opset_import[0].version, places))
        if not wrong:
            onnx.checker.check_model(model, full_check=True)
            return
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        wrong = [f"  {' '.join(str(error).split())}"]
    raise ExportError(f"{name} cannot be written as an ONNX model that runtimes load:\n" + "\n".join(wrong))


def _wrong_types(graph: "onnx.GraphProto", around: dict[str, int], opset: int, places: dict[str, str]) -> Iterator[str]:
    from onnx import defs, helper

    types = dict(around)
    types |= {info.name: info.type.tensor_type.elem_type for info in (*graph.input, *graph.value_info, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        schema = defs.get_schema(node.op_type, opset, node.domain)
        allowed = {constraint.type_param_str: constraint.allowed_type_strs for constraint in schema.type_constraints}
        for at, value in enumerate(node.input):
            formal = schema.inputs[min(at, len(schema.inputs) - 1)]
            kind = types.get(value, 0)
            if not kind or formal.type_str not in allowed:
                continue
            text = f"tensor({helper.tensor_dtype_to_string(kind).removeprefix('TensorProto.').lower()})"
            if text not in allowed[formal.type_str]:
                place = places.get(node.output[0], "place unknown")
                yield f"  {node.op_type} takes no {text.removeprefix('tensor(').removesuffix(')')}: {place}"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _wrong_types(attribute.g, types, opset, places)
