# SPDX-License-Identifier: BSD-2-Clause
"""Attention layers. Oracles: PyTorch's MultiheadAttention, the whole sequence at once, loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax import Rng, nn
from spago_jax.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 8)).astype(np.float32)
MEMORY = RNG.normal(size=(3, 5, 8)).astype(np.float32)
LENGTHS = np.array([6, 3, 1], np.int32)


@pytest.fixture(scope="module")
def layer():
    made = nn.MultiHeadAttention.init(jax.random.key(0), 8, heads=2, causal=True)
    return made.replace(bias=jax.random.normal(jax.random.key(1), made.bias.shape))


@pytest.fixture(scope="module")
def torch_layer(layer):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data[:] = torch.tensor(np.array(layer.weight))
    theirs.in_proj_bias.data[:] = torch.tensor(np.array(layer.bias))
    theirs.out_proj.weight.data[:] = torch.tensor(np.array(layer.output.weight))
    theirs.out_proj.bias.data[:] = torch.tensor(np.array(layer.output.bias))
    return theirs


@pytest.mark.oracle
def test_self_attention_and_its_gradients_are_pytorchs(layer, torch_layer):
    import torch

    x = torch.tensor(X, requires_grad=True)
    future = torch.ones(6, 6, dtype=torch.bool).triu(1)
    padding = torch.arange(6) >= torch.tensor(LENGTHS)[:, None]
    y, _ = torch_layer(x, x, x, attn_mask=future, key_padding_mask=padding)
    real = ~padding[..., None].numpy()
    torch_layer.zero_grad()
    (torch.sin(y) * torch.tensor(real)).sum().backward()

    def loss(layer, x):
        return jnp.sum(jnp.sin(layer(x, LENGTHS)) * real)

    np.testing.assert_allclose(np.where(real, layer(X, LENGTHS), 0), np.where(real, y.detach().numpy(), 0), atol=2e-6)
    of_layer, of_x = jax.grad(loss, (0, 1))(layer, X)
    np.testing.assert_allclose(of_layer.weight, torch_layer.in_proj_weight.grad.numpy(), atol=1e-5)
    np.testing.assert_allclose(of_layer.output.weight, torch_layer.out_proj.weight.grad.numpy(), atol=1e-5)
    np.testing.assert_allclose(of_x, x.grad.numpy(), atol=1e-5)


@pytest.mark.oracle
def test_cross_attention_is_pytorchs(layer, torch_layer):
    import torch

    lengths = np.array([5, 2, 1], np.int32)
    padding = torch.arange(5) >= torch.tensor(lengths)[:, None]
    theirs, _ = torch_layer(*map(torch.tensor, (X, MEMORY, MEMORY)), key_padding_mask=padding)
    ours = layer(X, memory=MEMORY, memory_lengths=lengths)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=2e-6)
    np.testing.assert_allclose(layer.recall(X, layer.remember(MEMORY, lengths)), ours, atol=1e-6)


@pytest.mark.parametrize("pieces", [(6,), (2, 4), (3, 1, 2), (1, 1, 1, 1, 1, 1)])
def test_pieces_through_a_cache_are_the_whole(layer, pieces):
    """Several new queries after a cache too, where spaGO's causal mask is wrong."""
    cache = layer.initial_cache((3,), 9)
    step = jax.jit(nn.MultiHeadAttention.step)
    outputs, start = [], 0
    for piece in pieces:
        y, cache = step(layer, jnp.asarray(X[:, start : start + piece]), cache)
        outputs.append(y)
        start += piece
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), layer(X), atol=2e-6)
    assert cache.keys.shape == (3, 9, 8)
    assert cache.length.tolist() == [6, 6, 6]


def test_prompts_of_different_lengths_go_on_by_themselves(layer):
    prompt, cache = layer.step(X, layer.initial_cache((3,), 10), LENGTHS)
    more = RNG.normal(size=(3, 2, 8)).astype(np.float32)
    found, cache = layer.step(more, cache)
    for b, length in enumerate(LENGTHS):
        alone = layer(np.concatenate([X[b, :length], more[b]]))
        np.testing.assert_allclose(prompt[b, :length], alone[:length], atol=2e-6)
        np.testing.assert_allclose(found[b], alone[length:], atol=2e-6)
    assert cache.length.tolist() == (LENGTHS + 2).tolist()


