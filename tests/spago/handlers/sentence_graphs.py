"""nn.slstm, nn.startransformer: graphs over the words of a sentence."""

import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.registry import Computation, Instead, golden
from spago.shapes import column, columns, sequence, vector
from spago_jax.nn import LayerNorm, Linear, SentenceLSTM, StarTransformer
from spago_jax.nn.star_transformer import StarAttention

WORD_GATES = (
    "InputGate",
    "LeftCellGate",
    "RightCellGate",
    "CellGate",
    "SentCellGate",
    "OutputGate",
    "InputActivation",
)
SENTENCE_GATES = ("NonLocalSentCellGate", "NonLocalInputGate", "NonLocalSentOutputGate")


@golden("nn.slstm")
def slstm(case: Case) -> Computation:
    """A sentence-state LSTM in spaGO's form, which is matched.

    spaGO multiplies the sentence's state by the input activation's U instead of its V. Where the sizes let it, our
    layer gets U for both; where they do not, spaGO panics, and V is right.
    """
    tied = case.params["InputActivation.U"].shape == case.params["InputActivation.V"].shape and bool(case.outputs)

    def function(params, inputs):
        def stacked(part: str, gates=WORD_GATES):
            return jnp.concatenate([params[f"{gate}.{part}"] for gate in gates])

        of_sentence = ["V"] * (len(WORD_GATES) - 1) + ["U" if tied else "V"]
        model = SentenceLSTM(
            window_weight=stacked("W"),
            input_weight=stacked("U"),
            sentence_weight=jnp.concatenate(
                [params[f"{gate}.{part}"] for gate, part in zip(WORD_GATES, of_sentence, strict=True)]
            ),
            global_weight=stacked("W", SENTENCE_GATES),
            local_weight=stacked("U", SENTENCE_GATES),
            start=vector(params["StartH"]),
            end=vector(params["EndH"]),
            first=vector(params["InitValue"]),
            bias=vector(stacked("B")),
            global_bias=vector(stacked("B", SENTENCE_GATES)),
            steps=int(case.config["steps"]) - 1,
            form="spago",
        )
        return columns(model(sequence(inputs))[0])

    if case.outputs:
        return Computation(function)
    reason = "panics where in and out differ, having taken U for V; held against the equations in NumPy"
    return Computation(function, instead=Instead(reason, _slstm_oracle))


def _slstm_oracle(case: Case) -> list[np.ndarray]:
    p = case.params

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    xs = [x for _, x in case.inputs]
    hidden = cells = [p["InitValue"]] * len(xs)
    g = p["InitValue"]
    for _ in range(int(case.config["steps"]) - 1):
        h = [p["StartH"], *hidden, p["EndH"]]
        c = [p["StartH"], *cells, p["EndH"]]
        new_hidden, new_cells = [], []
        for t, x in enumerate(xs):
            window = np.concatenate(h[t : t + 3])
            z = {k: p[f"{k}.W"] @ window + p[f"{k}.V"] @ g + p[f"{k}.U"] @ x + p[f"{k}.B"] for k in WORD_GATES}
            i, left, right, f, s, o = (sigmoid(z[k]) for k in WORD_GATES[:6])
            cell = left * c[t] + f * c[t + 1] + right * c[t + 2] + s * g + i * np.tanh(z["InputActivation"])
            new_cells.append(cell)
            new_hidden.append(o * np.tanh(cell))
        mean = np.mean(hidden, axis=0)

        def gate(name: str, word: np.ndarray, sentence: np.ndarray = g) -> np.ndarray:
            return sigmoid(p[f"{name}.W"] @ sentence + p[f"{name}.U"] @ word + p[f"{name}.B"])

        kept = gate("NonLocalSentCellGate", mean) * g
        written = sum(gate("NonLocalInputGate", word) * cell for word, cell in zip(hidden, cells, strict=True))
        g = gate("NonLocalSentOutputGate", mean) * np.tanh(kept + written)
        hidden, cells = new_hidden, new_cells
    return hidden


@golden("nn.startransformer")
def star_transformer(case: Case) -> Computation:
    """A Star-Transformer; the words, then the relay."""

    def function(params, inputs):
        def linear(name: str) -> Linear:
            return Linear(weight=params[f"{name}.W"], bias=vector(params[f"{name}.B"]))

        def norm(name: str) -> LayerNorm:
            eps = float(case.config.get("layernorm_eps", 1e-12))
            return LayerNorm(weight=vector(params[f"{name}.W"]), bias=vector(params[f"{name}.B"]), eps=eps)

        model = StarTransformer(
            satellite=StarAttention(linear("Query"), linear("Key"), linear("Value")),
            relay=StarAttention(linear("RelayQuery"), linear("RelayKey"), linear("RelayValue")),
            satellite_norm=norm("SatelliteNorm"),
            relay_norm=norm("RelayNorm"),
            steps=int(case.config["steps"]),
        )
        words, relay = model(sequence(inputs))
        return [*columns(words), column(relay)]

    return Computation(function)
