# SPDX-License-Identifier: BSD-2-Clause
"""Structural layers. Oracles: PyTorch, the layers put together by hand, linear algebra in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax import Rng, nn
from spago_jax.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def test_sequential_hands_lengths_and_rng_to_those_that_take_them():
    lstm, linear = nn.LSTM.init(KEY, 4, 3), nn.Linear.init(KEY, 3, 2)
    model = nn.Sequential.init((nn.VariationalDropout.init(0.5), lstm, nn.Activation.init("tanh"), linear))
    x, lengths = RNG.normal(size=(2, 5, 4)).astype(np.float32), np.array([5, 2])
    np.testing.assert_allclose(model(x, lengths), linear(jnp.tanh(lstm(x, lengths)[0])), atol=1e-6)
    assert not np.allclose(model(x, lengths, rng=Rng.seed(0)), model(x, lengths))
    with pytest.raises(InputError, match="Sequential: layer 1 is function, expected a Module with __call__"):
        nn.Sequential.init((linear, lambda x: x))


def test_residual_forms_around_a_recurrent_layer():
    gru, norm = nn.GRU.init(KEY, 4, 4), nn.LayerNorm.init(4)
    x, lengths = RNG.normal(size=(2, 5, 4)).astype(np.float32), np.array([5, 2])
    pre = nn.PreNorm(function=gru, norm=norm)(x, lengths)
    np.testing.assert_allclose(pre, x + gru(norm(x), lengths)[0], atol=1e-6)
    post = nn.PostNorm(function=gru, norm=norm)(x, lengths=lengths)
    np.testing.assert_allclose(post, norm(x + gru(x, lengths)[0]), atol=1e-6)
    np.testing.assert_array_equal(nn.ReZero.init(gru)(x), x)


@pytest.mark.oracle
def test_pre_and_post_norm_are_those_of_pytorchs_transformer():
    import torch

    x = RNG.normal(size=(2, 5, 8)).astype(np.float32)
    for first in (False, True):
        theirs = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=first).eval()
        weights = {name: jnp.asarray(value.detach().numpy()) for name, value in theirs.named_parameters()}

        def linear(name, weights=weights):
            return nn.Linear(weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])

        def norm(name, weights=weights):
            return nn.LayerNorm(weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])

        attention = nn.MultiHeadAttention(
            weight=weights["self_attn.in_proj_weight"],
            bias=weights["self_attn.in_proj_bias"],
            output=linear("self_attn.out_proj"),
            heads=2,
        )
        form = nn.PreNorm if first else nn.PostNorm
        block = nn.Sequential.init(
            (
                form(function=attention, norm=norm("norm1")),
                form(function=nn.FeedForward(linear("linear1"), linear("linear2")), norm=norm("norm2")),
            )
        )
        np.testing.assert_allclose(block(x), theirs(torch.tensor(x)).detach().numpy(), atol=2e-6)


def test_a_masked_channel_is_neither_seen_nor_trained():
    x = RNG.normal(size=(3, 5, 6)).astype(np.float32)
    layer = nn.Convolution2d.init(KEY, 3, 4, (2, 2), mask=(True, False, True))
    spoilt = x.copy()
    spoilt[1] = np.nan
    np.testing.assert_array_equal(layer(x), layer(spoilt))
    gradient = jax.grad(lambda layer: layer(spoilt).sum())(layer)
    assert not gradient.weight[:, 1].any()
    assert gradient.weight[:, (0, 2)].all()
    by_hand = nn.Convolution2d(weight=layer.weight[:, (0, 2)], bias=layer.bias)
    np.testing.assert_allclose(layer(x), by_hand(x[[0, 2]]), atol=1e-6)


def test_errors_of_convolutions():
    with pytest.raises(InputError, match="Convolution2d: the mask has 2 entries for 3 inputs, expected one each"):
        nn.Convolution2d.init(KEY, 3, 4, (2, 2), mask=(True, False))
    with pytest.raises(InputError, match=r"Convolution2d: the mask \(False, False\) leaves no input"):
        nn.Convolution2d.init(KEY, 2, 4, (2, 2), mask=(False, False))
    with pytest.raises(InputError, match="Convolution1d: 2 groups do not divide 3 inputs and 4 outputs"):
        nn.Convolution1d.init(KEY, 3, 4, 2, groups=2)
    with pytest.raises(InputError, match=r"Convolution1d: the mask \(True, False\) cannot be used with groups"):
        nn.Convolution1d.init(KEY, 2, 4, 2, groups=2, mask=(True, False))
    with pytest.raises(InputError, match="Convolution2d: unknown padding 'sane', did you mean 'same'?"):
        nn.Convolution2d.init(KEY, 2, 4, (2, 2), padding="sane")


def test_flatten_and_its_error():
    xs = np.arange(12.0, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_array_equal(nn.Flatten.init(2)(xs), xs.reshape(2, 6))
    np.testing.assert_array_equal(nn.Flatten.init(3)(xs), np.arange(12.0))
    with pytest.raises(InputError, match=r"x has shape \(6,\), expected at least 2 axes to flatten"):
        nn.Flatten.init(2)(jnp.zeros(6))


def test_squared_distance_is_that_of_the_matrix():
    layer = nn.SquaredDistance.init(KEY, 4, 3)
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    matrix = np.asarray(layer.weight).T @ np.asarray(layer.weight)
    np.testing.assert_allclose(layer(x), np.einsum("bi,ij,bj->b", x, matrix, x), rtol=1e-5)


def test_a_highway_starts_near_the_identity():
    layer = nn.Highway.init(KEY, 6, gate_bias=-20.0)
    x = RNG.normal(size=(3, 6)).astype(np.float32)
    np.testing.assert_allclose(layer(x), x, atol=1e-5)


class TestBroadLearning:
    xs = RNG.uniform(-1, 1, size=(8, 25, 2)).astype(np.float32)
    ys = np.sin(3 * xs[..., :1]) * xs[..., 1:]

    def model(self, **options):
        return nn.BroadLearning.init(KEY, 2, 1, groups=3, size=4, enhancement=40, **options)

    def test_the_fit_is_the_ridge_solution(self):
        fitted = jax.jit(lambda model: model.fit(self.xs, self.ys, penalty=0.05))(self.model())
        a = np.asarray(fitted.nodes(self.xs), np.float64).reshape(200, -1)
        expected = np.linalg.solve(a.T @ a + 0.05 * np.eye(a.shape[1]), a.T @ self.ys.reshape(200, 1)).T
        np.testing.assert_allclose(a @ fitted.output.weight.T, a @ expected.T, atol=1e-4)
        nearly_free = self.model().fit(self.xs, self.ys, penalty=1e-4)
        assert float(jnp.var(nearly_free(self.xs) - self.ys)) < 0.01 * self.ys.var()

    def test_feature_weights_rebuild_the_input(self):
        model = self.model()
        fitted = model.fit_features(self.xs)
        assert fitted.features.weight.shape == model.features.weight.shape
        flat = self.xs.reshape(-1, 2)
        for group in range(3):
            rows = slice(4 * group, 4 * group + 4)
            codes = flat @ np.asarray(model.features.weight[rows]).T + np.asarray(model.features.bias[rows])
            best = np.linalg.lstsq(codes, flat, rcond=None)[0]
            rebuilt = codes @ np.asarray(fitted.features.weight[rows])
            assert ((rebuilt - flat) ** 2).mean() < ((codes @ best - flat) ** 2).mean() + 0.02

    def test_dropout_and_errors(self):
        model = self.model(feature_dropout=0.5)
        assert not np.allclose(model(self.xs, rng=Rng.seed(0)), model(self.xs))
        with pytest.raises(InputError, match=r"xs have shape \(8, 25, 2\) and ys \(8, 24, 1\)"):
            model.fit(self.xs, self.ys[:, :24])
        with pytest.raises(InputError, match=r"dropout feature_dropout is 1.0, expected at least 0 and less than 1"):
            self.model(feature_dropout=1.0)


def test_a_recursive_autoencoder_learns_to_reconstruct():
    """Sequences of three lengths, one program: the loss falls, and padding has no part in it."""
    import optax

    keys = jax.random.split(KEY, 2)
    models = (
        nn.RecursiveEncoder.init(keys[0], 3, 8, max_length=5),
        nn.RecursiveDecoder.init(keys[1], 8, 3, max_length=5),
    )
    x, lengths = RNG.normal(size=(6, 4, 3)).astype(np.float32), np.array([4, 3, 2, 1, 4, 2])
    real = np.arange(4)[:, None] < lengths[:, None, None]
    adam = optax.adam(0.01)

    def loss(models):
        encoder, decoder = models
        return jnp.sum(jnp.square(decoder(encoder(x, lengths), 4, lengths) - x) * real) / real.sum()

    @jax.jit
    def train(models):
        def step(carry, _):
            models, state = carry
            value, grads = jax.value_and_grad(loss)(models)
            updates, state = adam.update(grads, state)
            return (optax.apply_updates(models, updates), state), value

        return jax.lax.scan(step, (models, adam.init(models)), None, length=60)[1]

    losses = train(models)
    assert float(losses[-1]) < 0.5 * float(losses[0])
    outputs = models[1](models[0](x, lengths), 4, lengths)
    assert not np.where(real, 0.0, outputs).any()
    for b, length in enumerate(lengths):
        alone = models[1](models[0](x[b, :length]), int(length))
        np.testing.assert_allclose(outputs[b, :length], alone, atol=1e-5)


def test_errors_of_layers_with_a_fixed_length():
    encoder = nn.RecursiveEncoder.init(KEY, 3, 4, max_length=5)
    with pytest.raises(InputError, match="x has 6 steps, and max_length is 5: make it with a larger one"):
        encoder(jnp.zeros((6, 3)))
    decoder = nn.RecursiveDecoder.init(KEY, 4, 3, max_length=5)
    with pytest.raises(InputError, match="length is 6 steps, and max_length is 5"):
        decoder(jnp.zeros(4), 6)
    with pytest.raises(InputError, match=r"x has shape \(3, 4\), expected \[..., 5, features\]: pad it with zeros"):
        nn.SpatialGatingUnit.init(KEY, 4, 5)(jnp.zeros((3, 4)))
    with pytest.raises(InputError, match="features is 5, expected an even number to halve"):
        nn.SpatialGatingUnit.init(KEY, 5, 5)
    with pytest.raises(InputError, match="x has 7 steps of time, and this GatedMLP was made for up to 6: cut x"):
        nn.GatedMLP.init(KEY, 4, 6, 1)(jnp.zeros((7, 4)))


def test_a_gated_mlp_is_its_padded_self():
    model = nn.GatedMLP.init(KEY, 4, 6, 2, activation="gelu_tanh", gate_activation="tanh")
    x = RNG.normal(size=(2, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(model(x), model(np.pad(x, [(0, 0), (0, 2), (0, 0)]))[:, :4], atol=1e-6)
