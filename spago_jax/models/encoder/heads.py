# SPDX-License-Identifier: BSD-2-Clause
"""What stands on an encoder's states: a pooler, classifiers, the prediction of masked words."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, param, static
from spago_jax.core.initializers import normal
from spago_jax.errors import InputError
from spago_jax.models.encoder.config import ACTIVATIONS
from spago_jax.models.encoder.plans import HeadPlan, setting
from spago_jax.models.execution import Execution
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.ops.dropout import dropout
from spago_jax.ops.linear import as_float, linear
from spago_jax.ops.masks import length_mask

if TYPE_CHECKING:
    from spago_jax.models.encoder.model import AnyConfig


def dropout_rate(config: Any, field: str) -> float:
    """The rate in a config's field; that of the whole model where the field holds None."""
    found = getattr(config, field) if field else 0.0
    return config.dropout if found is None else found


def fresh(key: Array, out: int, into: int, std: float, *, bias: bool = True) -> Linear:
    """A layer of normal weights, with a bias of zeros."""
    return Linear(weight=normal(key, (out, into), std), bias=jnp.zeros(out) if bias else None)


class Classifier(Module):
    """``W_o LN(f(W x + b)) + b_o`` of the pooled states, or of every one: [..., time, hidden] -> [..., (time,) out].

    Which of the layers there are, the activation and the pooling differ between architectures and heads.
    """

    dense: Linear | None
    norm: LayerNorm | None
    output: Linear | None
    activation: str = static(default="linear")
    pooling: str = static(default="none")
    before: float = static(default=0.0)
    after: float = static(default=0.0)
    squeezes: bool = static(default=False)

    @classmethod
    def init(cls, key: Array, config: Any, plan: HeadPlan, labels: int) -> "Classifier":
        """The layers of a plan, with normal weights and biases of zeros."""
        first, second = jax.random.split(key)
        size, std = config.hidden, config.initializer_range
        out = labels if plan.outputs is None else plan.outputs
        dense_bias, norm_bias = setting(config, plan.dense_bias), setting(config, plan.norm_bias)
        return cls(
            dense=fresh(first, size, size, std, bias=dense_bias) if plan.dense else None,
            norm=LayerNorm.init(size, eps=config.eps, bias=norm_bias) if plan.norm else None,
            output=fresh(second, out, size, std) if plan.output else None,
            activation=setting(config, plan.activation) or "linear",
            pooling=setting(config, plan.pooling),
            before=dropout_rate(config, plan.before),
            after=dropout_rate(config, plan.after),
            squeezes=plan.squeezes,
        )

    def __call__(
        self,
        states: Array,
        real: Array | None = None,
        *,
        at: Array | None = None,
        rng: Rng | None = None,
        how: Execution | None = None,
    ) -> Array:
        """[..., time, hidden] -> [..., out], or [..., n, out] where all states are read, or those at given places.

        Args:
            states: [..., time, hidden].
            real: bool[..., time], which tokens are real; only some poolings read it.
            at: int[..., n], the places of the states that are read.
            rng: randomness of the dropout.
            how: of the execution.

        Raises:
            InputError: for places beside a pooling that reads all states.
        """
        how = how or Execution()
        x = dropout(self._pooled(states, real, at), self.before, child(rng, "before"))
        if self.dense is not None:
            x = how.settle(ACTIVATIONS[self.activation](self.dense(x)))
        if self.norm is not None:
            x = how.settle(self.norm(x))
        if self.output is not None:
            x = self.output(dropout(x, self.after, child(rng, "after")))
        return x[..., 0] if self.squeezes else x

    def _pooled(self, states: Array, real: Array | None, at: Array | None) -> Array:
        if at is not None:
            if self.pooling == "mean":
                raise InputError("this head takes the mean of all states, so it reads no places `at`")
            return gather(states, at)
        if self.pooling == "none":
            return states
        if self.pooling == "mean":
            wide = states.astype(jnp.promote_types(states.dtype, jnp.float32))
            if real is None:
                return wide.mean(-2).astype(states.dtype)
            weight = as_float(real, wide)[..., None]
            return ((wide * weight).sum(-2) / jnp.maximum(weight.sum(-2), 1.0)).astype(states.dtype)
        if self.pooling == "first-real" and real is not None:
            return gather(states, jnp.argmax(real, axis=-1)[..., None])[..., 0, :]
        return states[..., 0, :]


