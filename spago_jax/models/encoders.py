# SPDX-License-Identifier: BSD-2-Clause
"""Encoders over the tokens of a text: from [..., time, features] to the same with context."""

from typing import Annotated, Any, Literal

import jax.numpy as jnp
from pydantic import Field, model_validator

from spago_jax.core import Array, Module, Rng
from spago_jax.core.section import PositiveInt, Section
from spago_jax.flow import Network
from spago_jax.models.flows import FlowEncoder
from spago_jax.nn import BiRNN, StackedRNN
from spago_jax.ops.lstm import LSTMState


class BiRNNEncoder(Section):
    """Stacked recurrent layers, of both directions unless told otherwise."""

    kind: Literal["birnn"]
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="recurrent cell")
    hidden: PositiveInt = Field(default=256, description="units per direction")
    layers: PositiveInt = Field(default=1, description="stacked layers")
    merge: Literal["concat", "sum", "prod", "avg"] = Field(
        default="concat", description="how the directions are joined"
    )
    bidirectional: bool = Field(default=True, description="read the tokens from both ends; false: forwards alone")
    reset_after: bool = Field(
        default=False, description="of a gru: the form of PyTorch and cuDNN, whose reset gate lies after the product"
    )

    initial: bool = Field(default=False, description="of an lstm: train the states that it starts from")

    @model_validator(mode="after")
    def _of_a_gru(self) -> "BiRNNEncoder":
        if self.reset_after and self.cell != "gru":
            raise ValueError(f"reset_after is a form of the gru, and cell is {self.cell}")
        if self.initial and self.cell != "lstm":
            raise ValueError(f"initial states are those of an lstm, and cell is {self.cell}")
        return self


TokenEncoderConfig = Annotated[BiRNNEncoder | FlowEncoder, Field(discriminator="kind")]


class RecurrentEncoder(Module):
    """``h = BiRNN(x)``, from zeros or from trained states.

    ``initial_hidden`` and ``initial_cell`` are [layers * directions, hidden], or None.
    """

    rnn: StackedRNN
    initial_hidden: Array | None = None
    initial_cell: Array | None = None

    @property
    def out_features(self) -> int:
        """The size of a token's vector."""
        return self.rnn.out_features

    def __call__(self, xs: Array, lengths: Array, *, rng: Rng | None = None) -> Array:
        """[..., time, features] -> [..., time, features]."""
        return self.rnn(xs, lengths, initial=self._initial(xs), rng=rng)[0]

    def _initial(self, xs: Array) -> tuple[Any, ...] | None:
        if self.initial_hidden is None or self.initial_cell is None:
            return None
        lead = xs.shape[:-2]
        states = [
            LSTMState(*(jnp.broadcast_to(part, (*lead, *part.shape)) for part in pair))
            for pair in zip(self.initial_hidden, self.initial_cell, strict=True)
        ]
        if isinstance(self.rnn.layers[0], BiRNN):
            return tuple(zip(states[::2], states[1::2], strict=True))
        return tuple(states)


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
        bidirectional=config.bidirectional,
        merge=config.merge,
        dropout=dropout,
        variational=variational,
        **({"reset_after": True} if config.reset_after else {}),
    )
    if not config.initial:
        return RecurrentEncoder(rnn), rnn.out_features
    zeros = jnp.zeros((config.layers * (2 if config.bidirectional else 1), config.hidden))
    return RecurrentEncoder(rnn, zeros, zeros), rnn.out_features
