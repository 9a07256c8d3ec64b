"""nn.birnn, nn.birnncrf, nn.crf: models over whole sequences."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.handlers.recurrent import ran_oracle
from spago.handlers.recurrent_cells import BUILDERS, build_lstm
from spago.registry import Computation, Instead, Params, golden
from spago.shapes import column, columns, sequence, vector
from spago_jax.nn import CRF, BiRNN, BiRNNCRF, Linear, StackedRNN


@golden("nn.birnn")
def birnn(case: Case) -> Computation:
    """Two cells and their merge; ``bibilstm`` is a stack of two, of which the first concatenates."""
    kind, how = str(case.config["cell"]), str(case.config["merge"])
    build = BUILDERS["lstm" if kind == "bibilstm" else kind]

    def pair(params: Params, prefix: str, merge: str) -> BiRNN:
        first, second = (build(params, f"{prefix}{side}.", case.config) for side in ("Positive", "Negative"))
        return BiRNN(forward=first, backward=second, merge=merge)

    def model(params: Params) -> BiRNN | StackedRNN:
        if kind != "bibilstm":
            return pair(params, "", how)
        stack = "L" if any(name.startswith("L.") for name in params) else "Layers"
        return StackedRNN(layers=(pair(params, f"{stack}.0.", "concat"), pair(params, f"{stack}.1.", how)))

    def function(params, inputs):
        ys, _ = model(params)(sequence(inputs))
        return columns(ys)

    if kind == "ran" and case.status == "spago_bug":
        reason = "v0.7.0's RAN puts the previous output in the place of the cell; held against the equations in NumPy"
        return Computation(function, instead=Instead(reason, _biran_oracle))
    return Computation(function)


def _biran_oracle(case: Case) -> list[np.ndarray]:
    def side(prefix: str, inputs: tuple[tuple[str, np.ndarray], ...]) -> list[np.ndarray]:
        params = {name.removeprefix(prefix): value for name, value in case.params.items() if name.startswith(prefix)}
        return ran_oracle(dataclasses.replace(case, params=params, inputs=inputs))

    merge = {
        "concat": lambda a, b: np.concatenate([a, b]),
        "sum": np.add,
        "prod": np.multiply,
        "avg": lambda a, b: (a + b) / 2,
    }[case.config["merge"]]
    first, second = side("Positive.", case.inputs), side("Negative.", case.inputs[::-1])[::-1]
    return [merge(a, b) for a, b in zip(first, second, strict=True)]


@golden("nn.crf")
def crf(case: Case) -> Computation:
    """The negative log-likelihood of a tag path."""
    target = jnp.asarray(case.config["target"], jnp.int32)

    def function(params, inputs):
        return [column(-CRF(transitions=params["TransitionScores"]).log_likelihood(sequence(inputs), target))]

    return Computation(function)


@golden("nn.birnncrf")
def birnn_crf(case: Case) -> Computation:
    """The negative log-likelihood of a tag path under a BiLSTM-CRF."""
    target = jnp.asarray(case.config["target"], jnp.int32)

    def function(params, inputs):
        model = BiRNNCRF(
            rnn=BiRNN(
                forward=build_lstm(params, "BiRNN.Positive."),
                backward=build_lstm(params, "BiRNN.Negative."),
                merge=str(case.config.get("merge", "concat")),
            ),
            scorer=Linear(weight=params["Scorer.W"], bias=vector(params["Scorer.B"])),
            crf=CRF(transitions=params["CRF.TransitionScores"]),
        )
        return [column(-model.log_likelihood(sequence(inputs), target))]

    return Computation(function)
