"""nn.rae_encoder and nn.rae_decoder."""

import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.layers import linear_from, norm_from
from spago.registry import Computation, Instead, golden
from spago.shapes import column, columns, sequence, vector
from spago_jax.nn import Activation, RecursiveDecoder, RecursiveEncoder, Sequential
from spago_jax.ops.positions import sinusoidal_positions


def _layers(params, path: str, kinds: str) -> Sequential:
    """The layers at a path: an affine one for l, a norm for n, Mish for m."""
    made = {
        "l": lambda at: linear_from(params, at),
        "n": lambda at: norm_from(params, at, 1e-12),
        "m": lambda at: Activation.init("mish"),
    }
    return Sequential.init(made[kind](f"{path}Layers.{place}.") for place, kind in enumerate(kinds))


@golden("nn.rae_encoder")
def encoder(case: Case) -> Computation:
    """A sequence to a vector."""

    def function(params, inputs):
        length, size = case.config["max_sequence_length"], 2 * case.config["embedding_size"]
        layer = RecursiveEncoder(
            scale=_layers(params, "ScalingFFN.", "lmlm"),
            merge=_layers(params, "EncodingFFN.", "lnmlnm"),
            encodings=sinusoidal_positions(jnp.arange(length), size),
        )
        return [column(layer(sequence(inputs)))]

    return Computation(function)


@golden("nn.rae_decoder")
def decoder(case: Case) -> Computation:
    """A vector to a sequence; ours is held against what is meant, written out in NumPy."""
    length = case.config["sequence_length"]

    def function(params, inputs):
        size = case.config["embedding_size"]
        layer = RecursiveDecoder(
            split=_layers(params, "DecodingFNN1.", "lnml"),
            join=_layers(params, "DecodingFFN2.", "nm"),
            descale=_layers(params, "DescalingFFN.", "lml"),
            encodings=sinusoidal_positions(jnp.arange(case.config["max_sequence_length"]), size),
        )
        return columns(layer(vector(inputs[0]), length))

    reason = "averages with the wrong neighbour and counts its steps from a triangular number; the oracle is NumPy"
    return Computation(function, Instead(reason, _decoded))


def _decoded(case: Case) -> list[np.ndarray]:
    p, size = case.params, case.config["embedding_size"]

    def affine(path: str, x: np.ndarray) -> np.ndarray:
        return p[f"{path}.W"] @ x + p[f"{path}.B"]

    def norm(path: str, x: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-12) * p[f"{path}.W"] + p[f"{path}.B"]

    def mish(x: np.ndarray) -> np.ndarray:
        return x * np.tanh(np.log1p(np.exp(x)))

    def encoding(r: int) -> np.ndarray:
        half, values = -(-size // 2), np.zeros((size, 1))
        for i in range(size):
            angle = r / 10000 ** (2 * (i // 2) / size)
            values[i // 2 if i % 2 == 0 else half + i // 2] = np.sin(angle) if i % 2 == 0 else np.cos(angle)
        return values

    ys = [case.inputs[0][1]]
    for r in range(case.config["sequence_length"] - 1, 0, -1):
        halves = []
        for y in ys:
            hidden = mish(norm("DecodingFNN1.Layers.1", affine("DecodingFNN1.Layers.0", y + encoding(r))))
            both = affine("DecodingFNN1.Layers.3", hidden)
            halves.append((both[:size], both[size:]))
        middle = [(halves[i - 1][1] + halves[i][0]) / 2 for i in range(1, len(halves))]
        joined = [halves[0][0], *middle, halves[-1][1]]
        ys = [mish(norm("DecodingFFN2.Layers.0", y)) for y in joined]
    return [affine("DescalingFFN.Layers.2", mish(affine("DescalingFFN.Layers.0", y))) for y in ys]