def test_what_does_not_fit_into_a_cache_is_dropped(layer):
    _, cache = layer.step(X[:, :3], layer.initial_cache((3,), 4))
    _, after = layer.step(X[:, 3:], cache)
    np.testing.assert_array_equal(after.keys[:, :3], cache.keys[:, :3])
    assert not np.array_equal(after.keys[:, 3], cache.keys[:, 3])


def test_a_layer_from_single_heads_is_those_heads_side_by_side():
    keys = jax.random.split(jax.random.key(0), 4)
    heads = [nn.SelfAttention.init(k, 8, key_features=3, out_features=3) for k in keys[:3]]
    heads = [
        head.replace(query=head.query.replace(bias=jax.random.normal(k, (3,))))
        for head, k in zip(heads, keys, strict=False)
    ]
    output = nn.Linear.init(keys[3], 9, 8)
    fused = nn.MultiHeadAttention.from_heads(heads, output)
    expected = output(jnp.concatenate([head(X, LENGTHS) for head in heads], axis=-1))
    np.testing.assert_allclose(fused(X, LENGTHS), expected, atol=2e-6)
    with pytest.raises(InputError, match="no heads were given"):
        nn.MultiHeadAttention.from_heads([], output)
    odd = nn.SelfAttention.init(keys[0], 8, key_features=3, out_features=2)
    with pytest.raises(InputError, match=r"weights of shapes \[\(2, 8\), \(3, 8\)\], expected one shape"):
        nn.MultiHeadAttention.from_heads([odd], output)


def test_the_implementation_of_jax_gives_the_same(layer):
    other = layer.replace(implementation="xla")
    np.testing.assert_allclose(other(X, LENGTHS), layer(X, LENGTHS), atol=2e-6)


def test_dropout_of_weights_is_drawn_in_training_alone(layer):
    dropped = layer.replace(rate=0.5)
    np.testing.assert_array_equal(dropped(X), layer(X))
    assert not np.allclose(dropped(X, rng=Rng.seed(0)), layer(X))


def test_lsh_attention_is_softmax_inside_each_bucket():
    layer = nn.LSHAttention.init(jax.random.key(2), 8, key_features=4, out_features=3, buckets=4)
    query, value = (np.asarray(part(X), np.float64) for part in (layer.query, layer.value))
    expected = np.zeros((3, 6, 3))
    for b, length in enumerate(LENGTHS):
        turned = query[b, :length] @ np.asarray(layer.rotations)
        bucket = np.concatenate([turned, -turned], axis=1).argmax(axis=1)
        for i in range(length):
            inside = np.flatnonzero(bucket == bucket[i])
            likeness = [query[b, i] @ query[b, j] / np.linalg.norm(query[b, j]) for j in inside]
            weights = np.exp(layer.scale * np.array(likeness))
            expected[b, i] = weights @ value[b, inside] / weights.sum()
    found = np.where(np.arange(6)[:, None] < LENGTHS[:, None, None], layer(X, LENGTHS), 0)
    np.testing.assert_allclose(found, expected, atol=5e-6)
    assert len(np.unique(layer.buckets(layer.query(X)))) > 1


def test_errors_name_the_numbers():
    key = jax.random.key(0)
    with pytest.raises(InputError, match="3 heads do not divide 8 features; give head_features, for example 2"):
        nn.MultiHeadAttention.init(key, 8, heads=3)
    assert nn.MultiHeadAttention.init(key, 8, heads=3, head_features=2)(X).shape == X.shape
    layer = nn.SelfAttention.init(key, 8, key_features=3, out_features=2)
    with pytest.raises(InputError, match=r"lengths have shape \(2,\), expected \(3,\): one for each sequence"):
        layer(X, np.array([1, 2]))
    synthetic = nn.SyntheticAttention.init(key, 8, hidden=3, out_features=2, max_length=5)
    with pytest.raises(InputError, match="x has 6 steps of time, and this layer was made for up to 5"):
        synthetic(X)
    with pytest.raises(InputError, match="LSHAttention: half_of_buckets is 0"):
        nn.LSHAttention.init(key, 8, key_features=3, out_features=2, buckets=3)
