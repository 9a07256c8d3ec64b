# SPDX-License-Identifier: BSD-2-Clause
"""Operations that compute numbers: elementwise, reductions, activations, losses, normalisation, random nodes."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from spago_jax.compiler.rewrite import accurate
from spago_jax.compiler.symbolic.node import Node, Owner, described, operation
from spago_jax.errors import InputError
from spago_jax.ops.activations import leaky_relu
from spago_jax.ops.sparsemax import sparsemax as ops_sparsemax

Array = jax.Array
Axis = int | Sequence[int] | None
"""One axis, several, or all of them."""

__all__ = [
    "absolute", "add", "batch_mean", "batch_norm", "batch_norm_with", "batch_variance", "binary_xent", "binomial",
    "ceil", "convert", "cos", "ctc_loss", "cube", "dropout", "dropout_by", "eq", "exp", "expm1", "floor",
    "gaussian", "group_norm", "gt", "gte", "hadamard_div", "hadamard_prod", "inverse", "inverse_sqrt",
    "leaky_rectify", "log", "log1p", "log2", "log_softmax", "log_sum_exp", "lt", "lte", "max", "max_between",
    "mean", "min", "min_between", "mish", "ne", "neg", "norm", "pow", "rectify", "reduce_add", "reduce_mul",
    "sigmoid", "sign", "sin", "softmax", "softplus", "sparsemax", "sqrt", "square", "sub", "sum", "tanh", "uniform",
]  # fmt: skip

# -- Elementwise -----------------------------------------------------------------------------------------------------


def _unary(name: str, function: Callable[[Any], Any], *, differentiable: bool = True) -> Callable[..., Node]:
    def of_arrays(x: Array) -> Array:
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
expm1 = _unary("expm1", accurate.expm1)
softplus = _unary("softplus", accurate.softplus)


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
    def of_arrays(a: Array, b: Array) -> Array:
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
    def of_arrays(a: Array, b: Array, *, same: bool = False) -> Array:
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
def convert(x: Array, *, dtype: DTypeLike) -> Array:
    """The same numbers in another dtype."""
    return jnp.asarray(x).astype(np.dtype(dtype))


# -- Reductions ------------------------------------------------------------------------------------------------------


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    """The axes that ``axis`` names: None all of them, a number, or several."""
    if axis is None:
        return tuple(range(rank))
    return tuple(a % rank for a in ((axis,) if isinstance(axis, int) else axis))


def check_axes(name: str, x: Node, *, axis: Axis = None, **_: Any) -> None:
    """Every axis is one of the operand, once."""
    named = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if bad := [a for a in named if not -x.ndim <= a < x.ndim]:
        raise InputError(f"{name}({described((x,))}): no axis {bad[0]}; there are {x.ndim}")
    if len(set(axes_of(axis, x.ndim))) != len(axes_of(axis, x.ndim)):
        raise InputError(f"{name}({described((x,))}): an axis is named twice in {named}")


@operation("sum", check_axes)
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The sum."""
    return jnp.sum(x, axis, keepdims=keepdims)


@operation("mean", check_axes)
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The mean."""
    return jnp.mean(x, axis, keepdims=keepdims)


@operation("max", check_axes)
def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest value; equal ones share the derivative."""
    return jnp.max(x, axis, keepdims=keepdims)


