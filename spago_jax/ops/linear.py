# SPDX-License-Identifier: BSD-2-Clause
"""The affine map, the one matrix product that every layer goes through."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from spago_jax.core.target import target_platform
from spago_jax.errors import InputError
from spago_jax.ops.broadcast import over
from spago_jax.ops.quantized import Int8Weight, int8_product, two_rows


def accumulation_dtype(dtype) -> jnp.dtype:
    """The dtype in which sums of products of ``dtype`` are kept: float32 for the 16-bit floats, else itself.

    >>> accumulation_dtype(jnp.bfloat16), accumulation_dtype(jnp.float32)
    (dtype('float32'), dtype('float32'))
    """
    dtype = jnp.dtype(dtype)
    return jnp.dtype(jnp.float32) if dtype in (jnp.bfloat16, jnp.float16) else dtype


def as_float(x: jax.Array, *like: Any) -> jax.Array:
    """Returns integers and booleans in the float dtype of some parameters, and floats as they are.

    A layer gives its results in the dtype of its inputs. For integers that would round them, and stop the gradients.

    Args:
        x: any shape.
        like: trees of arrays; the first float of them sets the dtype (float32 where there is none, by JAX's default).

    >>> as_float(jnp.array([1, 2]), jnp.ones((), jnp.bfloat16)).dtype, as_float(jnp.array([True])).dtype
    (dtype(bfloat16), dtype('float32'))
    """
    dtype = float_dtype(x.dtype, *like)
    return x if dtype == x.dtype else jnp.asarray(x).astype(dtype)


def float_dtype(dtype: DTypeLike, *like: Any) -> jnp.dtype:
    """Returns a float dtype as it is, and for any other the one of some parameters; see ``as_float``."""
    if jnp.issubdtype(dtype, jnp.inexact):
        return jnp.dtype(dtype)
    return next(
        (leaf.dtype for leaf in jax.tree.leaves(like) if jnp.issubdtype(leaf.dtype, jnp.inexact)),
        jnp.dtype(jnp.result_type(float)),
    )


def matmul(x: jax.Array, weight: jax.Array | Int8Weight) -> jax.Array:
    """``x @ weight.T`` as one flat 2-d product, in the accumulation dtype: [..., in] x [out, in] -> [..., out].

    The leading axes are folded into one, because XLA's CPU backend runs a 2-d product on its fast path and a
    batched one, or an ``einsum`` that has to move axes, often not.

    Raises:
        InputError: where the last axis of ``x`` is not the ``in`` of the weight.
    """
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise InputError(
            f"x has shape {tuple(x.shape)} and weight {tuple(weight.shape)}: a weight is [out, in], "
            f"and the last axis of x must be its `in`"
        )
    if isinstance(weight, Int8Weight):
        return int8_product(x.reshape(-1, x.shape[-1]), weight).reshape(*x.shape[:-1], weight.shape[0])
    dtype = jnp.promote_types(x.dtype, weight.dtype)
    flat = x.reshape(-1, x.shape[-1]).astype(dtype)
    y = _flat_16(two_rows(flat), weight.astype(dtype)) if dtype.itemsize == 2 else _flat(flat, weight.astype(dtype))
    return y[: flat.shape[0]].reshape(*x.shape[:-1], weight.shape[0])


def _flat(x: jax.Array, weight: jax.Array) -> jax.Array:
    return lax.dot_general(x, weight, (((1,), (1,)), ((), ())), preferred_element_type=accumulation_dtype(x.dtype))


def product_over_rows(x: jax.Array, y: jax.Array) -> jax.Array:
    """``x' y``, the sum over rows of their outer products, of which the gradient of a weight is one.

    [rows, m], [rows, n] -> [m, n], in the accumulation dtype.

    In 16 bits ``x`` is transposed in memory first, on a CPU. There XLA multiplies such floats by the processor's own
    instructions only where the left side is contracted along its last axis and lies in memory that way; else it
    converts both to float32, which takes nine times as long with AMX. The axis of one product keeps XLA from folding
    the transposition into it.

    >>> product_over_rows(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.ones((2, 1)))
    Array([[4.],
           [6.]], dtype=float32)
    """
    wide = accumulation_dtype(x.dtype)
    if jnp.dtype(x.dtype).itemsize > 2 or target_platform() != "cpu":
        return lax.dot_general(x, y, (((0,), (0,)), ((), ())), preferred_element_type=wide)
    transposed = lax.optimization_barrier(x.T[None])
    return lax.dot_general(transposed, y[None], (((2,), (1,)), ((0,), (0,))), preferred_element_type=wide)[0]


@jax.custom_vjp
def _flat_16(x: jax.Array, weight: jax.Array) -> jax.Array:
    """The product in 16 bits, with the quick gradient of its weight."""
    return _flat(x, weight)


def _flat_16_backward(residuals: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = residuals
    gradient = gradient.astype(x.dtype)
    dx = lax.dot_general(gradient, weight, (((1,), (0,)), ((), ())), preferred_element_type=accumulation_dtype(x.dtype))
    return dx.astype(x.dtype), product_over_rows(gradient, x).astype(weight.dtype)


_flat_16.defvjp(lambda x, weight: (_flat(x, weight), (x, weight)), _flat_16_backward)


def linear(x: jax.Array, weight: jax.Array | Int8Weight, bias: jax.Array | None = None) -> jax.Array:
    """The affine map ``y = x W' + b``.

    16-bit operands are summed in float32 (on CPUs with AMX that is also the fast path); the result comes back
    in the dtype of ``x``.

    Args:
        x: [..., in].
        weight: [out, in]; an ``Int8Weight`` is multiplied in 8-bit integers.
        bias: [out], or None.

    Returns:
        [..., out], in the dtype of ``x``, or in that of the weight where ``x`` holds integers.

    Raises:
        InputError: where the shapes do not fit.

    >>> linear(jnp.array([1.0, 2.0]), jnp.array([[1.0, 1.0], [0.0, 3.0]]), jnp.array([0.5, 0.0]))
    Array([3.5, 6. ], dtype=float32)
    """
    x = as_float(x, weight)
    y = matmul(x, weight)
    if bias is not None:
        y = y + over(bias.astype(y.dtype), y)
    return y.astype(x.dtype)
