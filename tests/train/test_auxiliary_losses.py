"""Losses that layers add reach the training loss, whoever's layers they are. Oracle: the balance loss by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax import nn
from spago_jax.core import Rng, with_losses
from spago_jax.train.step import training_loss
from spago_jax.train.task import Loss


class Mixed(sj.Module):
    """A mixture of experts used directly, not as a step of a flow."""

    experts: nn.MixtureOfExperts

    def __call__(self, x):
        return self.experts(x)


class MeanSquare:
    """The part of an objective that a loss needs; every row counts twice."""

    def loss(self, model, batch, carry, rng):
        return Loss(2 * jnp.square(model(batch)).mean(-1).sum(), jnp.float32(2 * len(batch)))


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_a_mixture_of_experts_is_balanced_in_training(balance):
    model = Mixed(nn.MixtureOfExperts.init(jax.random.key(0), 6, 5, experts=4, k=2, capacity=4.0, balance=balance))
    x = jax.random.normal(jax.random.key(1), (8, 6))
    plain = MeanSquare().loss(model, x, (), None)

    @jax.jit
    def whole(model, x):
        found = training_loss(MeanSquare(), model, x, (), Rng.seed(0))
        return found.total, found.weight

    total, weight = whole(model, x)
    _, extra = with_losses(model)(x)
    np.testing.assert_allclose(
        total / weight, plain.total / plain.weight + (0.0 if extra is None else extra), rtol=1e-5
    )
    assert (float(total) > float(plain.total) + 0.1) == (balance > 0)
