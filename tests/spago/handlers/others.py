"""init.*, encoding.*, stats.*: initializers by spaGO's own generator, encodings of sequences, metrics."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from spago.binary import BinaryCounts, MovingAverage
from spago.generator import Generator
from spago.golden import Case
from spago.registry import Comparison, golden
from spago_jax.core.initializers import achlioptas, achlioptas_of, gain, xavier_bound, xavier_std
from spago_jax.ops.fofe import fofe_decode, fofe_encode
from spago_jax.ops.positions import sinusoidal_positions


@golden("init.lockedrand")
def generator(case: Case) -> Iterator[Comparison]:
    """The generator itself."""
    seed = case.config["generator_seed"]
    for name, draw in (("uint64", "uint64"), ("float64", "float64"), ("norm_float64", "normal")):
        source = Generator(seed)
        expected = [float(v) for v in case.extra[name]]
        yield name, np.array([float(getattr(source, draw)()) for _ in expected]), np.array(expected)


@golden("init.initializers")
def initializers(case: Case) -> Iterator[Comparison]:
    """Our rules, driven by spaGO's numbers; and our own draws against the moments that spaGO found."""
    c = case.config
    if case.id == "Gain":
        for name in ("Sigmoid", "ReLU", "Tanh"):
            yield name, gain(name.lower()), np.array(c[name])
        yield "others", gain("identity"), np.array(c["others"])
        return
    if case.id.startswith("lstm_init"):
        source = Generator(c["generator_seed"])
        for name, expected in case.params.items():
            drawn = (2 * source.fill(expected.shape, "float64") - 1) * xavier_bound(expected.shape)
            yield name, np.ones_like(expected) if name == "BFor" else drawn, expected
        return
    source = Generator(c["generator_seed"])
    (expected,) = case.outputs
    yield "matrix", _filled(case, source, expected.shape), expected
    stats = case.extra.get("stats")
    if stats:
        ours = np.asarray(_drawn(case, (300, 200)), np.float64)
        # The two draws are independent: their means and deviations differ by a few standard errors at most.
        scale = max(float(stats["std"]), 1e-12)
        yield "mean", float(abs(ours.mean() - stats["mean"]) > 6 * scale * 2**0.5 / 60000**0.5), np.array(0.0)
        yield "deviation", float(abs(ours.std() - stats["std"]) > 0.02 * scale), np.array(0.0)


def _filled(case: Case, source: Generator, shape: tuple[int, int]) -> np.ndarray:
    c = case.config
    match c["initializer"]:
        case "Uniform":
            return c["min"] + source.fill(shape, "float64") * (c["max"] - c["min"])
        case "Normal":
            return c["mean"] + source.fill(shape, "normal") * c["std"]
        case "XavierUniform":
            bound = xavier_bound(shape, c["gain"])
            return -bound + source.fill(shape, "float64") * 2 * bound
        case "XavierNormal":
            return source.fill(shape, "normal") * xavier_std(shape, c["gain"])
        case "Achlioptas":
            return np.asarray(achlioptas_of(jnp.asarray(source.fill(shape, "float64"))))
    return np.full(shape, {"Ones": 1.0, "Zeros": 0.0}.get(c["initializer"], c.get("n", 0.0)))


def _drawn(case: Case, shape: tuple[int, int]) -> np.ndarray:
    from spago_jax.core import initializers as ours

    c, key = case.config, jax.random.key(case.config["generator_seed"])
    match c["initializer"]:
        case "Uniform":
            half = (c["max"] - c["min"]) / 2
            return np.asarray(ours.uniform(key, shape, half)) + (c["max"] + c["min"]) / 2
        case "Normal":
            return np.asarray(ours.normal(key, shape, c["std"])) + c["mean"]
        case "XavierUniform":
            return np.asarray(ours.xavier_uniform(key, shape, c["gain"]))
        case "XavierNormal":
            return np.asarray(ours.xavier_normal(key, shape, c["gain"]))
        case "Achlioptas":
            return np.asarray(achlioptas(key, shape))
    return _filled(case, Generator(0), shape)


@golden("encoding.sinusoidal_pe")
def positions(case: Case) -> Iterator[Comparison]:
    """One vector a position."""
    ours = sinusoidal_positions(jnp.arange(case.config["length"]), case.config["size"])
    for place, expected in enumerate(case.outputs):
        yield f"position {place}", ours[place].reshape(-1, 1), expected


@golden("encoding.fofe")
def fofe(case: Case) -> Iterator[Comparison]:
    """Forward encodings, then backward ones; decoded to the sequence itself, where spaGO's Decode may run away."""
    c = case.config
    ids = jnp.asarray(c["seq"])
    forward = fofe_encode(ids, c["size"], c["alpha"])
    backward = fofe_encode(ids, c["size"], c["alpha"], reverse=True)
    for place, (ours, expected) in enumerate(zip([*forward, *backward], case.outputs, strict=True)):
        yield f"output {place}", ours.reshape(-1, 1), expected
    decoded = fofe_decode(c["alpha"], case.outputs[len(c["seq"]) - 1].ravel())
    yield "decoded", np.array(decoded), np.array(c["seq"])


@golden("stats.metrics")
def metrics(case: Case) -> Iterator[Comparison]:
    """Scores of counts (0 where spaGO has NaN), and the moving average with spaGO's factor of 2."""
    c = case.config
    if case.id.startswith("class"):
        counts = BinaryCounts(c["tp"], c["tn"], c["fp"], c["fn"])
        for name, expected in case.extra.items():
            number = float(expected)
            yield name, getattr(counts, name), np.array(0.0 if np.isnan(number) else number)
        return
    average, means, variances = MovingAverage(factor=2.0), [], []
    for value in c["values"]:
        average = average.add(value)
        means.append(average.mean)
        variances.append(average.variance)
    yield "mean", np.array(means), np.array(case.extra["mean"])
    yield "variance", np.array(variances), np.array(case.extra["variance"])
