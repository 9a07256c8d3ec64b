# SPDX-License-Identifier: BSD-2-Clause
"""Normalisations. Oracles: PyTorch, spaGO's running statistics, NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spago.golden import read_cases
from spago.shapes import sequence, vector

import spago_jax as sj
from spago_jax import nn
from spago_jax.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)).astype(np.float32) * 2.0 + 1.0
LENGTHS = np.array([5, 3, 1, 0], np.int32)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_values_and_gradients_are_pytorchs(name):
    import torch

    theirs = getattr(torch.nn, name)(6, eps=1e-3)
    weight, bias = RNG.normal(size=(2, 6)).astype(np.float32)
    theirs.weight.data[:] = torch.tensor(weight)
    layer = getattr(nn, name).init(6, eps=1e-3).replace(weight=jnp.asarray(weight))
    if name == "LayerNorm":
        theirs.bias.data[:] = torch.tensor(bias)
        layer = layer.replace(bias=jnp.asarray(bias))
    x = torch.tensor(X, requires_grad=True)
    y = theirs(x)
    torch.sin(y).sum().backward()
    of_layer, of_x = jax.grad(lambda layer, x: jnp.sin(layer(x)).sum(), (0, 1))(layer, X)
    np.testing.assert_allclose(layer(X), y.detach().numpy(), atol=2e-6)
    np.testing.assert_allclose(of_x, x.grad.numpy(), atol=1e-5)
    np.testing.assert_allclose(of_layer.weight, theirs.weight.grad.numpy(), atol=2e-5)


@pytest.mark.oracle
def test_batch_norm_is_pytorchs_over_several_steps():
    import torch

    theirs = torch.nn.BatchNorm1d(6, momentum=0.1)
    ours = nn.BatchNorm.init(6, momentum=0.9)
    for _ in range(3):
        x = RNG.normal(size=(7, 6)).astype(np.float32) * 3.0
        xs = torch.tensor(x, requires_grad=True)
        y = theirs(xs)
        torch.sin(y).sum().backward()
        gradient = jax.grad(lambda x, bn: jnp.sin(bn.step(x)[0]).sum())(x, ours)
        mine, ours = jax.jit(nn.BatchNorm.step)(ours, x)
        np.testing.assert_allclose(mine, y.detach().numpy(), atol=2e-6)
        np.testing.assert_allclose(gradient, xs.grad.numpy(), atol=2e-6)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), atol=1e-5)
    theirs.eval()
    np.testing.assert_allclose(ours(x), theirs(torch.tensor(x)).detach().numpy(), atol=2e-6)


@pytest.mark.parametrize("layer", [nn.BatchNorm.init(6), nn.DeviationBatchNorm.init(6)], ids=lambda x: type(x).__name__)
def test_padding_does_not_count(layer):
    """Against the real steps alone, laid end to end."""
    real = np.concatenate([x[:length] for x, length in zip(X, LENGTHS, strict=True)])
    garbage = np.where(np.arange(5)[:, None] < LENGTHS[:, None, None], X, np.float32(1e6))
    y, new = layer.step(garbage, LENGTHS)
    expected, other = layer.step(real)
    found = np.concatenate([row[:length] for row, length in zip(y, LENGTHS, strict=True)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for mine, alone in zip(jax.tree.leaves(new), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(mine, alone, atol=1e-5)


@pytest.mark.parametrize("layer", [nn.BatchNorm.init(6), nn.DeviationBatchNorm.init(6)], ids=lambda x: type(x).__name__)
def test_running_statistics_are_state_and_not_trained(layer):
    _, new = layer.step(X)
    assert not any(sj.roles(layer)[name].trainable for name in sj.flat(layer) if name.startswith("running"))
    assert not np.allclose(new.running_mean, layer.running_mean)
    empty, same = layer.step(X, np.zeros(4, np.int32))
    assert np.isfinite(empty).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(same))


def test_a_momentum_outside_its_range_is_refused():
    with pytest.raises(InputError, match=r"BatchNorm: momentum is 1.5, expected 0 to 1, the share of the old value"):
        nn.BatchNorm.init(4, momentum=1.5)
    with pytest.raises(InputError, match=r"AdaNorm: scale is 0.0, expected more than 0"):
        nn.AdaNorm.init(0.0)


def test_the_running_statistics_are_spagos(golden):
    checked = 0
    for path in sorted(golden.glob("*/nn.batchnorm.json")):
        for case in read_cases(path):
            if case.config["mode"] != "train":
                continue
            held = {name: vector(jnp.float32(value)) for name, value in {**case.params, **case.buffers}.items()}
            layer = nn.DeviationBatchNorm(
                held["W"], held["B"], held["Mean"], held["StdDev"], momentum=case.config["momentum"]
            )
            _, new = layer.step(sequence([jnp.float32(x) for _, x in case.inputs]))
            np.testing.assert_allclose(new.running_mean, case.extra["mean_after"], atol=1e-6)
            np.testing.assert_allclose(new.running_deviation, case.extra["stddev_after"], atol=1e-6)
            checked += 1
    assert checked >= 6


@pytest.mark.parametrize(
    "layer",
    [nn.LayerNormSimple(), nn.FixNorm(), nn.ScaleNorm.init(6), nn.RMSNorm.init(6, eps=1e-10, eps_outside=True)],
    ids=lambda x: type(x).__name__,
)
def test_a_vector_of_zeros_has_finite_gradients(layer):
    gradient = jax.grad(lambda x: layer(x).sum())(jnp.zeros((2, 6)))
    assert np.isfinite(layer(jnp.zeros((2, 6)))).all()
    assert np.isfinite(gradient).all()


def test_lengths_of_vectors():
    np.testing.assert_allclose(np.linalg.norm(nn.FixNorm()(X), axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(nn.ScaleNorm.init(6)(X), axis=-1), np.sqrt(6.0), rtol=1e-6)
    each = nn.ScaleNorm.init(6, per_feature=True)
    assert each.weight.shape == (6,)
    np.testing.assert_allclose(each(X), nn.ScaleNorm.init(6)(X), rtol=1e-6)


def test_ada_norms_factor_has_no_gradient():
    """Against the same function with the factor as a constant."""
    z = (X - X.mean(-1, keepdims=True)) / X.std(-1, keepdims=True)
    factor = 0.8 * (1.0 - 0.1 * z)
    found = jax.grad(lambda x: jnp.sin(nn.AdaNorm.init(0.8)(x)).sum())(X)
    expected = jax.grad(lambda x: jnp.sin(nn.LayerNormSimple()(x) * factor).sum())(X)
    np.testing.assert_allclose(found, expected, atol=1e-5)
