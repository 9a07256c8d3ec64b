# SPDX-License-Identifier: BSD-2-Clause
"""Products, masks, dropout, merges, activations, lookups, convolution and losses. Oracles: NumPy, PyTorch, spaGO."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import normal

from spago_jax import Rng
from spago_jax.core.target import traced_for
from spago_jax.errors import InputError
from spago_jax.ops import losses
from spago_jax.ops.activations import ACTIVATIONS, activation
from spago_jax.ops.conv import conv1d, max_over_time
from spago_jax.ops.dropout import dropout
from spago_jax.ops.embedding import ONE_HOT_ROWS, take_rows
from spago_jax.ops.linear import linear, product_over_rows
from spago_jax.ops.masks import reverse_by_length
from spago_jax.ops.merge import merge, merged_features


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_linear_equals_numpy(lead):
    x, w, b = normal(*lead, 4), normal(6, 4, seed=1), normal(6, seed=2)
    np.testing.assert_allclose(linear(jnp.array(x), jnp.array(w), jnp.array(b)), x @ w.T + b, rtol=1e-5, atol=1e-6)


def test_linear_sums_bfloat16_in_float32():
    # 4096 ones and a thousandth: a bfloat16 sum stops growing at 256.
    y = linear(jnp.ones((2, 4096), jnp.bfloat16), jnp.ones((3, 4096), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert np.all(np.asarray(y, np.float32) == 4096)


def test_linear_gradients_in_bfloat16_are_near_float32():
    x, w, upstream = normal(2, 30, 16), normal(8, 16, seed=1), normal(2, 30, 8, seed=2)

    def loss(x, w):
        return jnp.sum(linear(x, w).astype(jnp.float32) * upstream)

    low = jax.grad(loss, (0, 1))(jnp.array(x, jnp.bfloat16), jnp.array(w, jnp.bfloat16))
    for a, b in zip(low, jax.grad(loss, (0, 1))(jnp.array(x), jnp.array(w)), strict=True):
        assert a.dtype == jnp.bfloat16
        assert np.linalg.norm(np.asarray(a, np.float32) - b) < 0.01 * np.linalg.norm(b)


def test_linear_names_both_shapes():
    with pytest.raises(InputError, match=r"x has shape \(2, 3\) and weight \(5, 4\): a weight is \[out, in\]"):
        linear(jnp.ones((2, 3)), jnp.ones((5, 4)))


def test_reverse_by_length_equals_python():
    x, lengths = normal(3, 5, 2), [5, 0, 3]
    got = reverse_by_length(jnp.array(x), jnp.array(lengths))
    for row, n in enumerate(lengths):
        np.testing.assert_array_equal(got[row], np.concatenate([x[row, :n][::-1], x[row, n:]]))
    np.testing.assert_array_equal(reverse_by_length(got, jnp.array(lengths)), x)


def test_dropout_keeps_the_mean_and_shares_masks():
    rng, x = Rng.seed(1), jnp.ones((50, 40, 30))
    y = np.asarray(dropout(x, 0.25, rng))
    assert set(np.unique(y)) == {np.float32(0.0), np.float32(4 / 3)}
    assert abs((y == 0).mean() - 0.25) < 0.01
    shared = np.asarray(dropout(x, 0.25, rng, shared_axes=(-2,)))
    assert np.all(shared == shared[:, :1])
    assert abs((shared == 0).mean() - 0.25) < 0.03
    assert dropout(x, 0.25, None) is x
    assert dropout(x, 0.0, rng) is x
    with pytest.raises(InputError, match=r"dropout rate is 1.0, expected at least 0 and less than 1"):
        dropout(x, 1.0, rng)


def test_merge_and_names():
    assert merged_features(2, 3) == 5
    with pytest.raises(InputError, match="merge 'sum' needs equal sizes, got 2 and 3; use 'concat'"):
        merged_features(2, 3, "sum")
    with pytest.raises(InputError, match="unknown merge 'cat', did you mean 'concat'"):
        merge(jnp.ones(1), jnp.ones(1), "cat")
    with pytest.raises(InputError, match="unknown activation 'rellu', did you mean 'relu'"):
        activation("rellu")


@pytest.mark.oracle
def test_activations_equal_pytorch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    theirs = {
        "identity": lambda x: x,
        "relu": f.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "gelu": f.gelu,
        "gelu_tanh": lambda x: f.gelu(x, approximate="tanh"),
        "silu": f.silu,
        "elu": f.elu,
        "selu": f.selu,
        "celu": f.celu,
        "leaky_relu": f.leaky_relu,
        "softplus": f.softplus,
        "softsign": f.softsign,
        "mish": f.mish,
        "hard_tanh": f.hardtanh,
        "hard_sigmoid": f.hardsigmoid,
    }
    assert set(theirs) <= set(ACTIVATIONS)  # the others are in test_activations.py
    x = 3 * normal(100)
    for name, function in theirs.items():
        got = activation(name)(jnp.array(x))
        np.testing.assert_allclose(got, function(torch.tensor(x)).numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rows", [7, ONE_HOT_ROWS + 88])
def test_lookup_gradient_equals_a_scatter(rows):
    table, ids = normal(rows, 3), np.random.default_rng(1).integers(0, rows, (4, 50))
    ids[0, 0] = ids[0, 1] = rows - 1
    upstream = normal(4, 50, 3, seed=2)
    got = jax.grad(lambda t: jnp.sum(take_rows(t, jnp.array(ids)) * upstream))(jnp.array(table))
    expected = np.zeros_like(table)
    np.add.at(expected, ids, upstream)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(take_rows(jnp.array(table), jnp.array(ids)), table[ids])


@pytest.mark.oracle
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_convolution_equals_pytorch(width, padding):
    torch = pytest.importorskip("torch")
    x, w, b = normal(2, 9, 4), normal(6, 4, width, seed=1), normal(6, seed=2)
    got = conv1d(jnp.array(x), jnp.array(w), jnp.array(b), padding=padding)
    theirs = torch.nn.functional.conv1d(
        torch.tensor(x).transpose(1, 2), torch.tensor(w), torch.tensor(b), padding=padding
    )
    np.testing.assert_allclose(got, theirs.transpose(1, 2).numpy(), rtol=1e-4, atol=1e-5)


def test_convolution_and_pooling_read_nothing_beyond_the_lengths():
    x, w = normal(3, 6, 2), normal(4, 2, 3, seed=1)
    lengths = np.array([6, 2, 0])
    dirty = x.copy()
    for row, n in enumerate(lengths):
        dirty[row, n:] = np.nan

    def pooled(x, w):
        return max_over_time(conv1d(x, w, lengths=jnp.array(lengths)), jnp.array(lengths))

    got = pooled(jnp.array(dirty), jnp.array(w))
    for row, n in enumerate(lengths):
        expected = conv1d(jnp.array(x[row, :n]), jnp.array(w)).max(0) if n else np.zeros(4)
        np.testing.assert_allclose(got[row], expected, rtol=1e-5, atol=1e-6)
    grads = jax.grad(lambda x, w: jnp.sum(pooled(x, w) ** 2), (0, 1))(jnp.array(dirty), jnp.array(w))
    assert np.isfinite(grads[0]).all()
    assert np.isfinite(grads[1]).all()
    assert not np.asarray(grads[0])[1, 2:].any()


def test_convolution_errors():
    with pytest.raises(InputError, match="unknown padding 'smae', did you mean 'same'"):
        conv1d(jnp.ones((3, 1)), jnp.ones((1, 1, 1)), padding="smae")
    with pytest.raises(InputError, match="2 steps are fewer than the width 3 of a 'valid' convolution; use 'same'"):
        conv1d(jnp.ones((2, 1)), jnp.ones((1, 1, 3)), padding="valid")
    with pytest.raises(InputError, match=r"weight \(1, 2, 1\), expected \[out, in, width\]"):
        conv1d(jnp.ones((2, 1)), jnp.ones((1, 2, 1)))


@pytest.mark.oracle
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_pytorch_with_its_gradient(smoothing):
    torch = pytest.importorskip("torch")
    logits, labels = 40 * normal(5, 6), np.array([0, 5, 2, 3, 3])
    theirs = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(labels), label_smoothing=smoothing, reduction="none"
    )
    expected.sum().backward()
    got = losses.cross_entropy(jnp.array(logits), jnp.array(labels), label_smoothing=smoothing)
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    grad = jax.grad(lambda x: jnp.sum(losses.cross_entropy(x, jnp.array(labels), label_smoothing=smoothing)))(
        jnp.array(logits)
    )
    np.testing.assert_allclose(grad, theirs.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.oracle
def test_binary_cross_entropy_equals_pytorch():
    torch = pytest.importorskip("torch")
    x, t = 50 * normal(30), np.random.default_rng(0).random(30).astype(np.float32)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(x), torch.tensor(t), reduction="none")
    np.testing.assert_allclose(
        losses.binary_cross_entropy(jnp.array(x), jnp.array(t)), expected.numpy(), rtol=1e-5, atol=1e-6
    )


def spago_loss(name, config):
    """spaGO's definition by ours: its MSE is half of the field's, and it sums unless told to take the mean."""
    gold = jnp.array(config.get("class", 0))
    mean = config.get("reduce_mean", False)
    return {
        "CrossEntropy": lambda x: losses.cross_entropy(x, gold),
        "WeightedCrossEntropy": lambda x: losses.weighted_cross_entropy(x, gold, jnp.array(config["weights"])),
        "FocalLoss": lambda x: losses.focal(x, gold, config["gamma"]),
        "MSE": lambda x, y: losses.mse(x, y) * 0.5 * (1 if mean else x.size),
        "MAE": lambda x, y: losses.mae(x, y) * (1 if mean else x.size),
        "NLL": losses.negative_log_likelihood,
    }[name]


@pytest.mark.parametrize("name", ["CrossEntropy", "WeightedCrossEntropy", "FocalLoss", "MSE", "MAE", "NLL"])
def test_losses_equal_spago(golden, name):
    def vector(item):
        return np.array(item["data"], np.float64)

    cases = [case for case in json.loads((golden / "main" / f"loss.{name}.json").read_text())["cases"]]
    assert cases
    with jax.enable_x64(True):
        for case in cases:
            assert case["status"] == "ok"
            xs = [vector(item) for item in case["inputs"]]
            value, grad = jax.jit(jax.value_and_grad(spago_loss(name, case["config"])))(*xs)
            scale = case["output_grads"][0]["data"][0]
            np.testing.assert_allclose(value, case["outputs"][0]["data"][0], rtol=1e-9)
            np.testing.assert_allclose(scale * grad, vector(case["input_grads"][0]), rtol=1e-9, atol=1e-12)


def test_masked_mean_ignores_what_is_masked():
    value, grad = jax.value_and_grad(losses.masked_mean)(jnp.array([1.0, jnp.nan, 3.0]), jnp.array([1, 0, 1]))
    assert value == 2.0
    np.testing.assert_array_equal(grad, [0.5, 0.0, 0.5])
    assert losses.masked_mean(jnp.ones(2), jnp.zeros(2)) == 0.0


def test_loss_errors():
    with pytest.raises(InputError, match=r"labels have shape \(3,\), expected \(2,\) as the logits"):
        losses.cross_entropy(jnp.ones((2, 4)), jnp.zeros(3, int))
    with pytest.raises(InputError, match=r"label_smoothing is 1.0, expected at least 0 and less than 1"):
        losses.cross_entropy(jnp.ones((2, 4)), jnp.zeros(2, int), label_smoothing=1.0)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_the_gradient_of_a_weight_in_16_bits_is_summed_in_32(platform):
    """Beside NumPy's float64 sum of the same rounded numbers, in the form of each kind of device."""
    draw = np.random.default_rng(0)
    x, y = (jnp.asarray(draw.normal(size=(300, n)), jnp.bfloat16) for n in (5, 7))
    with traced_for(platform):
        found = jax.jit(product_over_rows)(x, y)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, np.asarray(x, np.float64).T @ np.asarray(y, np.float64), rtol=1e-4, atol=1e-4)
