"""The recurrent cells whose parameters are matrices and vectors of their own: nn.cfn to nn.tpr."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.handlers.recurrent_cells import BUILDERS, build_lstm, build_mist, fused, lstm_arrays
from spago.registry import Computation, Instead, Params, golden
from spago.shapes import columns, sequence, vector
from spago_jax.nn import FSMN, HORN, TPR, DeltaRNN, IndRNN, Linear, RefinedLSTM, SkipLSTM
from spago_jax.ops.activations import ACTIVATIONS
from spago_jax.ops.lstm import LSTMState


def over_sequence(build: Callable[[Params], Any]) -> Computation:
    """The outputs of a cell over the inputs of a case."""

    def function(params, inputs):
        ys, _ = build(params)(sequence(inputs))
        return columns(ys)

    return Computation(function)


@golden("nn.cfn", "nn.gru", "nn.ltm", "nn.srn")
def plain(case: Case) -> Computation:
    """Cells without settings."""
    build = BUILDERS[case.file.removeprefix("nn.")]
    return over_sequence(lambda params: build(params, "", case.config))


@golden("nn.lstm")
def lstm(case: Case) -> Computation:
    """An LSTM, with refined gates, or from an initial state, which comes as the last two inputs."""
    if case.config.get("refined_gates"):
        return over_sequence(lambda params: RefinedLSTM(**lstm_arrays(params)))
    names = [name for name, _ in case.inputs]
    if "cell_init" not in names and "y_init" not in names:
        return over_sequence(build_lstm)

    def from_state(params, inputs):
        given = dict(zip(names, inputs, strict=True))
        state = LSTMState(hidden=vector(given.pop("y_init")), cell=vector(given.pop("cell_init")))
        ys, _ = build_lstm(params)(sequence(list(given.values())), initial=state)
        return columns(ys)

    return Computation(from_state)


@golden("nn.lstmsc")
def skip_lstm(case: Case) -> Computation:
    """An LSTM with dynamic skip connections."""

    def build(params):
        hidden, output = (
            Linear(weight=params[f"PolicyGradient.Layers.{i}.W"], bias=vector(params[f"PolicyGradient.Layers.{i}.B"]))
            for i in (0, 2)
        )
        mix = float(case.config["lambda"])
        return SkipLSTM(**lstm_arrays(params), policy_hidden=hidden, policy_output=output, mix=mix)

    return over_sequence(build)


@golden("nn.deltarnn")
def delta_rnn(case: Case) -> Computation:
    """A delta network."""
    return over_sequence(
        lambda params: DeltaRNN(
            input_weight=params["W"],
            recurrent_weight=params["WRec"],
            alpha=vector(params["Alpha"]),
            beta1=vector(params["Beta1"]),
            beta2=vector(params["Beta2"]),
            bias=vector(params["B"]),
            gate_bias=vector(params["BPart"]),
        )
    )


@golden("nn.indrnn")
def ind_rnn(case: Case) -> Computation:
    """An independently recurrent network with an activation by name."""
    named = {name.replace("_", ""): name for name in ACTIVATIONS}
    activation = named[str(case.config["activation"]).lower()]
    return over_sequence(
        lambda params: IndRNN(params["W"], vector(params["WRec"]), bias=vector(params["B"]), activation=activation)
    )


def _numbered(params: Params, name: str) -> list[Any]:
    """``name.0``, ``name.1``, ... in order."""
    return [params[f"{name}.{i}"] for i in range(sum(key.startswith(f"{name}.") for key in params))]


@golden("nn.horn")
def horn(case: Case) -> Computation:
    """A higher-order network."""
    return over_sequence(
        lambda params: HORN(params["W"], jnp.concatenate(_numbered(params, "WRec"), axis=1), bias=vector(params["B"]))
    )


@golden("nn.fsmn")
def fsmn(case: Case) -> Computation:
    """A sequential memory network."""
    return over_sequence(
        lambda params: FSMN(
            input_weight=params["W"],
            recurrent_weight=vector(params["WRec"]),
            memory_weight=jnp.stack([vector(column) for column in _numbered(params, "WS")]),
            bias=vector(params["B"]),
        )
    )


@golden("nn.mist")
def mist(case: Case) -> Computation:
    """A mixed-history network; v1.0.1 has no outputs where its ``Forward`` panics."""
    made = over_sequence(lambda params: build_mist(params, "", case.config))
    if case.outputs:
        return made
    reason = "v1.0.1: Forward reads before the first state and panics; held against the equations in NumPy"
    return Computation(made.function, instead=Instead(reason, _mist_oracle))


def _mist_oracle(case: Case) -> list[np.ndarray]:
    p, ys = case.params, []
    for _, x in case.inputs:
        y = ys[-1] if ys else np.zeros((len(p["B"]), 1))
        scores = np.exp(p["Wax"] @ x + p["Ba"] + p["Wah"] @ y)
        weights = scores / scores.sum()
        reset = 1 / (1 + np.exp(-(p["Wrx"] @ x + p["Br"] + p["Wrh"] @ y)))
        past = [(i, 2**i) for i in range(int(case.config["num_of_delays"])) if 2**i <= len(ys)]
        mixed = sum((weights[i] * ys[-delay] for i, delay in past), np.zeros_like(y))
        ys.append(np.tanh(p["Wx"] @ x + p["B"] + p["Wh"] @ (reset * mixed)))
    return ys


@golden("nn.ran")
def ran(case: Case) -> Computation:
    """A recurrent additive network."""
    made = over_sequence(lambda params: BUILDERS["ran"](params, "", case.config))
    if case.status != "spago_bug":
        return made
    reason = "v0.7.0 puts the previous output in the place of the previous cell; held against the equations in NumPy"
    return Computation(made.function, instead=Instead(reason, ran_oracle))


def ran_oracle(case: Case) -> list[np.ndarray]:
    """A recurrent additive network in NumPy."""
    p, ys = case.params, []
    y = cell = np.zeros((len(p["BIn"]), 1))
    for _, x in case.inputs:
        i = 1 / (1 + np.exp(-(p["WIn"] @ x + p["BIn"] + p["WInRec"] @ y)))
        f = 1 / (1 + np.exp(-(p["WFor"] @ x + p["BFor"] + p["WForRec"] @ y)))
        cell = i * (p["WCand"] @ x + p["BCand"]) + f * cell
        y = np.tanh(cell)
        ys.append(y)
    return ys


@golden("nn.tpr")
def tpr(case: Case) -> Computation:
    """A network of tensor-product representations."""
    return over_sequence(
        lambda params: TPR(
            input_weight=fused(params, "", "WInS", "WInR"),
            recurrent_weight=fused(params, "", "WRecS", "WRecR"),
            symbol_weight=params["S"],
            role_weight=params["R"],
            bias=fused(params, "", "BS", "BR"),
        )
    )
