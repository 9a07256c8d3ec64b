# SPDX-License-Identifier: BSD-2-Clause
"""Operations on types that ONNX, or its runtimes, do not have them for: done in a wider type, and cast back.

Whole numbers wrap around when they are cast back as they would have on the way, so nothing else changes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spago_jax.interop.onnx.graph import Graph, Value
from spago_jax.interop.onnx.table import Equation, Primitive, Rule, Variable

_WIDER = {
    **dict.fromkeys(("bool", "int8", "uint8", "int16", "uint16"), "int32"),
    **dict.fromkeys(("uint32", "int32"), "int64"),
    "float16": "float32",
}
_SMALL = "int8 uint8 int16 uint16 uint32"

# By primitive, the types of its first operand that are widened.
_NARROW = {
    "neg": "uint8 uint16 uint32",
    "sign": "float16",
    "log1p": "float16",
    "exp2": "float16",
    "is_finite": "float16",
    **dict.fromkeys(("lt", "le", "gt", "ge"), "bool"),
    **dict.fromkeys(("max", "min", "clamp", "pad"), "int16 uint16"),
    **dict.fromkeys(("reduce_max", "reduce_min", "argmax", "argmin"), "int16 uint16 uint32"),
    **dict.fromkeys(("sort", "top_k"), "bool int16 uint16 uint32"),
    **dict.fromkeys(("reduce_sum", "reduce_prod"), f"{_SMALL} int32"),  # 32 bits do not wrap around in runtimes
    "cumsum": _SMALL,
    "dot_general": f"bool {_SMALL}",
    "reduce_window_max": "int16 uint16 int32 uint32",
}
# The type of their results is not that of their operands.
_OTHER_RESULT = ("lt", "le", "gt", "ge", "is_finite", "argmax", "argmin")


@dataclasses.dataclass(frozen=True)
class _Aval:
    dtype: np.dtype
    shape: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class _Variable:
    aval: _Aval


@dataclasses.dataclass(frozen=True)
class _Equation:
    """An equation as its rule sees it, with wider types."""

    primitive: Primitive
    params: Mapping[str, Any]
    invars: list[_Variable]
    outvars: list[_Variable]


def apply_rule(rule: Rule, g: Graph, eqn: Equation, inputs: list[Any]) -> list[Any]:
    """Writes an equation by its rule, in a wider type where its own has no such operation."""
    name = eqn.primitive.name
    narrow = str(getattr(eqn.invars[0].aval, "dtype", "")) if eqn.invars else ""
    if narrow not in _NARROW.get(name, "").split():
        outputs = rule(g, eqn, *inputs)
        return outputs if isinstance(outputs, list) else [outputs]
    wide = np.dtype("float64" if name == "reduce_window_max" else _WIDER[narrow])
    keys = 1 if name in ("sort", "top_k") else len(inputs)

    def widened(variables: Sequence[Variable], count: int) -> list[_Variable]:
        return [
            _Variable(_Aval(wide if at < count and v.aval.dtype == narrow else v.aval.dtype, v.aval.shape))
            for at, v in enumerate(variables)
        ]

    results = 0 if name in _OTHER_RESULT else min(keys, len(eqn.outvars))
    changed = _Equation(eqn.primitive, eqn.params, widened(eqn.invars, keys), widened(eqn.outvars, results))
    given: list[Value] = [
        g.cast(value, wide) if new.aval.dtype != old.aval.dtype else value
        for value, new, old in zip(inputs, changed.invars, eqn.invars, strict=True)
    ]
    outputs = rule(g, changed, *given)
    return [
        g.cast(value, old.aval.dtype) if new.aval.dtype != old.aval.dtype else value
        for value, new, old in zip(
            outputs if isinstance(outputs, list) else [outputs], changed.outvars, eqn.outvars, strict=True
        )
    ]
