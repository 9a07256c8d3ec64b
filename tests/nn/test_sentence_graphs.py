# SPDX-License-Identifier: BSD-2-Clause
"""Sentence-state LSTM and Star-Transformer: the paper's form and padding, against the equations in NumPy float64.

spaGO's form is held against its numbers in the parity run.
"""

import jax
import numpy as np
import pytest

from spago_jax.nn import SentenceLSTM, StarTransformer

LENGTHS = np.array([4, 1, 0])
IN, OUT = 3, 4


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def wide(model, seed=0):
    noise = np.random.default_rng(seed)
    return jax.tree.map(lambda x: np.asarray(x, np.float64) + 0.3 * noise.normal(size=x.shape), model)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(0)


def sentence_lstm(model, xs):
    """The paper's equations, word by word."""
    w, u, v = model.window_weight, model.input_weight, model.sentence_weight
    h = c = [model.first] * len(xs)
    g = g_cell = model.first
    for _ in range(model.steps):
        hs, cs = [model.start, *h, model.end], [model.start, *c, model.end]
        new_h, new_c = [], []
        for t, x in enumerate(xs):
            z = w @ np.concatenate(hs[t : t + 3]) + u @ x + v @ g + model.bias
            *five, o, candidate = np.split(z, 7)
            i, left, right, f, s = softmax(sigmoid(np.stack(five)))
            cell = left * cs[t] + f * cs[t + 1] + right * cs[t + 2] + s * g_cell + i * np.tanh(candidate)
            new_c.append(cell)
            new_h.append(sigmoid(o) * np.tanh(cell))
        z_forget, z_word, z_out = np.split(model.global_weight @ g + model.global_bias, 3)
        forget, word, out = np.split(model.local_weight, 3)
        mean = np.mean(h, axis=0)
        gates = softmax(sigmoid(np.stack([z_forget + forget @ mean, *(z_word + word @ one for one in h)])))
        g_cell = gates[0] * g_cell + sum(gate * cell for gate, cell in zip(gates[1:], c, strict=True))
        g = sigmoid(z_out + out @ mean) * np.tanh(g_cell)
        h, c = new_h, new_c
    return np.stack(h), g


def test_sentence_lstm_in_the_papers_form_with_padding():
    model = wide(SentenceLSTM.init(jax.random.key(0), IN, OUT, steps=3))
    xs = np.random.default_rng(1).normal(size=(3, 4, IN))
    dirty = np.where((np.arange(4) < LENGTHS[:, None])[..., None], xs, np.nan)
    ys, sentence = jax.jit(lambda model, xs: model(xs, LENGTHS))(model, dirty)
    for row, length in enumerate(LENGTHS):
        assert not np.asarray(ys[row, length:]).any()
        if length:
            words, whole = sentence_lstm(model, xs[row, :length])
            np.testing.assert_allclose(ys[row, :length], words, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(sentence[row], whole, rtol=1e-9, atol=1e-9)
    assert np.isfinite(np.asarray(sentence)).all()


def star_transformer(model, xs):
    def layer(one, x):
        return x @ np.asarray(one.weight).T + one.bias

    def norm(one, x):
        x = np.maximum(x, 0)
        return (x - x.mean()) / np.sqrt(x.var() + one.eps) * one.weight + one.bias

    def attend(layers, query, context):
        phi = lambda x: np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))  # noqa: E731
        weights = phi(layer(layers.key, context)) @ phi(layer(layers.query, query))
        return weights @ layer(layers.value, context) / (weights.sum() + 1e-12)

    h, s, n = list(xs), xs.mean(0), len(xs)
    for _ in range(model.steps):
        seen = [np.stack([h[t - 1], h[t], h[(t + 1) % n], xs[t], s]) for t in range(n)]
        h = [norm(model.satellite_norm, attend(model.satellite, h[t], seen[t])) for t in range(n)]
        s = norm(model.relay_norm, attend(model.relay, s, np.stack([s, *h])))
    return np.stack(h), s


def test_star_transformer_closes_its_ring_at_the_length():
    model = wide(StarTransformer.init(jax.random.key(0), OUT, size=3, steps=2))
    xs = np.random.default_rng(1).normal(size=(3, 4, OUT))
    dirty = np.where((np.arange(4) < LENGTHS[:, None])[..., None], xs, np.nan)
    ys, relay = jax.jit(lambda model, xs: model(xs, LENGTHS))(model, dirty)
    for row, length in enumerate(LENGTHS):
        assert not np.asarray(ys[row, length:]).any()
        if length:
            words, hub = star_transformer(model, xs[row, :length])
            np.testing.assert_allclose(ys[row, :length], words, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(relay[row], hub, rtol=1e-9, atol=1e-9)
