# SPDX-License-Identifier: BSD-2-Clause
"""Identities of operations that only move, choose or convert elements."""

from jax import lax

from spago_jax.compiler.jaxprs import JaxprEqn
from spago_jax.compiler.rewrite.definitions import type_of
from spago_jax.compiler.rewrite.identities import IDENTITIES, _alias
from spago_jax.compiler.rewrite.rules import Replacement, same_type

# dtype -> dtypes that hold each of its values exactly
_WIDER = {
    "bfloat16": ("float32", "float64"),
    "float16": ("float32", "float64"),
    "float32": ("float64",),
    "int8": ("int16", "int32", "int64", "float16", "float32", "float64"),
    "uint8": ("int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "float32", "float64"),
    "int16": ("int32", "int64", "float32", "float64"),
    "int32": ("int64", "float64"),
    "bool": ("int8", "int16", "int32", "int64", "uint8", "uint32", "float16", "bfloat16", "float32", "float64"),
}


@IDENTITIES.add("select by a constant", "select_n")
def _(defs, eqn):
    which, *cases = eqn.invars
    number = defs.number(which)
    if number is not None:
        return _alias(eqn, cases[int(number)])
    if all(defs.same_value(cases[0], case) for case in cases):
        return _alias(eqn, cases[0])
    inner = defs.operand(which, "not")
    if inner is not None and len(cases) == 2 and same_type(inner, which):
        return Replacement("select_n({0}, {1}, {2})", (inner, cases[1], cases[0]), lax.select_n)
    return None


@IDENTITIES.add("reshape of reshape", "reshape")
def _(defs, eqn):
    if eqn.params.get("dimensions") is not None or eqn.params.get("sharding") is not None:
        return None
    x, shape = eqn.invars[0], type_of(eqn.outvars[0]).shape
    if type_of(x).shape == shape:
        return _alias(eqn, x)
    inner = defs.definition(x, "reshape")
    if inner is None or inner.params.get("dimensions") is not None or inner.params.get("sharding") is not None:
        return None
    source = inner.invars[0]
    return _alias(eqn, source) or Replacement(f"reshape({{0}}, {shape})", (source,), lambda x: lax.reshape(x, shape))


@IDENTITIES.add("broadcast of broadcast", "broadcast_in_dim")
def _(defs, eqn):
    if len(eqn.invars) > 1 or eqn.params.get("sharding") is not None:
        return None
    x, shape, dims = eqn.invars[0], type_of(eqn.outvars[0]).shape, eqn.params["broadcast_dimensions"]
    if type_of(x).shape == shape and tuple(dims) == tuple(range(len(shape))):
        return _alias(eqn, x)
    inner = defs.definition(x, "broadcast_in_dim")
    if inner is None or len(inner.invars) > 1 or inner.params.get("sharding") is not None:
        return None
    through = tuple(dims[i] for i in inner.params["broadcast_dimensions"])
    return Replacement(
        f"broadcast({{0}}, {shape})", (inner.invars[0],), lambda x: lax.broadcast_in_dim(x, shape, through)
    )  # fmt: skip


@IDENTITIES.add("convert to the same dtype", "convert_element_type")
def _(defs, eqn):
    if eqn.params.get("sharding") is not None:
        return None
    x = eqn.invars[0]
    if type_of(x).dtype == type_of(eqn.outvars[0]).dtype:
        return _alias(eqn, x)
    inner = defs.definition(x, "convert_element_type")
    if inner is not None and type_of(x).dtype.name in _WIDER.get(type_of(inner.invars[0]).dtype.name, ()):
        return _alias(eqn, inner.invars[0])  # there and back, nothing lost on the way
    return None


@IDENTITIES.add("moves nothing", "transpose", "slice", "pad", "concatenate", "squeeze", "rev", "copy", "dynamic_slice")
def _(defs, eqn):
    """A transpose in order, a slice of everything, padding with nothing, a list of one, ..."""
    return _alias(eqn, eqn.invars[0]) if _moves_nothing(eqn) else None


@IDENTITIES.add("sum over no axes", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or")
def _(defs, eqn):
    return _alias(eqn, eqn.invars[0]) if not eqn.params["axes"] else None


def _moves_nothing(eqn: JaxprEqn) -> bool:
    params, name = eqn.params, eqn.primitive.name
    shape = type_of(eqn.invars[0]).shape
    if name == "transpose":
        return tuple(params["permutation"]) == tuple(range(len(shape)))
    if name == "slice":
        strides = params["strides"]
        return type_of(eqn.outvars[0]).shape == shape and (strides is None or all(s == 1 for s in strides))
    if name == "pad":
        return all(tuple(config) == (0, 0, 0) for config in params["padding_config"])
    if name == "concatenate":
        return len(eqn.invars) == 1
    if name == "squeeze":
        return not params["dimensions"]
    if name == "rev":
        return not params["dimensions"]
    if name == "dynamic_slice":  # its start is clamped to 0
        return type_of(eqn.outvars[0]).shape == shape
    return name == "copy"
