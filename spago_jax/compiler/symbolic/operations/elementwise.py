# SPDX-License-Identifier: BSD-2-Clause
"""Functions of every element: Gorgonia's twenty unary ones, arithmetic and comparisons of equal shapes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.rewrite import stable
from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


def _unary(name: str, function: Callable[[Any], Any], *, differentiable: bool = True) -> Callable[..., Node]:
    def of_arrays(x: Any) -> Any:
        return function(x)

    of_arrays.__name__, of_arrays.__doc__ = name, f"``{name}`` of every element."
    return operation(name, differentiable=differentiable)(of_arrays)


absolute = _unary("abs", jnp.abs)
sign = _unary("sign", jnp.sign, differentiable=False)
ceil = _unary("ceil", jnp.ceil, differentiable=False)
floor = _unary("floor", jnp.floor, differentiable=False)
sin = _unary("sin", jnp.sin)
cos = _unary("cos", jnp.cos)
exp = _unary("exp", jnp.exp)
log = _unary("log", jnp.log)
log2 = _unary("log2", jnp.log2)
neg = _unary("neg", jnp.negative)
square = _unary("square", jnp.square)
sqrt = _unary("sqrt", jnp.sqrt)
inverse = _unary("inverse", lambda x: 1 / x)
inverse_sqrt = _unary("inverse_sqrt", jax.lax.rsqrt)
cube = _unary("cube", lambda x: x * x * x)
tanh = _unary("tanh", jnp.tanh)
sigmoid = _unary("sigmoid", jax.nn.sigmoid)
log1p = _unary("log1p", jnp.log1p)
expm1 = _unary("expm1", stable.expm1)
softplus = _unary("softplus", stable.softplus)


def same_shapes(name: str, a: Node, b: Node, **_: Any) -> None:
    """Equal shapes and dtypes, or a scalar and anything: nothing is repeated to fit."""
    if a.dtype != b.dtype:
        raise InputError(f"{name}({described((a, b))}): {a.dtype} and {b.dtype} do not mix; convert(x, dtype) one")
    if a.shape != b.shape and a.shape != () and b.shape != ():
        raise InputError(
            f"{name}({described((a, b))}): shapes {a.shape} and {b.shape} differ; "
            f"broadcast('{name}', a, b, left=axes, right=axes) repeats axes"
        )


def _binary(
    name: str, function: Callable[[Any, Any], Any], symbol: str = "", *, differentiable: bool = True
) -> Callable[..., Node]:
    def of_arrays(a: Any, b: Any) -> Any:
        return function(a, b)

    of_arrays.__name__, of_arrays.__doc__ = name, f"``{name}`` of two values of one shape, or of one and a scalar."
    return operation(name, same_shapes, symbol=symbol, differentiable=differentiable)(of_arrays)


add = _binary("add", jnp.add, "+")
sub = _binary("sub", jnp.subtract, "-")
hadamard_prod = _binary("hadamard_prod", jnp.multiply, "*")
hadamard_div = _binary("hadamard_div", jnp.divide, "/")
pow = _binary("pow", jnp.power, "**")
min_between = _binary("min_between", jnp.minimum)
max_between = _binary("max_between", jnp.maximum)


def _comparison(name: str, function: Callable[[Any, Any], Any], symbol: str) -> Callable[..., Node]:
    def of_arrays(a: Any, b: Any, *, same: bool = False) -> Any:
        found = function(a, b)
        return found.astype(jnp.result_type(a)) if same else found

    of_arrays.__name__ = name
    of_arrays.__doc__ = f"``a {symbol} b``: bool, or with ``same`` 1 and 0 in the dtype of the operands."
    return operation(name, same_shapes, symbol=symbol, differentiable=False)(of_arrays)


lt = _comparison("lt", jnp.less, "<")
gt = _comparison("gt", jnp.greater, ">")
lte = _comparison("lte", jnp.less_equal, "<=")
gte = _comparison("gte", jnp.greater_equal, ">=")
eq = _comparison("eq", jnp.equal, "==")
ne = _comparison("ne", jnp.not_equal, "!=")


@operation("convert")
def convert(x: Any, *, dtype: Any) -> Any:
    """The same numbers in another dtype."""
    return jnp.asarray(x).astype(np.dtype(dtype))
