"""Feed-forward and structural layers: highway, activations, flatten, pooling, residual forms, and the like."""

import jax.numpy as jnp
import numpy as np

from spago.activations import gradient_tolerance, our_activation
from spago.golden import Case
from spago.layers import linear_from, norm_from
from spago.registry import Computation, Instead, golden
from spago.shapes import column, columns, sequence, vector
from spago_jax.nn import (
    Activation,
    Convolution1x1,
    Embedding,
    Flatten,
    Highway,
    Linear,
    MaxPooling2d,
    PostNorm,
    PreNorm,
    ReZero,
    SquaredDistance,
)
from spago_jax.ops.activations import OPTIONS


@golden("nn.highway")
def highway(case: Case) -> Computation:
    """WIn, BIn transform and WT, BT gate."""
    name = case.config["activation"]

    def function(params, inputs):
        layer = Highway(
            transform=Linear(weight=params["WIn"], bias=vector(params["BIn"])),
            gate=Linear(weight=params["WT"], bias=vector(params["BT"])),
            activation=our_activation(name),
        )
        return columns(layer(sequence(inputs)))

    return Computation(function, gradient_tolerance=gradient_tolerance(name))


@golden("nn.activation")
def activation(case: Case) -> Computation:
    """SwishB's beta is trained; the other parameters are constants in spaGO too, which gives them no gradient."""
    name = case.config["activation"]
    ours = our_activation(name)
    constants = [float(case.params[f"Params.{place}"].item()) for place in range(len(case.params))]

    def function(params, inputs):
        if ours == "swish_b":
            layer = Activation(name=ours, beta=params["Params.0"].reshape(()))
        else:
            layer = Activation.init(ours, **dict(zip(OPTIONS[ours], constants, strict=True)))
        return [column(layer(vector(x))) for x in inputs]

    wrong = None
    if case.status in ("spago_bug", "spago_quirk") and ours == "swish_b":
        wrong = Instead("the gradient of beta is summed into memory that is not cleared")
    if case.status in ("spago_bug", "spago_quirk") and ours == "sparsemax":
        wrong = Instead("its result is clipped to the largest input; the oracle is the projection in NumPy", _projected)
    settings = {} if ours == "swish_b" else dict(zip(("alpha", "scale"), constants, strict=False))
    return Computation(function, wrong, gradient_tolerance(name), settings)


def _projected(case: Case) -> list[np.ndarray]:
    """Onto the simplex, by bisection of the threshold."""
    outputs = []
    for _, x in case.inputs:
        low, high = x.min() - 1.0, x.max()
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
        outputs.append(np.maximum(x - low, 0))
    return outputs


@golden("nn.flatten")
def flatten(case: Case) -> Computation:
    """All inputs end to end."""
    return Computation(lambda params, inputs: [column(Flatten.init(2)(*inputs))])


@golden("nn.pooling")
def pooling(case: Case) -> Computation:
    """Each input by itself; with negative numbers, or windows that are not square, spaGO is wrong."""
    rows, columns_ = case.config["rows"], case.config["columns"]
    layer = MaxPooling2d.init(rows, columns_)

    def right(case: Case) -> list[np.ndarray]:
        pooled = []
        for _, x in case.inputs:
            height, width = x.shape[0] // rows, x.shape[1] // columns_
            windows = [
                [x[i * rows : (i + 1) * rows, j * columns_ : (j + 1) * columns_].max() for j in range(width)]
                for i in range(height)
            ]
            pooled.append(np.array(windows))
        return pooled

    wrong = case.status in ("spago_bug", "spago_quirk")
    reason = "its maximum starts above zero, and its windows are square; the oracle is NumPy's maximum of each window"
    return Computation(lambda params, inputs: [layer(x) for x in inputs], Instead(reason, right) if wrong else None)


@golden("nn.conv1x1")
def conv1x1(case: Case) -> Computation:
    """The inputs are the channels."""

    def function(params, inputs):
        layer = Convolution1x1(weight=params["W"], bias=vector(params["B"]))
        return columns(layer(sequence(inputs)))

    return Computation(function)


@golden("nn.sqrdist")
def squared_distance(case: Case) -> Computation:
    """B is the weight."""
    return Computation(lambda params, inputs: columns(SquaredDistance(weight=params["B"])(sequence(inputs))))


@golden("nn.embedding")
def embedding(case: Case) -> Computation:
    """The file's outputs are e0 * e1, tanh(e2) and e3 + e0 of the embeddings of ``ids``."""
    ids = jnp.array(case.config["ids"])

    def function(params, inputs):
        rows = [vector(params[f"Weights.{row}"]) for row in range(case.config["size"])]
        e = Embedding(weight=jnp.stack(rows))(ids)
        return [column(e[0] * e[1]), column(jnp.tanh(e[2])), column(e[3] + e[0])]

    return Computation(function)


@golden("nn.residual_connections")
def residual(case: Case) -> Computation:
    """F is affine, Norm a layer norm with eps 1e-12."""
    kind = case.config["kind"]

    def function(params, inputs):
        affine, norm = linear_from(params, "F."), norm_from(params, "Norm.", 1e-12)
        layer = {
            "prenorm": PreNorm(function=affine, norm=norm),
            "postnorm": PostNorm(function=affine, norm=norm),
            "rezero": ReZero(function=affine, gain=params["Alpha"].reshape(())),
        }[kind]
        return columns(layer(sequence(inputs)))

    def pre_norm(case: Case) -> list[np.ndarray]:
        outputs = []
        for _, x in case.inputs:
            normal = (x - x.mean()) / np.sqrt(x.var() + 1e-12) * case.params["Norm.W"] + case.params["Norm.B"]
            outputs.append(x + case.params["F.W"] @ normal + case.params["F.B"])
        return outputs

    reason = "computes x + Norm(F(x)) where its own words are x + F(Norm(x)); the oracle is the latter in NumPy"
    return Computation(function, Instead(reason, pre_norm) if kind == "prenorm" else None)
