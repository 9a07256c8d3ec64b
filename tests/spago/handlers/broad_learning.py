"""nn.bls: forward passes, and the closed-form fit, whose result is in ``extra``."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from spago.activations import gradient_tolerance, our_activation
from spago.golden import Case, array
from spago.registry import Comparison, Computation, golden
from spago.shapes import columns, sequence, vector
from spago_jax.nn import BroadLearning, Linear


def _model(params, config) -> BroadLearning:
    groups = range(config["num_of_features"])
    names = [config[f"{part}_activation"] for part in ("features", "enhanced_nodes", "output")]
    first, second, third = map(our_activation, names)
    return BroadLearning(
        features=Linear(
            weight=jnp.concatenate([params[f"Wz.{i}"] for i in groups]),
            bias=jnp.concatenate([vector(params[f"Bz.{i}"]) for i in groups]),
        ),
        enhancement=Linear(weight=params["Wh"], bias=vector(params["Bh"])),
        output=Linear(weight=params["W"], bias=vector(params["B"])),
        activations=(first, second, third),
        groups=len(groups),
    )


@golden("nn.bls")
def broad_learning(case: Case) -> Computation | Iterable[Comparison]:
    """A forward pass, or a fit."""
    if "base" in case.config:
        return _fit(case)

    def function(params, inputs):
        return columns(_model(params, case.config)(sequence(inputs)))

    names = [case.config[f"{part}_activation"] for part in ("features", "enhanced_nodes", "output")]
    return Computation(function, gradient_tolerance=gradient_tolerance(*names))


def _fit(case: Case) -> Iterable[Comparison]:
    """The fitted output weights; the feature weights after spaGO has copied them transposed, which scrambles them."""
    config = case.config
    dtype = jnp.result_type(float)
    model = _model({name: jnp.asarray(value, dtype) for name, value in case.params.items()}, config["base"])
    xs, ys = (
        sequence([jnp.asarray(x, dtype) for name, x in case.inputs if name.startswith(letter)]) for letter in "xd"
    )
    if config["optimize_features_weight"]:
        fit = jax.jit(
            lambda model: (
                model.fit_features(
                    xs, penalty=config["admm_lambda"], iterations=config["admm_iterations"]
                ).features.weight
            )
        )
        blocks = jnp.split(fit(model), model.groups)
        scrambled = jnp.concatenate([block.T.reshape(block.shape) for block in blocks])
        model = model.replace(features=model.features.replace(weight=scrambled))
    fitted = jax.jit(lambda model: model.fit(xs, ys, penalty=config["penalty"]))(model)
    size = config["base"]["features_size"]
    for name, value in case.extra.items():
        spago = array(value)
        path = name.removesuffix("_after")
        if path.startswith(("Wz.", "Bz.")):
            place = int(path[3:]) * size
            layer = fitted.features
            ours = layer.weight[place : place + size] if path[0] == "W" else layer.bias[place : place + size]
        else:
            layer = fitted.enhancement if path.endswith("h") else fitted.output
            ours = layer.weight if path[0] == "W" else layer.bias
        yield name, ours.reshape(spago.shape), spago
