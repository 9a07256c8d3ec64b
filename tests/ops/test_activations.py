# SPDX-License-Identifier: BSD-2-Clause
"""Activations and sparsemax. Oracles: PyTorch, brute force over the simplex, equations written out in NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.nn import Activation
from spago_jax.ops.activations import ACTIVATIONS, activation, parse_activation, softplus
from spago_jax.ops.sparsemax import sparsemax

XS = np.linspace(-4.0, 4.0, 41).astype(np.float32) + 0.013
SPAGO = [
    "Identity",
    "Tan",
    "Tanh",
    "Sigmoid",
    "HardSigmoid",
    "HardTanh",
    "Softsign",
    "ReLU",
    "CELU",
    "GELU",
    "ELU",
    "PositiveELU",
    "SwishB",
    "Swish",
    "SiLU",
    "Mish",
    "LeakyReLU",
    "SELU",
    "SoftPlus",
    "SoftShrink",
    "Threshold",
    "Softmax",
    "LogSoftmax",
    "SparseMax",
]


def test_all_of_spagos_names_are_known():
    assert len(SPAGO) == 24
    for name in SPAGO:
        assert parse_activation(name) == parse_activation(name.lower()) in ACTIVATIONS
        assert Activation.init(name)(XS).shape == XS.shape


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(InputError, match="unknown activation 'leky_relu', did you mean 'leaky_relu'?"):
        activation("leky_relu")
    with pytest.raises(InputError, match="activation 'selu' has no option 'alfa': did you mean 'alpha'?"):
        Activation.init("selu", alfa=1.0)
    with pytest.raises(InputError, match="activation 'relu' has no options, and 'alpha' was given"):
        Activation.init("relu", alpha=1.0)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("positive_elu", {}, np.where(XS > 0, XS + 1, np.exp(XS))),
        ("hard_sigmoid_keras", {}, np.clip(0.2 * XS + 0.5, 0, 1)),
        ("swish_b", {"beta": 0.7}, XS / (1 + np.exp(-0.7 * XS))),
        ("soft_shrink", {"lambd": 0.3}, np.sign(XS) * np.maximum(np.abs(XS) - 0.3, 0)),
        ("threshold", {"threshold": 0.5, "value": -2.0}, np.where(XS > 0.5, XS, -2.0)),
        ("softplus", {"beta": 2.0, "threshold": 1.0}, np.where(XS > 1.0, XS, np.log1p(np.exp(2 * XS)) / 2)),
        ("celu", {"alpha": 1.3}, np.where(XS > 0, XS, 1.3 * (np.exp(XS / 1.3) - 1))),
        ("selu", {"alpha": 1.1, "scale": 2.0}, 2 * np.where(XS > 0, XS, 1.1 * (np.exp(XS) - 1))),
        ("tan", {}, np.tan(XS)),
    ],
)
def test_equations(name, options, expected):
    np.testing.assert_allclose(Activation.init(name, **options)(XS), expected, rtol=3e-5, atol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("relu", {}, "relu"),
        ("gelu", {}, "gelu"),
        ("silu", {}, "silu"),
        ("mish", {}, "mish"),
        ("hard_sigmoid", {}, "hardsigmoid"),
        ("hard_tanh", {}, "hardtanh"),
        ("softsign", {}, "softsign"),
        ("selu", {}, "selu"),
        ("elu", {"alpha": 0.7}, "elu"),
        ("celu", {"alpha": 0.7}, "celu"),
        ("leaky_relu", {"negative_slope": 0.3}, "leaky_relu"),
        ("soft_shrink", {"lambd": 0.4}, "softshrink"),
        ("softplus", {"beta": 1.5}, "softplus"),
    ],
)
def test_values_and_gradients_are_pytorchs(name, options, theirs):
    import torch

    x = torch.tensor(XS, requires_grad=True)
    y = getattr(torch.nn.functional, theirs)(x, **options)
    y.sum().backward()
    layer = Activation.init(name, **options)
    np.testing.assert_allclose(layer(XS), y.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: layer(x).sum())(XS), x.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_softplus_does_not_overflow():
    assert float(softplus(jnp.array(1e4), 3.0)) == 1e4
    assert float(jax.grad(softplus)(1e4)) == 1.0


def _nearest_on_simplex(x):
    """The projection, by trying every support."""
    best, found = np.inf, None
    for size in range(1, len(x) + 1):
        for support in itertools.combinations(range(len(x)), size):
            y = np.zeros(len(x))
            y[list(support)] = x[list(support)] - (x[list(support)].sum() - 1) / size
            if (y >= 0).all() and ((y - x) ** 2).sum() < best:
                best, found = ((y - x) ** 2).sum(), y
    return found


def test_sparsemax_is_the_projection_onto_the_simplex():
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(20, 5)).astype(np.float32) * np.linspace(0.1, 3.0, 20, dtype=np.float32)[:, None] - 1.0
    np.testing.assert_allclose(sparsemax(xs), [_nearest_on_simplex(x.astype(np.float64)) for x in xs], atol=2e-6)
    # spaGO's versions 1 give [0.1, 0] here
    np.testing.assert_allclose(sparsemax(jnp.array([0.1, -5.0])), [1.0, 0.0])


def test_sparsemax_gradient_is_a_central_difference():
    with jax.enable_x64(True):
        x, weights = np.array([0.4, 0.1, -2.0, 0.3]), np.array([1.0, -2.0, 3.0, 0.5])
        slopes = [(weights @ np.asarray(sparsemax(x + step) - sparsemax(x - step))) / 2e-6 for step in 1e-6 * np.eye(4)]
        np.testing.assert_allclose(jax.grad(lambda x: jnp.dot(weights, sparsemax(x)))(x), slopes, atol=1e-8)
