# SPDX-License-Identifier: BSD-2-Clause
"""Encoders over the tokens of a text: from [..., time, features] to the same with context."""

from typing import Annotated, Literal

from pydantic import Field

from spago_jax.core import Array, Module, Rng
from spago_jax.core.section import PositiveInt, Section
from spago_jax.flow import Network
from spago_jax.models.flows import FlowEncoder
from spago_jax.nn import StackedRNN


class BiRNNEncoder(Section):
    """Stacked bidirectional recurrent layers."""

    kind: Literal["birnn"]
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="recurrent cell")
    hidden: PositiveInt = Field(default=256, description="units per direction")
    layers: PositiveInt = Field(default=1, description="stacked layers")
    merge: Literal["concat", "sum", "prod", "avg"] = Field(
        default="concat", description="how the directions are joined"
    )


TokenEncoderConfig = Annotated[BiRNNEncoder | FlowEncoder, Field(discriminator="kind")]


class RecurrentEncoder(Module):
    """``h = BiRNN(x)``."""

    rnn: StackedRNN

    @property
    def out_features(self) -> int:
        """The size of a token's vector."""
        return self.rnn.out_features

    def __call__(self, xs: Array, lengths: Array, *, rng: Rng | None = None) -> Array:
        """[..., time, features] -> [..., time, features]."""
        return self.rnn(xs, lengths, rng=rng)[0]


class FlowTokenEncoder(Module):
    """``h = flow(x)``, for a flow whose steps are written in the config."""

    flow: Network

    def __call__(self, xs: Array, lengths: Array, *, rng: Rng | None = None) -> Array:
        """[..., time, features] -> [..., time, features]."""
        return self.flow(xs, lengths=lengths, rng=rng)


def init_encoder(
    key: Array, config: BiRNNEncoder | FlowEncoder, features: int, *, dropout: float = 0.0, variational: bool = False
) -> tuple[RecurrentEncoder | FlowTokenEncoder, int]:
    """A fresh encoder of a config for tokens of so many features, and how many it puts out."""
    if config.kind == "flow":
        flow, out = config.init(key, f"f32[batch, time, {features}]")
        return FlowTokenEncoder(flow), out
    rnn = StackedRNN.init(
        key,
        features,
        config.hidden,
        layers=config.layers,
        cell=config.cell,
        bidirectional=True,
        merge=config.merge,
        dropout=dropout,
        variational=variational,
    )
    return RecurrentEncoder(rnn), rnn.out_features
