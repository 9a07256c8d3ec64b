"""nn.nru, nn.rla, nn.srnn, nn.bisrnn: recurrences with layers or memories of their own."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.handlers.recurrent import over_sequence
from spago.handlers.recurrent_cells import fused
from spago.registry import Computation, Instead, Params, golden
from spago.shapes import vector
from spago_jax.nn import NRU, RLA, SRNN, BiSRNN, LayerNorm, Linear, Shuffle

OLD_EPS = 1e-12  # of v0.7.0's layer norm, which has no setting


@golden("nn.rla")
def rla(case: Case) -> Computation:
    """Recurrent linear attention."""
    return over_sequence(
        lambda params: RLA(input_weight=fused(params, "", "Wk", "Wv", "Wq"), bias=fused(params, "", "Bk", "Bv", "Bq"))
    )


@golden("nn.nru")
def nru(case: Case) -> Computation:
    """A non-saturating unit; its layer norm has parameters even where it is not used."""
    settings = case.config

    def build(params):
        norm = None
        if settings["use_layer_norm"]:
            norm = _norm(case, params, "HiddenLayerNorm")
        return NRU(
            input_weight=params["Wx"],
            recurrent_weight=jnp.concatenate([params["Wh"], params["Wm"]], axis=1),
            gate_weight=fused(params, "", "Whm2alpha", "Whm2beta"),
            vector_weight=fused(params, "", "Whm2alphaVec", "Whm2betaVec"),
            bias=vector(params["B"]),
            gate_bias=fused(params, "", "Bhm2alpha", "Bhm2beta"),
            vector_bias=fused(params, "", "Bhm2alphaVec", "Bhm2betaVec"),
            norm=norm,
            relu=bool(settings["use_relu"]),
        )

    made = over_sequence(build)
    if case.status != "spago_bug":
        return made
    return Computation(made.function, instead=Instead("spaGO's gradient is NaN at a column whose 5-norm is zero"))


def _norm(case: Case, params: Params, name: str) -> LayerNorm:
    eps = float(case.buffers[f"{name}.Eps"].item()) if f"{name}.Eps" in case.buffers else OLD_EPS
    return LayerNorm(weight=vector(params[f"{name}.W"]), bias=vector(params[f"{name}.B"]), eps=eps)


def _linear(params: Params, name: str) -> Linear:
    return Linear(weight=params[f"{name}.W"], bias=vector(params[f"{name}.B"]))


def _shuffle(case: Case, params: Params, *, norm: bool) -> Shuffle:
    """FC is a list: affine, norm (not where both directions share it), relu, and so on; the last one is affine."""
    root = "FC.Layers" if any(name.startswith("FC.Layers.") for name in params) else "FC"
    count, period = int(case.config["num_layers"]), 3 if norm else 2
    affine = [f"{root}.{period * layer}" for layer in range(count + 1)]
    norms = [f"{root}.{period * layer + 1}" for layer in range(count)] if norm else []
    return Shuffle(
        layers=tuple(_linear(params, name) for name in affine),
        norms=tuple(_norm(case, params, name) for name in norms),
        gate=_linear(params, "FC2") if case.config["multi_head"] else None,
    )


@golden("nn.srnn")
def srnn(case: Case) -> Computation:
    """A shuffling network."""
    made = over_sequence(lambda params: SRNN(hidden=_shuffle(case, params, norm=True), output=_linear(params, "FC3")))
    if case.status != "spago_bug":
        return made
    reason = "v0.7.0 starts every step without the state of the one before; held against the equations in NumPy"
    return Computation(made.function, instead=Instead(reason, _srnn_oracle))


def _srnn_oracle(case: Case) -> list[np.ndarray]:
    p, ys, hidden = case.params, [], np.zeros((1, 1))

    def affine(name: str, x: Any) -> np.ndarray:
        return p[f"{name}.W"] @ x + p[f"{name}.B"]

    count = int(case.config["num_layers"])
    for _, x in case.inputs:
        b = x
        for layer in range(count):  # each is an affine layer, a norm, a relu
            b = affine(f"FC.Layers.{3 * layer}", b)
            b = (b - b.mean()) / np.sqrt(b.var() + OLD_EPS)
            b = np.maximum(b * p[f"FC.Layers.{3 * layer + 1}.W"] + p[f"FC.Layers.{3 * layer + 1}.B"], 0)
        b = affine(f"FC.Layers.{3 * count}", b)
        if case.config["multi_head"]:
            b = b / (1 + np.exp(-affine("FC2", x)))
        hidden = np.maximum(b + np.roll(hidden, 1), 0)
        ys.append(affine("FC3", hidden))
    return ys


@golden("nn.bisrnn")
def bi_srnn(case: Case) -> Computation:
    """A shuffling network in both directions."""
    return over_sequence(
        lambda params: BiSRNN(
            hidden=_shuffle(case, params, norm=False),
            output=_linear(params, "FC3"),
            norm=_norm(case, params, "LayerNorm"),
        )
    )