class MaskedWords(Module):
    """The logits of the vocabulary, ``E LN(f(W x + b)) + c``, with the table of words E: [..., hidden] -> [..., V].

    ``decoder`` is a table of its own where it is not tied to the words.
    """

    dense: Linear
    norm: LayerNorm
    bias: Array | None = param(decay=False, default=None)
    decoder: Array | None = None
    activation: str = static(default="gelu")

    @classmethod
    def init(cls, key: Array, config: "AnyConfig", plan: HeadPlan) -> "MaskedWords":
        """Normal weights, biases of zeros."""
        first, second = jax.random.split(key)
        size, std = config.word_size, config.initializer_range
        return cls(
            dense=fresh(first, size, config.hidden, std, bias=setting(config, plan.dense_bias)),
            norm=LayerNorm.init(size, eps=config.eps, bias=setting(config, plan.norm_bias)),
            bias=jnp.zeros(config.vocabulary) if setting(config, plan.output_bias) else None,
            decoder=None if config.tied else normal(second, (config.vocabulary, size), std),
            activation=setting(config, plan.activation),
        )

    def __call__(self, states: Array, words: Array, *, at: Array | None = None, how: Execution | None = None) -> Array:
        """[..., time, hidden] and the words' table [V, embedding] -> [..., time, V], or [..., n, V] at places."""
        how = how or Execution()
        x = states if at is None else gather(states, at)
        x = how.settle(ACTIVATIONS[self.activation](self.dense(x)))
        return linear(how.settle(self.norm(x)), words if self.decoder is None else self.decoder, self.bias)


class Pretraining(Module):
    """Masked words, and classifiers on the pooled vector ``tanh(W x_0 + b)``: next sentence, sentence order, others."""

    words: MaskedWords
    pooler: Linear
    classifiers: dict[str, Linear]
    after: float = static(default=0.0)

    @classmethod
    def init(cls, key: Array, config: "AnyConfig", plan: HeadPlan, classifiers: dict[str, int]) -> "Pretraining":
        """Normal weights, biases of zeros; ``classifiers`` has the outputs of each."""
        first, second, third = jax.random.split(key, 3)
        keys = jax.random.split(third, max(len(classifiers), 1))
        size, std = config.hidden, config.initializer_range
        return cls(
            words=MaskedWords.init(first, config, plan),
            pooler=fresh(second, size, size, std),
            classifiers={name: fresh(k, n, size, std) for k, (name, n) in zip(keys, classifiers.items(), strict=False)},
            after=dropout_rate(config, plan.after),
        )

    def __call__(
        self,
        states: Array,
        words: Array,
        *,
        at: Array | None = None,
        rng: Rng | None = None,
        how: Execution | None = None,
    ) -> dict[str, Array]:
        """The logits by name: ``words`` [..., time, V], or at places, and [..., out] of each classifier."""
        pooled = dropout(jnp.tanh(self.pooler(states[..., 0, :])), self.after, child(rng, "after"))
        found = {name: classifier(pooled) for name, classifier in self.classifiers.items()}
        return {"words": self.words(states, words, at=at, how=how), **found}


Head = Classifier | MaskedWords | Pretraining


def init_head(
    key: Array, config: "AnyConfig", head: str, plan: HeadPlan, labels: int, classifiers: dict[str, int] | None = None
) -> Head | None:
    """A fresh head of that name; None for the states themselves."""
    if head == "states":
        return None
    if head == "masked-words":
        return MaskedWords.init(key, config, plan)
    if head == "pretraining":
        own = {name: 2 for name, _ in plan.classifiers} if classifiers is None else classifiers
        return Pretraining.init(key, config, plan, own)
    return Classifier.init(key, config, plan, labels)


def gather(states: Array, at: Array) -> Array:
    """The states at some places: [..., time, hidden] and int[..., n] -> [..., n, hidden]."""
    return jnp.take_along_axis(states, at[..., None], axis=-2, mode="clip")


def real_tokens(ids: Array, lengths: Array | None, mask: Array | None, segments: Array | None) -> Array | None:
    """Which tokens are real: bool[..., time], or None where all are."""
    if mask is not None:
        return jnp.asarray(mask).astype(bool)
    if lengths is not None:
        return length_mask(lengths, ids.shape[-1])
    return None if segments is None else segments != 0
