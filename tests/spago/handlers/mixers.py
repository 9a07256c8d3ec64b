"""nn.sgu, nn.gmlp, nn.mlpmixer."""

import jax.numpy as jnp

from spago.activations import gradient_tolerance, our_activation
from spago.golden import Case
from spago.layers import linear_from, norm_from
from spago.registry import Computation, golden
from spago.shapes import columns, sequence, vector
from spago_jax.nn import Convolution1x1, FeedForward, GatedMLP, MixerBlock, PreNorm, SpatialGatingUnit
from spago_jax.nn.gmlp import GatedBlock


def _eps(case: Case, path: str) -> float:
    """What the norm at a path has: a buffer in versions 1, in the config of some, fixed in v0.7.0."""
    if f"{path}Eps" in case.buffers:
        return float(case.buffers[f"{path}Eps"].item())
    return 1e-12 if case.version.startswith("v0") else float(case.config.get("eps", 1e-12))


def _version(case: Case) -> dict[str, bool]:
    return {"old": case.version.startswith("v0")}  # the norm's eps depends on it


def _gating(case: Case, params, path: str) -> SpatialGatingUnit:
    return SpatialGatingUnit(
        norm=norm_from(params, f"{path}Norm.", _eps(case, f"{path}Norm.")),
        projection=Convolution1x1(weight=params[f"{path}Proj.W"], bias=vector(params[f"{path}Proj.B"])),
        activation=our_activation(case.config.get("activation")),
    )


@golden("nn.sgu")
def sgu(case: Case) -> Computation:
    """One input for each step."""

    def function(params, inputs):
        return columns(_gating(case, params, "")(sequence(inputs)))

    return Computation(function, None, gradient_tolerance(case.config.get("activation")), _version(case))


@golden("nn.gmlp")
def gmlp(case: Case) -> Computation:
    """spaGO gives outputs for the padding too: it is put there before."""
    missing = case.config["seq_len"] - len(case.inputs)

    def function(params, inputs):
        layers = []
        for depth in range(case.config["depth"]):
            path = f"Layers.{depth}.PreNorm."
            block = GatedBlock(
                expand=linear_from(params, f"{path}Block.Layers.0."),
                gating=_gating(case, params, f"{path}Block.Layers.2."),
                contract=linear_from(params, f"{path}Block.Layers.3."),
                activation="gelu_tanh",
            )
            layers.append(PreNorm(function=block, norm=norm_from(params, f"{path}Norm.", _eps(case, f"{path}Norm."))))
        xs = jnp.pad(sequence(inputs), [(0, missing), (0, 0)])
        return columns(GatedMLP(layers=tuple(layers))(xs, jnp.array(len(inputs))))

    return Computation(function, gradient_tolerance=1e-6)


@golden("nn.mlpmixer")
def mlp_mixer(case: Case) -> Computation:
    """One input for each step, called channels in spaGO."""
    token, channel = case.config["act_token"], case.config["act_channel"]

    def function(params, inputs):
        def mlp(path: str, name: str) -> FeedForward:
            return FeedForward(
                expand=linear_from(params, f"{path}Layers.0."),
                contract=linear_from(params, f"{path}Layers.2."),
                activation=our_activation(name),
            )

        layer = MixerBlock(
            token_norm=norm_from(params, "TokenLayerNorm.", _eps(case, "TokenLayerNorm.")),
            tokens=mlp("TokenMixerFF.", token),
            channel_norm=norm_from(params, "ChannelLayerNorm.", _eps(case, "ChannelLayerNorm.")),
            channels=mlp("ChannelMixerFF.", channel),
        )
        return columns(layer(sequence(inputs)))

    return Computation(function, gradient_tolerance=gradient_tolerance(token, channel), settings=_version(case))
