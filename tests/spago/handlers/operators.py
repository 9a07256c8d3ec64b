"""op.*: the operators of spaGO's autograd; its matrices are ours, its columns our vectors."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.registry import Comparison, Computation, Instead, golden
from spago.shapes import column, vector
from spago_jax.core import Array
from spago_jax.ops import activations, algebra, pooling
from spago_jax.ops.conv2d import conv2d
from spago_jax.ops.sparsemax import sparsemax, sparsemax_loss

Operator = Callable[[dict[str, Any], Sequence[Array]], Array | Sequence[Array]]


def _scalar(x: Array) -> Array:
    return x.reshape(1, 1)


def _along(function: Callable[[Array], Array]) -> Operator:
    """A function of the last axis, on a column."""
    return lambda c, x: column(function(vector(x[0])))


# Each takes the case's settings and its inputs, and gives one output or several, in spaGO's shapes.
OPERATORS: dict[str, Operator] = {
    # arithmetic
    "Identity": lambda c, x: x[0],
    "Copy": lambda c, x: x[0],
    "Add": lambda c, x: x[0] + x[1],
    "Sub": lambda c, x: x[0] - x[1],
    "Prod": lambda c, x: x[0] * x[1],
    "Div": lambda c, x: x[0] / x[1],
    "AddScalar": lambda c, x: x[0] + x[1],
    "SubScalar": lambda c, x: x[0] - x[1],
    "ProdScalar": lambda c, x: x[0] * x[1],
    "DivScalar": lambda c, x: x[0] / x[1],
    "ReverseSub": lambda c, x: x[1] - x[0],
    "ReverseSubOne": lambda c, x: 1.0 - x[0],
    "Mul": lambda c, x: x[0] @ x[1],
    "MulT": lambda c, x: x[0].T @ x[1],
    "Dot": lambda c, x: _scalar(jnp.vdot(x[0], x[1])),
    "BiLinear": lambda c, x: _scalar(algebra.bilinear(x[0], vector(x[1]), vector(x[2]))),
    "BiAffine": lambda c, x: _scalar(
        algebra.biaffine(x[0], vector(x[1]), vector(x[2]), x[3], vector(x[4]), vector(x[5]))
    ),
    "Square": lambda c, x: jnp.square(x[0]),
    "Pow": lambda c, x: x[0] ** c["power"],
    "Sqrt": lambda c, x: jnp.sqrt(x[0]),
    "Exp": lambda c, x: jnp.exp(x[0]),
    "Log": lambda c, x: jnp.log(x[0]),
    "Sin": lambda c, x: jnp.sin(x[0]),
    "Cos": lambda c, x: jnp.cos(x[0]),
    "Tan": lambda c, x: jnp.tan(x[0]),
    "Abs": lambda c, x: jnp.abs(x[0]),
    "Neg": lambda c, x: -x[0],
    "Reciprocal": lambda c, x: jnp.reciprocal(x[0]),
    "Max": lambda c, x: jnp.maximum(x[0], x[1]),
    "Min": lambda c, x: jnp.minimum(x[0], x[1]),
    "StopGrad": lambda c, x: jax.lax.stop_gradient(x[0]) * x[1],
    "NewWrapNoGrad": lambda c, x: jax.lax.stop_gradient(x[0]) * x[1],
    # shapes
    "At": lambda c, x: _scalar(_at(c, x[0])),
    "AtVec": lambda c, x: _scalar(vector(x[0])[c["i"]]),
    "View": lambda c, x: x[0][c["row"] : c["row"] + c["x_stride"], c["column"] : c["column"] + c["y_stride"]],
    "Slice": lambda c, x: x[0][c["from_row"] : c["to_row"], c["from_col"] : c["to_col"]],
    "RowView": lambda c, x: x[0][c["row"]][None, :],
    "RowViews": lambda c, x: [row[None, :] for row in x[0]],
    "ColViews": lambda c, x: [column(one) for one in x[0].T],
    "Vec": lambda c, x: column(x[0].ravel()),
    "Flatten": lambda c, x: x[0].reshape(1, -1),
    "Reshape": lambda c, x: x[0].reshape(c["rows"], c["columns"]),
    "T": lambda c, x: x[0].T,
    "Concat": lambda c, x: column(jnp.concatenate([vector(one) for one in x])),
    "Stack": lambda c, x: jnp.stack([vector(one) for one in x]),
    "AppendRows": lambda c, x: jnp.concatenate([x[0], jnp.stack([vector(one) for one in x[1:]])]),
    "RotateR": lambda c, x: column(algebra.rotate_right(vector(x[0]), c["i"])),
    "Separate": lambda c, x: [_scalar(one) for one in x[0].ravel()],
    "SeparateMatrix": lambda c, x: [_scalar(one) for one in x[0].ravel()],
    "SeparateVec": lambda c, x: [_scalar(one) for one in x[0].ravel()],
    # reductions
    "ReduceSum": lambda c, x: _scalar(jnp.sum(x[0])),
    "ReduceMean": lambda c, x: _scalar(jnp.mean(x[0])),
    "ReduceMax": lambda c, x: _scalar(jnp.max(x[0])),
    "ScalarMax": lambda c, x: _scalar(jnp.max(jnp.stack(list(x)))),
    "Sum": lambda c, x: sum(x[1:], x[0]),
    "Mean": lambda c, x: sum(x[1:], x[0]) / len(x),
    "Maximum": lambda c, x: jnp.max(jnp.stack(list(x)), axis=0),
    "Minimum": lambda c, x: jnp.min(jnp.stack(list(x)), axis=0),
    "LogSumExp": lambda c, x: _scalar(jax.nn.logsumexp(jnp.concatenate([vector(one) for one in x]))),
    "MaxPooling": lambda c, x: pooling.max_pool2d(x[0], c["rows"], c["columns"]),
    # activations
    "Tanh": lambda c, x: jnp.tanh(x[0]),
    "Sigmoid": lambda c, x: jax.nn.sigmoid(x[0]),
    "HardSigmoid": lambda c, x: activations.hard_sigmoid_keras(x[0]),
    "HardTanh": lambda c, x: jax.nn.hard_tanh(x[0]),
    "Softsign": lambda c, x: jax.nn.soft_sign(x[0]),
    "ReLU": lambda c, x: jax.nn.relu(x[0]),
    "LeakyReLU": lambda c, x: activations.leaky_relu(x[0], c["alpha"]),
    "ELU": lambda c, x: activations.elu(x[0], c["alpha"]),
    "PositiveELU": lambda c, x: activations.positive_elu(x[0]),
    "CELU": lambda c, x: activations.celu(x[0], c["alpha"]),
    "SELU": lambda c, x: activations.selu(x[0], c["alpha"], c["scale"]),
    "GELU": lambda c, x: activations.gelu_tanh(x[0]),
    "SwishB": lambda c, x: activations.swish_b(x[0], x[1] if len(x) > 1 else c["beta"]),
    "Swish": lambda c, x: jax.nn.silu(x[0]),
    "SiLU": lambda c, x: jax.nn.silu(x[0]),
    "Mish": lambda c, x: jax.nn.mish(x[0]),
    "SoftPlus": lambda c, x: activations.softplus(x[0], c["beta"], c["threshold"]),
    "SoftShrink": lambda c, x: activations.soft_shrink(x[0], c["lambda"]),
    "Threshold": lambda c, x: activations.threshold(x[0], c["threshold"], c["k"]),
    "Softmax": _along(activations.softmax),
    "LogSoftmax": _along(activations.log_softmax),
    "SparseMax": _along(sparsemax),
    "SparseMaxLoss": _along(sparsemax_loss),
}


# What follows x among the operands of spaGO's operator; its values are read, and get no gradient.
SETTINGS = {
    "LeakyReLU": ("alpha",), "ELU": ("alpha",), "CELU": ("alpha",), "SELU": ("alpha", "scale"),
    "SoftPlus": ("beta", "threshold"), "SoftShrink": ("lambda",), "Threshold": ("threshold", "k"), "Pow": ("power",),
}  # fmt: skip


def _settings(case: Case) -> dict[str, float]:
    """The settings of an activation: in the config, or operands of one number each, by name or in spaGO's order."""
    names = SETTINGS.get(case.file.removeprefix("op."), ())
    operands = dict(zip(names, (value for _, value in case.inputs[1:]), strict=False)) | dict(case.inputs[1:])
    given = {name: case.config[name] if name in case.config else operands.get(name) for name in names}
    return {name: float(np.asarray(value).item()) for name, value in given.items() if value is not None}


