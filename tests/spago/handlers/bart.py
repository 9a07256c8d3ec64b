"""nn.bart_*: the stacks of v0.7.0's BART, whose GELU is the approximation by tanh, and whose switches are free."""

import dataclasses

import jax
import jax.numpy as jnp

from spago.golden import Case
from spago.layers import linear_from, norm_from
from spago.registry import Computation, Params, golden
from spago.shapes import columns, sequence, vector
from spago_jax.core import Array
from spago_jax.models.attention import Attention
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig, Family, StackConfig
from spago_jax.models.encoder_decoder.layer import Layer
from spago_jax.models.encoder_decoder.stack import Stack
from spago_jax.models.encoder_decoder.state import State
from spago_jax.models.execution import Execution
from spago_jax.nn import Linear
from spago_jax.ops.positions import sinusoidal_positions

EPS = 1e-12
ROUNDED = 1e-6  # spaGO's derivative of GELU has constants of 6 digits
SOURCE = 3  # the last inputs of a decoder are the states of so many tokens of the source


_FAMILY = Family()


@dataclasses.dataclass(frozen=True)
class FreeConfig(EncoderDecoderConfig):
    """What every architecture fixes of its own is a switch in spaGO."""

    fixed: Family = _FAMILY

    @property
    def family(self) -> Family:
        return self.fixed


def config_of(case: Case) -> FreeConfig:
    """Positions are a table here, learned or not."""
    c = case.config
    sizes = StackConfig(layers=c["layers"], heads=c["heads"], intermediate=c["ffn"])
    static = c["static_position_embeddings"]
    return FreeConfig(
        hidden=c["d_model"], encoder=sizes, decoder=sizes, positions=c["vocab_size"], vocabulary=c["vocab_size"],
        activation="gelu_new", eps=EPS, padding=None, dropout=0.0,
        fixed=Family(
            norm_first=c["normalize_before"], norms_embeddings=c["normalize_embedding"],
            norms_states=c["final_layer_norm"], offset=0 if static else c["extra_pos_embeddings"], pads_learn=True,
        ),
    )  # fmt: skip


def layer_of(params: Params, path: str, config: FreeConfig, *, decodes: bool) -> Layer:
    """spaGO keeps a matrix for each head; ours are the heads' rows one under the other."""

    def attention(name: str) -> Attention:
        def joined(part: str) -> Linear:
            heads = [linear_from(params, f"{path}{name}.Attention.{n}.{part}.") for n in range(config.encoder.heads)]
            return Linear(
                weight=jnp.concatenate([head.weight for head in heads]), bias=jnp.concatenate([h.bias for h in heads])
            )

        output = linear_from(params, f"{path}{name}.OutputMerge.")
        return Attention(query=joined("Query"), key=joined("Key"), value=joined("Value"), output=output)

    return Layer(
        attention=attention("SelfAttention"),
        attention_norm=norm_from(params, f"{path}SelfAttentionLayerNorm.", EPS),
        memory_attention=attention("EncoderAttention") if decodes else None,
        memory_norm=norm_from(params, f"{path}EncoderAttentionLayerNorm.", EPS) if decodes else None,
        gate=None,
        up=linear_from(params, f"{path}FFN.Layers.0."),
        down=linear_from(params, f"{path}FFN.Layers.2."),
        norm=norm_from(params, f"{path}LayerNorm.", EPS),
        config=config,
        sizes=config.encoder,
    )


def stack_of(params: Params, path: str, config: FreeConfig, *, decodes: bool) -> Stack:
    within = f"{path}Layers." if decodes else f"{path}Layers.Layers."
    layers = [layer_of(params, f"{within}{row}.", config, decodes=decodes) for row in range(config.encoder.layers)]
    rows = config.positions + config.family.offset
    if f"{path}PositionalEncoder.Vectors.0" in params:
        positions = jnp.stack([vector(params[f"{path}PositionalEncoder.Vectors.{row}"]) for row in range(rows)])
    else:
        positions = sinusoidal_positions(jnp.arange(rows), config.hidden)
    return Stack(
        positions=positions,
        embedding_norm=norm_from(params, f"{path}EmbeddingLayerNorm.", EPS),
        layers=jax.tree.map(lambda *rows: jnp.stack(rows), *layers),
        norm=norm_from(params, f"{path}LayerNorm.", EPS) if config.family.norms_states else None,
        relative_bias=None,
        config=config,
        decodes=decodes,
    )


def rows(x: Array) -> Array:
    """The ids of a table whose rows are the embeddings that a stack is given."""
    return jnp.arange(x.shape[0])


@golden("nn.bart_encoder_layer")
def encoder_layer(case: Case) -> Computation:
    """One layer, with a norm before each block or after each sum."""
    config = config_of(case)

    def function(params, inputs):
        return columns(layer_of(params, "", config, decodes=False)(sequence(inputs)))

    return Computation(function, gradient_tolerance=ROUNDED)


@golden("nn.bart_encoder")
def encoder(case: Case) -> Computation:
    """The encoder, given embeddings that were scaled before."""
    config = config_of(case)

    def function(params, inputs):
        x = sequence(inputs)
        return columns(stack_of(params, "", config, decodes=False)(rows(x), x, how=Execution()))

    return Computation(function, gradient_tolerance=ROUNDED)


@golden("nn.bart_decoder")
def decoder(case: Case) -> Computation:
    """The decoder over a whole target."""
    config = config_of(case)

    def function(params, inputs):
        x, memory = sequence(inputs[:-SOURCE]), sequence(inputs[-SOURCE:])
        return columns(stack_of(params, "", config, decodes=True)(rows(x), x, memory, how=Execution()))

    return Computation(function, gradient_tolerance=ROUNDED)


@golden("nn.bart_decoder_cached")
def cached_decoder(case: Case) -> Computation:
    """The same, one token after the other."""
    config = config_of(case)

    def function(params, inputs):
        x, memory = sequence(inputs[:-SOURCE]), sequence(inputs[-SOURCE:])
        stack = stack_of(params, "", config, decodes=True)
        state = State.empty(*stack.project(memory[None]), beams=1, length=len(x))
        found = []
        for row in range(len(x)):
            y, state = stack.step(jnp.full((1, 1), row), x, state, Execution())
            found.append(y[0, 0])
        return columns(jnp.stack(found))

    return Computation(function, gradient_tolerance=ROUNDED)
