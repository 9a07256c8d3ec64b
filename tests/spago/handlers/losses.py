"""loss.*: the losses of one example, and those of a sequence, which are sums of the first."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.registry import Computation, Instead, golden
from spago.shapes import vector
from spago_jax.core import Array
from spago_jax.ops import losses


def _one(loss: Callable[..., Array]) -> Computation:
    return Computation(lambda params, inputs: [loss(*map(vector, inputs)).reshape(1, 1)])


@golden("loss.CrossEntropy", "loss.WeightedCrossEntropy", "loss.FocalLoss", "loss.WeightedFocalLoss", "loss.Perplexity")
def of_a_class(case: Case) -> Computation:
    """Logits and the number of the right class."""
    c = case.config
    label = jnp.asarray(c["class"])
    weights = np.asarray(c.get("weights", ()), np.float64)

    def loss(x: Array) -> Array:
        match case.file:
            case "loss.CrossEntropy":
                return losses.cross_entropy(x, label)
            case "loss.WeightedCrossEntropy":
                return losses.weighted_cross_entropy(x, label, jnp.asarray(weights, x.dtype))
            case "loss.FocalLoss":
                return losses.focal(x, label, c["gamma"])
            case "loss.WeightedFocalLoss":
                return losses.weighted_focal(x, label, jnp.asarray(weights, x.dtype), c["gamma"])
        return losses.perplexity(x, label)

    def stable(case: Case) -> list[np.ndarray]:
        x = case.inputs[0][1].ravel()
        top = x.max()
        return [np.array([[top + np.log(np.exp(x - top).sum()) - x[c["class"]]]])]

    made = _one(loss)
    if case.status == "spago_bug":
        return Computation(made.function, Instead("the sum of exponentials overflows in spaGO 0.7", stable))
    return made


@golden("loss.MSE", "loss.MAE")
def of_two_vectors(case: Case) -> Computation:
    """spaGO's MSE has a factor of one half; without ``reduce_mean`` it is the sum."""

    def loss(x: Array, y: Array) -> Array:
        mean = 0.5 * losses.mse(x, y) if case.file == "loss.MSE" else losses.mae(x, y)
        return mean if case.config["reduce_mean"] else mean * x.size

    return _one(loss)


@golden("loss.MSESeq", "loss.MAESeq")
def of_two_sequences(case: Case) -> Computation:
    """The sums over the positions; ``reduce_mean`` divides by their number."""

    def function(params, inputs):
        half = len(inputs) // 2
        x, y = jnp.stack([vector(v) for v in inputs[:half]]), jnp.stack([vector(v) for v in inputs[half:]])
        each = 0.5 * losses.mse(x, y) if case.file == "loss.MSESeq" else losses.mae(x, y)
        total = jnp.sum(each * x.shape[-1])
        return [(total / half if case.config["reduce_mean"] else total).reshape(1, 1)]

    return Computation(function)


@golden("loss.CrossEntropySeq")
def of_a_sequence_of_classes(case: Case) -> Computation:
    """The cross entropies of the positions, summed or averaged."""

    def function(params, inputs):
        each = losses.cross_entropy(jnp.stack([vector(v) for v in inputs]), jnp.asarray(case.config["targets"]))
        return [(jnp.mean(each) if case.config["reduce_mean"] else jnp.sum(each)).reshape(1, 1)]

    return Computation(function)


@golden("loss.NLL", "loss.ZeroOneQuantization", "loss.Norm2Quantization", "loss.OneHotQuantization", "loss.Distance")
def others(case: Case) -> Computation:
    """Losses of probabilities, and those that pull a vector towards a form."""
    c = case.config
    table: dict[str, Callable[..., Array]] = {
        "loss.NLL": losses.negative_log_likelihood,
        "loss.ZeroOneQuantization": losses.zero_one_quantization,
        "loss.Norm2Quantization": losses.norm2_quantization,
        "loss.OneHotQuantization": lambda x: losses.one_hot_quantization(x, c["q"]),
        "loss.Distance": lambda x: losses.distance(x, c["target"]),
    }
    return _one(table[case.file])


@golden("loss.SPG")
def policy_gradient(case: Case) -> Computation:
    """Scalars: the log-probabilities of the actions, then those of the targets."""

    def function(params, inputs):
        half = len(inputs) // 2
        actions, targets = jnp.stack(inputs[:half]).ravel(), jnp.stack(inputs[half:]).ravel()
        return [losses.scaled_policy_gradient(actions, targets).reshape(1, 1)]

    return Computation(function)
