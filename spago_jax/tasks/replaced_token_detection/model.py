# SPDX-License-Identifier: BSD-2-Clause
"""An encoder that finds replaced pieces, and the generator that replaces them while it is trained."""

import dataclasses

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.core.initializers import normal
from spago_jax.errors import InputError
from spago_jax.models.encoder import Encoder, EncoderConfig, EncoderModel
from spago_jax.models.encoder.embeddings import Embeddings
from spago_jax.models.encoder.heads import MaskedWords
from spago_jax.models.encoder.layer import Layer
from spago_jax.models.encoder.plans import head_plan
from spago_jax.nn.linear import Linear


class Generator(Module):
    """What the generator has of its own: it reads the discriminator's embeddings."""

    projection: Linear | None
    layers: Layer
    head: MaskedWords
    config: EncoderConfig = static()

    @classmethod
    def init(cls, key: Array, config: EncoderConfig) -> "Generator":
        """Normal weights, biases of zeros."""
        keys = jax.random.split(key, 3)
        projection = None
        if config.projects:
            weight = normal(keys[0], (config.hidden, config.word_size), config.initializer_range)
            projection = Linear(weight=weight, bias=jnp.zeros(config.hidden))
        plan = head_plan(config.architecture, "masked-words")
        return cls(projection, Layer.init(keys[1], config), MaskedWords.init(keys[2], config, plan), config)


class ElectraModel(EncoderModel):
    """The discriminator, an ``EncoderModel`` whose paths are those of any other, and its generator.

    Source: Clark et al. (2020), "ELECTRA".
    """

    generator: Generator | None = None

    @classmethod
    def pair(cls, key: Array, config: EncoderConfig, size: float) -> "ElectraModel":
        """A fresh discriminator with a generator that is ``size`` times as wide.

        Raises:
            InputError: as for ``generator_config``.
        """
        first, second = jax.random.split(key)
        found = EncoderModel.init(first, config, head="replaced-tokens")
        return cls(found.encoder, found.head, found.head_name, Generator.init(second, generator_config(config, size)))

    def generating(self) -> EncoderModel:
        """Returns the generator on the embeddings of the discriminator: gradients of both reach them."""
        own = self.generator
        shared = self.encoder.embeddings
        assert own is not None
        assert isinstance(shared, Embeddings)
        embeddings = shared.replace(projection=own.projection, config=own.config)
        encoder = Encoder(embeddings=embeddings, layers=own.layers, relative_bias=None, config=own.config)
        return EncoderModel(encoder=encoder, head=own.head, head_name="masked-words")


def generator_config(config: EncoderConfig, size: float) -> EncoderConfig:
    """Returns the config of a generator: hidden size, heads and inner size are smaller, the embeddings are the same.

    Raises:
        InputError: where the heads of the generator would have another size than a whole number.

    >>> small = generator_config(EncoderConfig(architecture="electra", hidden=256, heads=4, intermediate=1024,
    ...     embedding=128, projects=True), 0.25)
    >>> small.hidden, small.heads, small.intermediate, small.word_size, small.projects
    (64, 1, 256, 128, True)
    """
    if not isinstance(config, EncoderConfig) or config.architecture != "electra":
        raise InputError(f"{config.architecture} is not trained with a generator; expected model_type electra")
    hidden, heads = round(config.hidden * size), max(round(config.heads * size), 1)
    if not hidden or hidden % heads:
        raise InputError(
            f"model.generator_size = {size:g} makes {hidden} hidden features of {heads} heads, which do not divide them"
        )
    return dataclasses.replace(
        config,
        hidden=hidden,
        heads=heads,
        intermediate=max(round(config.intermediate * size), 1),
        embedding=config.word_size,
        projects=config.word_size != hidden,
    )