def _at(config: dict[str, Any], x: Array) -> Array:
    indices = config.get("indices") or [config["i"], config["j"]]
    return vector(x)[indices[0]] if len(indices) == 1 else x[indices[0], indices[1]]


def _computation(case: Case, operator: Operator) -> Computation:
    settings = _settings(case)
    config = case.config | settings

    def function(params: Any, inputs: Sequence[Array]) -> Sequence[Array]:
        found = operator(config, inputs)
        return found if isinstance(found, list | tuple) else [found]  # type: ignore[return-value]

    # spaGO's derivative of GELU has constants of six digits.
    tolerance = 1e-6 if case.file == "op.GELU" else 1e-9
    return Computation(function, _instead(case), tolerance, settings)


@golden(*(f"op.{name}" for name in OPERATORS))
def operator(case: Case) -> Computation:
    """One of the table."""
    return _computation(case, OPERATORS[case.file.removeprefix("op.")])


@golden("op.ColView")
def column_view(case: Case) -> Computation:
    """A column of a matrix: a row vector in 0.7, a column in main."""
    turned = case.version == "v0.7.0"
    made = _computation(case, lambda c, x: x[0][:, c["column"]].reshape((1, -1) if turned else (-1, 1)))
    return dataclasses.replace(made, settings={"turned": turned})


