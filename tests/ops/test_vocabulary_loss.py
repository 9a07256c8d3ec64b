"""The cross-entropy over a vocabulary in pieces, against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, normal, refuses

from spago_jax.ops.vocabulary_loss import vocabulary_cross_entropy


@pytest.fixture(scope="module")
def numbers():
    labels = np.random.default_rng(3).integers(0, 11, size=(2, 5)).astype(np.int32)
    labels[0, 0], labels[1, 1] = 0, 10
    return normal(2, 5, 4, seed=1), normal(11, 4, seed=2), labels, normal(11, seed=4)


@pytest.mark.oracle
@pytest.mark.parametrize("chunk", [None, 1, 4, 5, 11, 64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_and_its_gradients_are_those_of_torch(numbers, chunk, smoothing):
    import torch

    states, weight, labels, bias = numbers

    def mean(states, weight, bias):
        found = vocabulary_cross_entropy(states, weight, labels, bias=bias, label_smoothing=smoothing, chunk=chunk)
        return found.mean(), found

    (_, ours), gradients = jax.value_and_grad(mean, argnums=(0, 1, 2), has_aux=True)(states, weight, bias)
    given = [torch.tensor(array, requires_grad=True) for array in (states, weight, bias)]
    logits = given[0] @ given[1].T + given[2]
    losses = torch.nn.functional.cross_entropy(
        logits.reshape(-1, 11), torch.tensor(labels).long().reshape(-1), label_smoothing=smoothing, reduction="none"
    )
    losses.mean().backward()
    close(ours, losses.detach().numpy().reshape(2, 5), 1e-6)
    close(gradients, tuple(array.grad.numpy() for array in given), 1e-6)


def test_sixteen_bits_are_accumulated_in_32(numbers):
    states, weight, labels, _ = numbers
    wide = vocabulary_cross_entropy(
        jnp.asarray(states, jnp.bfloat16).astype(jnp.float32),
        jnp.asarray(weight, jnp.bfloat16).astype(jnp.float32),
        labels,
    )
    narrow = vocabulary_cross_entropy(
        jnp.asarray(states, jnp.bfloat16), jnp.asarray(weight, jnp.bfloat16), labels, chunk=3
    )
    assert narrow.dtype == jnp.float32
    close(narrow, wide, 1e-5)


def test_what_does_not_fit_is_refused(numbers):
    states, weight, labels, _ = numbers
    with refuses("chunk is 0, expected 1 or more rows of the vocabulary, or None for all"):
        vocabulary_cross_entropy(states, weight, labels, chunk=0)
    with refuses("labels have shape (2, 4), expected (2, 5) as the states"):
        vocabulary_cross_entropy(states, weight, labels[:, :4], chunk=3)
    with refuses("label_smoothing is 1.0, expected at least 0 and less than 1"):
        vocabulary_cross_entropy(states, weight, labels, chunk=3, label_smoothing=1.0)
