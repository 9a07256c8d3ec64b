# SPDX-License-Identifier: BSD-2-Clause
"""Attention as functions. Oracles: loops in NumPy, jax.nn's own attention, PyTorch; cuDNN's kernel on a GPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax import Rng
from spago_jax.errors import InputError
from spago_jax.ops.attention import attention_weights, linear_attention, scaled_dot_product_attention

BATCH, HEADS, QUERIES, KEYS, SIZE = 3, 2, 4, 5, 8
LENGTHS = np.array([5, 2, 0], np.int32)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    shapes = (QUERIES, KEYS, KEYS)
    return [rng.normal(size=(BATCH, HEADS, steps, SIZE)).astype(np.float32) for steps in shapes]


def looped(query, key, value, sees, scale=SIZE**-0.5):
    """Query by query; a query that sees nothing gives zeros."""
    out = np.zeros((*query.shape[:-1], value.shape[-1]))
    for b, h, i in np.ndindex(query.shape[:-1]):
        seen = [j for j in range(key.shape[-2]) if sees(b, i, j)]
        if seen:
            scores = np.array([scale * query[b, h, i] @ key[b, h, j] for j in seen], np.float64)
            weights = np.exp(scores - scores.max())
            out[b, h, i] = (weights / weights.sum()) @ value[b, h, seen]
    return out


def test_everything_is_seen(arrays):
    expected = looped(*arrays, lambda b, i, j: True)
    np.testing.assert_allclose(scaled_dot_product_attention(*arrays), expected, atol=2e-6)


def test_lengths_hide_keys_and_an_empty_sequence_gives_zeros(arrays):
    expected = looped(*arrays, lambda b, i, j: j < LENGTHS[b])
    found = scaled_dot_product_attention(*arrays, lengths=LENGTHS)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert not found[2].any()
    gradient = jax.grad(lambda q: scaled_dot_product_attention(q, *arrays[1:], lengths=LENGTHS).sum())(arrays[0])
    assert np.isfinite(gradient).all()


def test_a_causal_mask_ends_with_the_last_key(arrays):
    expected = looped(*arrays, lambda b, i, j: j <= i + KEYS - QUERIES)
    np.testing.assert_allclose(scaled_dot_product_attention(*arrays, causal=True), expected, atol=2e-6)


def test_an_offset_of_each_sequence_moves_the_causal_mask(arrays):
    offsets = np.array([0, 1, 3])
    expected = looped(*arrays, lambda b, i, j: j <= i + offsets[b])
    found = scaled_dot_product_attention(*arrays, causal=True, offset=offsets)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_mask_and_a_scale(arrays):
    mask = np.random.default_rng(1).random((BATCH, 1, QUERIES, KEYS)) < 0.6
    expected = looped(*arrays, lambda b, i, j: mask[b, 0, i, j], scale=0.3)
    np.testing.assert_allclose(scaled_dot_product_attention(*arrays, mask=mask, scale=0.3), expected, atol=2e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_jax_has_the_same(arrays, causal, lengths):
    query = np.concatenate([arrays[0], arrays[0][:, :, :1]], axis=2)  # as many queries as keys

    def loss(implementation, query):
        y = scaled_dot_product_attention(
            query, *arrays[1:], causal=causal, lengths=lengths, implementation=implementation
        )
        return jnp.sum(jnp.sin(y)), y

    (_, plain), of_plain = jax.value_and_grad(lambda q: loss("plain", q), has_aux=True)(query)
    (_, other), of_other = jax.value_and_grad(lambda q: loss("xla", q), has_aux=True)(query)
    np.testing.assert_allclose(plain, other, atol=2e-6)
    np.testing.assert_allclose(of_plain, of_other, atol=2e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [None, np.array([64, 17], np.int32)])
def test_the_flash_kernel_gives_the_same(causal, lengths):
    if jax.default_backend() != "gpu":
        pytest.skip("needs an NVIDIA GPU")
    keys = jax.random.split(jax.random.key(0), 3)
    query, key, value = (jax.random.normal(k, (2, 4, 64, 64), jnp.bfloat16) for k in keys)

    def loss(query, implementation):
        y = scaled_dot_product_attention(
            query, key, value, causal=causal, lengths=lengths, implementation=implementation
        )
        return jnp.sum(y.astype(jnp.float32) ** 2), y

    found = jax.jit(jax.value_and_grad(lambda q: loss(q, "cudnn"), has_aux=True))(query)
    plain = jax.jit(jax.value_and_grad(lambda q: loss(q, "plain"), has_aux=True))(query)
    chosen = scaled_dot_product_attention(query, key, value, causal=causal, lengths=lengths)
    np.testing.assert_allclose(np.float32(found[0][1]), np.float32(plain[0][1]), atol=2e-2)
    np.testing.assert_allclose(np.float32(found[1]), np.float32(plain[1]), atol=5e-2)
    np.testing.assert_array_equal(np.float32(chosen), np.float32(found[0][1]))


@pytest.mark.oracle
def test_pytorch_has_the_same(arrays):
    import torch

    tensors = [torch.tensor(x) for x in (np.concatenate([arrays[0], arrays[0][:, :, :1]], axis=2), *arrays[1:])]
    theirs = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=True)
    ours = scaled_dot_product_attention(*(x.numpy() for x in tensors), causal=True)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-6)


def test_dropout_of_weights_keeps_the_mean():
    values = np.ones((1, 2000, 1), np.float32)
    keys = np.zeros((1, 2000, 4), np.float32)
    y = scaled_dot_product_attention(keys[:, :1], keys, values, rate=0.5, rng=Rng.seed(0))
    assert float(y[0, 0, 0]) == pytest.approx(1.0, abs=0.1)
    assert float(y[0, 0, 0]) != 1.0


def test_scores_far_from_zero_do_not_overflow():
    weights = attention_weights(jnp.array([[1e4]]), jnp.array([[1e4], [-1e4]]))
    np.testing.assert_allclose(weights, [[1.0, 0.0]])


def test_linear_attention_is_a_weighted_mean(arrays):
    query, key, value = arrays

    def phi(x):
        return np.where(x > 0, x + 1.0, np.exp(x))

    expected = np.zeros((BATCH, HEADS, QUERIES, SIZE))
    for b, h, i in np.ndindex(BATCH, HEADS, QUERIES):
        weights = np.array([phi(query[b, h, i]) @ phi(key[b, h, j]) for j in range(LENGTHS[b])])
        if len(weights):
            expected[b, h, i] = weights @ value[b, h, : LENGTHS[b]] / weights.sum()
    np.testing.assert_allclose(linear_attention(query, key, value, lengths=LENGTHS), expected, atol=2e-6)


def test_errors_name_what_does_not_fit(arrays):
    query, key, value = arrays
    with pytest.raises(InputError, match="unknown implementation 'cuddn' of attention, did you mean 'cudnn'?"):
        scaled_dot_product_attention(query, key, value, implementation="cuddn")
    with pytest.raises(InputError, match=r"query \(3, 2, 4, 8\), key \(3, 2, 5, 7\)"):
        scaled_dot_product_attention(query, key[..., :7], value)
    with pytest.raises(InputError, match="implementation 'xla' takes no dropout"):
        scaled_dot_product_attention(query, key, value, causal=True, implementation="xla")