@golden("op.Affine")
def affine(case: Case) -> Computation:
    """b + W1 x1 + ...; inputs come in pairs, and a weight whose x is nil has none. A matrix is a row of columns."""
    names = [name for name, _ in case.inputs]

    def function(params: Any, inputs: Sequence[Array]) -> list[Array]:
        given = dict(zip(names, inputs, strict=True))
        b = given.pop("b")
        pairs = [(w, given.get(f"x{name[1:]}")) for name, w in given.items() if name.startswith("w")]
        turned = [(w, None if x is None else x.T) for w, x in pairs]
        if b.shape[1] == 1:
            return [algebra.affine(vector(b), *turned).T]
        return [algebra.affine(jnp.zeros(b.shape[0], b.dtype), *turned).T + b]

    return Computation(function)


@golden("op.Conv2D")
def convolution(case: Case) -> Computation:
    """One kernel over one matrix; x counts rows and y columns."""
    strides = case.config["x_stride"], case.config["y_stride"]

    def function(params: Any, inputs: Sequence[Array]) -> list[Array]:
        w, x = inputs
        return [conv2d(x[None], w[None, None], strides=strides)[0]]

    return Computation(function)


@golden("op.SplitVec")
def split(case: Case) -> Computation | list[Comparison]:
    """Equal parts; where they are not, spaGO 0.7 loses the last numbers, and ours refuses."""
    chunks = case.config["chunks"]
    if case.inputs[0][1].size % chunks == 0:
        return _computation(case, lambda c, x: [column(part) for part in algebra.split_last(vector(x[0]), chunks)])
    try:
        algebra.split_last(jnp.asarray(case.inputs[0][1].ravel()), chunks)
    except ValueError:
        return [("uneven parts are refused", 0.0, np.array(0.0))]
    return [("uneven parts are refused", 1.0, np.array(0.0))]


@golden("op.Dropout")
def dropout(case: Case) -> list[Comparison]:
    """The mask is spaGO's own draw, found in its output: kept numbers are scaled by 1 / (1 - p), the others zero."""
    from spago_jax.core import Rng
    from spago_jax.ops.dropout import dropout as ours

    p, (_, x), (y,) = case.config["p"], case.inputs[0], case.outputs
    kept = y != 0
    found = np.asarray(ours(jnp.ones((400, 400)), p, Rng.seed(0)), np.float64)
    return [
        ("kept numbers", x[kept] / (1 - p), y[kept]),
        ("gradient", np.where(kept, 1 / (1 - p), 0.0) * case.output_grads[0], case.input_grads["x"]),
        ("our scale", found.max(), np.array(1 / (1 - p))),
        ("our share of zeros is p", float(abs((found == 0).mean() - p) > 0.005), np.array(0.0)),
    ]


def _instead(case: Case) -> Instead | None:
    """The oracle of the cases that spaGO gets wrong, written out in NumPy."""
    x = case.inputs[0][1]
    if case.file == "op.ScalarMax" and case.status != "ok":
        return Instead(
            "spaGO's running maximum starts at zero: where no number is above it, the first one comes out",
            lambda case: [np.max([x for _, x in case.inputs], axis=0)],
        )
    if case.status != "spago_bug":
        return None
    match case.file:
        case "op.MaxPooling":
            rows, columns = case.config["rows"], case.config["columns"]
            shape = x.shape[0] // rows, rows, x.shape[1] // columns, columns
            return Instead(
                "spaGO starts from the smallest positive number, and mixes up rows and columns of a window",
                lambda case: [case.inputs[0][1].reshape(shape).max(axis=(1, 3))],
            )
        case "op.SparseMax":
            return Instead("spaGO clips the result to the largest input", lambda case: [_sparsemax(case.inputs[0][1])])
        case "op.ReduceMean" | "op.ReduceSum" | "op.Max" | "op.Min" | "op.AppendRows":
            return Instead("spaGO's gradient has another shape than the operand")
    return None


def _sparsemax(x: np.ndarray) -> np.ndarray:
    """Bisection for the threshold: nothing in common with the sorting that is under test."""
    low, high = x.min() - 1.0, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        if np.maximum(x - middle, 0).sum() > 1:
            low = middle
        else:
            high = middle
    return np.maximum(x - (low + high) / 2, 0)
