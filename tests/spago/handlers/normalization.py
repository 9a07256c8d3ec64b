"""The seven normalisations."""

import jax.numpy as jnp

from spago.golden import Case
from spago.layers import norm_from
from spago.registry import Computation, golden
from spago.shapes import columns, sequence, vector
from spago_jax.nn import AdaNorm, DeviationBatchNorm, FixNorm, LayerNormSimple, RMSNorm, ScaleNorm


@golden("nn.layernorm")
def layer_norm(case: Case) -> Computation:
    """With the eps of the config."""
    return Computation(lambda params, inputs: columns(norm_from(params, "", case.config["eps"])(sequence(inputs))))


@golden("nn.layernormsimple")
def layer_norm_simple(case: Case) -> Computation:
    """No parameters."""
    return Computation(lambda params, inputs: columns(LayerNormSimple()(sequence(inputs))))


@golden("nn.rmsnorm")
def rms_norm(case: Case) -> Computation:
    """With a bias, and eps outside of the root."""

    def function(params, inputs):
        layer = RMSNorm(weight=vector(params["W"]), bias=vector(params["B"]), eps=1e-10, eps_outside=True)
        return columns(layer(sequence(inputs)))

    return Computation(function)


@golden("nn.scalenorm")
def scale_norm(case: Case) -> Computation:
    """A gain for each feature."""
    return Computation(lambda params, inputs: columns(ScaleNorm(weight=vector(params["Gain"]))(sequence(inputs))))


@golden("nn.fixnorm")
def fix_norm(case: Case) -> Computation:
    """No parameters."""
    return Computation(lambda params, inputs: columns(FixNorm()(sequence(inputs))))


@golden("nn.adanorm")
def ada_norm(case: Case) -> Computation:
    """Its constants are in the config."""
    layer = AdaNorm(scale=case.config["scale"], slope=case.config.get("k", 0.1), eps=case.config.get("eps", 1e-10))
    return Computation(lambda params, inputs: columns(layer(sequence(inputs))))


@golden("nn.batchnorm")
def batch_norm(case: Case) -> Computation:
    """The inputs are the batch. The statistics are buffers in versions 1 and untrained parameters in v0.7.0."""

    def function(params, inputs):
        held = {**{name: vector(jnp.asarray(value)) for name, value in case.buffers.items()}, **params}
        layer = DeviationBatchNorm(
            weight=vector(held["W"]),
            bias=vector(held["B"]),
            running_mean=vector(held["Mean"]).astype(inputs[0].dtype),
            running_deviation=vector(held["StdDev"]).astype(inputs[0].dtype),
            momentum=case.config["momentum"],
        )
        xs = sequence(inputs)
        return columns(layer.step(xs)[0] if case.config["mode"] == "train" else layer(xs))

    return Computation(function)