@operation("min", check_axes)
def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest value."""
    return jnp.min(x, axis, keepdims=keepdims)


@operation("norm", check_axes)
def norm(x: Array, *, axis: Axis = None, p: float = 2) -> Array:
    """``(sum |x|^p)^(1/p)``; for p = 2 over the whole range of numbers, with derivative 0 at 0."""
    axes = axes_of(axis, jnp.ndim(x))
    if p == 2:
        return accurate.norm(x, axes)
    return jnp.sum(jnp.abs(x) ** p, axes) ** (1 / p)


@operation("log_sum_exp", check_axes)
def log_sum_exp(x: Array, *, axis: Axis = None) -> Array:
    """``log(sum(exp(x)))``."""
    return accurate.logsumexp(x, axes_of(axis, jnp.ndim(x)))


def reduce_add(*nodes: Node) -> Node:
    """The sum of several nodes of one shape."""
    total = nodes[0]
    for node in nodes[1:]:
        total = total + node
    return total


def reduce_mul(*nodes: Node) -> Node:
    """The elementwise product of several nodes of one shape."""
    product = nodes[0]
    for node in nodes[1:]:
        product = product * node
    return product


# -- Activations -----------------------------------------------------------------------------------------------------


@operation("softmax", check_axes)
def softmax(x: Array, *, axis: Axis = -1) -> Array:
    """``exp(x) / sum(exp(x))`` over an axis, the last by default."""
    return accurate.softmax(x, axes_of(axis, jnp.ndim(x)))


@operation("log_softmax", check_axes)
def log_softmax(x: Array, *, axis: Axis = -1) -> Array:
    """``log(softmax(x))``."""
    return accurate.log_softmax(x, axes_of(axis, jnp.ndim(x)))


@operation("sparsemax", check_axes)
def sparsemax(x: Array, *, axis: int = -1) -> Array:
    """The nearest point of the simplex (Martins and Astudillo 2016): ``max(x - tau, 0)`` that sums to 1."""
    return jnp.moveaxis(ops_sparsemax(jnp.moveaxis(x, axis, -1)), -1, axis)


@operation("rectify")
def rectify(x: Array) -> Array:
    """``max(x, 0)``."""
    return jax.nn.relu(x)


@operation("leaky_rectify")
def leaky_rectify(x: Array, *, alpha: float = 0.01) -> Array:
    """x above 0, ``alpha x`` below."""
    return leaky_relu(x, alpha)


@operation("mish")
def mish(x: Array) -> Array:
    """``x tanh(softplus(x))`` (Misra 2019)."""
    return x * jnp.tanh(accurate.softplus(x))


# -- Losses ----------------------------------------------------------------------------------------------------------


@operation("binary_xent", same_shapes)
def binary_xent(probability: Array, target: Array) -> Array:
    """``-t log(p) - (1 - t) log(1 - p)``, where ``0 log 0`` is 0."""
    on = jnp.where(target == 0, 0, -target * jnp.log(jnp.where(target == 0, 1, probability)))
    off = jnp.where(target == 1, 0, (target - 1) * jnp.log1p(-jnp.where(target == 1, 0, probability)))
    return on + off


def _check_ctc(name: str, scores: Node, targets: Node, sizes: Node, target_sizes: Node, **_: Any) -> None:
    nodes = (scores, targets, sizes, target_sizes)
    if scores.ndim != 3 or targets.ndim != 2 or targets.shape[0] != scores.shape[1]:
        raise InputError(f"{name}({described(nodes)}): needs scores [time, batch, classes], targets [batch, length]")
    if sizes.shape != (scores.shape[1],) or target_sizes.shape != sizes.shape:
        raise InputError(f"{name}({described(nodes)}): needs one length of input and of target for each of the batch")


@operation("ctc_loss", _check_ctc)
def ctc_loss(
    log_probabilities: Array,
    targets: Array,
    sizes: Array,
    target_sizes: Array,
    *,
    reduction: str = "mean",
    blank: int = 0,
) -> Array:
    """Minus the log-likelihood of the targets over all alignments (Graves 2006), of log-probabilities as they stand.

    ``reduction`` is ``"sum"``, or ``"mean"``: over the batch, of each divided by the length of its target.
    """
    each = jax.vmap(_negative_log_likelihood, (1, 0, 0, 0, None))(
        log_probabilities, targets, sizes, target_sizes, blank
    )  # fmt: skip
    return jnp.sum(each) if reduction == "sum" else jnp.mean(each / target_sizes.astype(each.dtype))


def _negative_log_likelihood(scores: Array, target: Array, size: Array, target_size: Array, blank: int) -> Array:
    length = target.shape[0]
    labels = jnp.full((2 * length + 1,), blank, target.dtype).at[1::2].set(target)
    floor = jnp.asarray(-1e30, scores.dtype)
    skips = (labels != blank) & (labels != jnp.roll(labels, 2)) & (jnp.arange(2 * length + 1) >= 2)
    start = jnp.where(jnp.arange(2 * length + 1) < 2, scores[0, labels], floor)

    def step(alpha: Array, inputs: Any) -> tuple[Any, None]:
        t, row = inputs
        one = jnp.roll(alpha, 1).at[0].set(floor)
        two = jnp.where(skips, jnp.roll(alpha, 2), floor)
        new = accurate.logaddexp(accurate.logaddexp(alpha, one), two) + row[labels]
        return jnp.where(t < size, new, alpha), None

    alpha, _ = jax.lax.scan(step, start, (jnp.arange(1, scores.shape[0]), scores[1:]))
    last = 2 * target_size
    before = jnp.where(target_size > 0, alpha[jnp.maximum(last - 1, 0)], floor)
    return -accurate.logaddexp(alpha[last], before)


# -- Normalisation of [batch, channels, ...] -------------------------------------------------------------------------


def _check_channels(name: str, x: Node, *vectors: Node, **_: Any) -> None:
    if x.ndim < 2:
        raise InputError(f"{name}({described((x, *vectors))}): needs [batch, channels, ...]")
    for vector in vectors:
        if vector.shape != (x.shape[1],):
            raise InputError(
                f"{name}({described((x, *vectors))}): {vector.label} has shape {vector.shape}, expected ({x.shape[1]},)"
            )


def _along_channels(vector: Array, x: Array) -> Array:
    return jnp.reshape(vector, (1, -1, *[1] * (jnp.ndim(x) - 2)))


def _others(x: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(jnp.ndim(x)) if axis != 1)


@operation("batch_mean", _check_channels)
def batch_mean(x: Array) -> Array:
    """The mean of every channel."""
    return jnp.mean(x, _others(x))


@operation("batch_variance", _check_channels)
def batch_variance(x: Array) -> Array:
    """The variance of every channel, by n - 1: for running statistics."""
    return jnp.var(x, _others(x), ddof=1)


@operation("batch_norm", _check_channels)
def batch_norm(x: Array, scale: Array, bias: Array, *, epsilon: float = 1e-5) -> Array:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias`` by the statistics of the batch."""
    mean, variance = jnp.mean(x, _others(x), keepdims=True), jnp.var(x, _others(x), keepdims=True)
    unit = (x - mean) / jnp.sqrt(variance + epsilon)
    return unit * _along_channels(scale, x) + _along_channels(bias, x)


@operation("batch_norm_with", _check_channels)
def batch_norm_with(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, *, epsilon: float = 1e-5
) -> Array:
    """``batch_norm`` by given statistics: for evaluation."""
    unit = (x - _along_channels(mean, x)) / jnp.sqrt(_along_channels(variance, x) + epsilon)
    return unit * _along_channels(scale, x) + _along_channels(bias, x)


def _check_groups(name: str, x: Node, scale: Node, bias: Node, *, groups: int, epsilon: float = 1e-5) -> None:
    _check_channels(name, x, scale, bias)
    if groups < 1 or x.shape[1] % groups:
        raise InputError(f"{name}({described((x,))}): {x.shape[1]} channels do not split into {groups} groups")


@operation("group_norm", _check_groups)
def group_norm(x: Array, scale: Array, bias: Array, *, groups: int, epsilon: float = 1e-5) -> Array:
    """Normalised by the mean and variance of every group of channels of every example."""
    grouped = jnp.reshape(x, (x.shape[0], groups, -1))
    mean, variance = jnp.mean(grouped, -1, keepdims=True), jnp.var(grouped, -1, keepdims=True)
    unit = jnp.reshape((grouped - mean) / jnp.sqrt(variance + epsilon), jnp.shape(x))
    return unit * _along_channels(scale, x) + _along_channels(bias, x)


# -- Random nodes, which give other numbers at every run -------------------------------------------------------------

_NUMBERS = itertools.count()  # every random node draws its own numbers: two alike are two


def _key(key: Array, number: int) -> Array:
    return jax.random.fold_in(jax.random.wrap_key_data(key), number)


@operation("_uniform", differentiable=False)
def _uniform(key: Array, *, low: float, high: float, shape: Sequence[int], number: int) -> Array:
    return jax.random.uniform(_key(key, number), shape, jnp.float32, low, high)


@operation("_gaussian", differentiable=False)
def _gaussian(key: Array, *, mean: float, deviation: float, shape: Sequence[int], number: int) -> Array:
    return mean + deviation * jax.random.normal(_key(key, number), shape)


@operation("_binomial", differentiable=False)
def _binomial(key: Array, *, trials: int, probability: float, shape: Sequence[int], number: int) -> Array:
    return jax.random.binomial(_key(key, number), trials, probability, shape)


def uniform(g: Owner, low: float, high: float, shape: tuple[int, ...]) -> Node:
    """Numbers from low to high, drawn anew at every run."""
    return g.apply("_uniform", g.key(), low=low, high=high, shape=shape, number=next(_NUMBERS))


def gaussian(g: Owner, mean: float, deviation: float, shape: tuple[int, ...]) -> Node:
    """Normal numbers, drawn anew at every run."""
    return g.apply("_gaussian", g.key(), mean=mean, deviation=deviation, shape=shape, number=next(_NUMBERS))


def binomial(g: Owner, trials: int, probability: float, shape: tuple[int, ...]) -> Node:
    """Numbers of successes, drawn anew at every run."""
    return g.apply("_binomial", g.key(), trials=trials, probability=probability, shape=shape, number=next(_NUMBERS))


@operation("dropout_by")
def dropout_by(x: Array, draws: Array, *, p: float) -> Array:
    """``x / (1 - p)`` where the draw, from 0 to 1, is below ``1 - p``; 0 elsewhere."""
    return jnp.where(draws < 1 - p, x / (1 - p), 0)


def dropout(x: Node, p: float) -> Node:
    """Zeros with probability p, the others divided by ``1 - p``; leave it out to evaluate.

    Raises:
        InputError: unless ``0 <= p < 1``.
    """
    if not 0 <= p < 1:
        raise InputError(f"dropout of {x.label}: p must be from 0 up to 1, not {p}")
    return x if p == 0 else dropout_by(x, uniform(x.owner, 0.0, 1.0, x.shape), p=p)
