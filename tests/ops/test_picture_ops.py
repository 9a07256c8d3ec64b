# SPDX-License-Identifier: BSD-2-Clause
"""Convolution and pooling as functions, ridge and lasso. Oracles: loops and linear algebra in NumPy, PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.ops.conv import conv1d
from spago_jax.ops.conv2d import conv2d
from spago_jax.ops.norms import safe_sqrt
from spago_jax.ops.pooling import max_pool2d
from spago_jax.ops.ridge import lasso_admm, ridge

RNG = np.random.default_rng(0)


def looped_conv2d(x, weight, strides, groups):
    out, inside, rows, columns = weight.shape
    height = (x.shape[1] - rows) // strides[0] + 1
    width = (x.shape[2] - columns) // strides[1] + 1
    y = np.zeros((out, height, width))
    for o, i, j in np.ndindex(y.shape):
        first = o // (out // groups) * inside
        window = x[first : first + inside, i * strides[0] :, j * strides[1] :][:, :rows, :columns]
        y[o, i, j] = (weight[o] * window).sum()
    return y


@pytest.mark.parametrize(("strides", "groups"), [((1, 1), 1), ((2, 1), 1), ((2, 3), 2), ((1, 2), 4)])
def test_conv2d_is_a_sum_over_windows(strides, groups):
    x = RNG.normal(size=(2, 3, 4, 6, 7)).astype(np.float32)
    weight = RNG.normal(size=(8, 4 // groups, 2, 3)).astype(np.float32)
    bias = RNG.normal(size=8).astype(np.float32)
    found = conv2d(x, weight, bias, strides=strides, groups=groups)
    for place in np.ndindex(2, 3):
        expected = looped_conv2d(x[place], weight, strides, groups) + bias[:, None, None]
        np.testing.assert_allclose(found[place], expected, atol=2e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_are_pytorchs(groups, stride):
    import torch

    x, weight = RNG.normal(size=(2, 4, 9)).astype(np.float32), RNG.normal(size=(6, 4 // groups, 3)).astype(np.float32)
    theirs = torch.nn.functional.conv1d(torch.tensor(x), torch.tensor(weight), stride=stride, groups=groups, padding=1)
    ours = conv1d(x.swapaxes(1, 2), weight, stride=stride, groups=groups)
    np.testing.assert_allclose(ours.swapaxes(1, 2), theirs.numpy(), atol=2e-6)
    x, weight = RNG.normal(size=(2, 4, 9, 8)).astype(np.float32), RNG.normal(size=(6, 4 // groups, 3, 3))
    weight = weight.astype(np.float32)
    theirs = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), stride=stride, groups=groups, padding=1)
    ours = conv2d(x, weight, strides=(stride, stride), groups=groups, padding="same")
    np.testing.assert_allclose(ours, theirs.numpy(), atol=5e-6)


def test_conv2d_errors():
    with pytest.raises(InputError, match="unknown padding 'vaild', did you mean 'valid'?"):
        conv2d(jnp.zeros((1, 4, 4)), jnp.zeros((1, 1, 2, 2)), padding="vaild")
    with pytest.raises(InputError, match=r"x has shape \(2, 4, 4\) and weight \(1, 1, 2, 2\) with 1 groups"):
        conv2d(jnp.zeros((2, 4, 4)), jnp.zeros((1, 1, 2, 2)))
    with pytest.raises(InputError, match="2 x 2 is smaller than the kernel 3 x 1 of a 'valid' convolution; use 'same'"):
        conv2d(jnp.zeros((1, 2, 2)), jnp.zeros((1, 1, 3, 1)))
    with pytest.raises(InputError, match=r"x has shape \(3, 4\) and weight \(2, 1, 2\) with 3 groups"):
        conv1d(jnp.zeros((3, 4)), jnp.zeros((2, 1, 2)), groups=3)


def test_max_pooling_takes_negative_numbers_and_any_window():
    x = -np.abs(RNG.normal(size=(2, 4, 6))).astype(np.float32)
    found = max_pool2d(x, 2, 3)
    for b, i, j in np.ndindex(2, 2, 2):
        assert float(found[b, i, j]) == x[b, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].max()
    with pytest.raises(InputError, match="windows of 3 x 2 do not fill 4 x 6: cut or pad x to 6 x 6"):
        max_pool2d(x, 3, 2)
    with pytest.raises(InputError, match=r"x has shape \(3,\), expected \[..., height, width\]"):
        max_pool2d(jnp.zeros(3), 1, 1)


def test_ridge_is_the_normal_equation():
    a, y = RNG.normal(size=(30, 6)), RNG.normal(size=(30, 2))
    expected = np.linalg.solve(a.T @ a + 0.3 * np.eye(6), a.T @ y)
    np.testing.assert_allclose(ridge(jnp.float32(a), jnp.float32(y), 0.3), expected, atol=1e-6)
    with pytest.raises(InputError, match="penalty is 0.0, expected more than 0"):
        ridge(jnp.float32(a), jnp.float32(y), 0.0)
    with pytest.raises(InputError, match=r"a has shape \(30, 6\) and y \(29, 2\)"):
        ridge(jnp.float32(a), jnp.float32(y[:29]), 0.1)


def test_ridge_of_features_that_depend_on_each_other():
    """Rank 2 of 12: in float32 the Gram matrix is not positive. Oracle: the augmented least squares problem."""
    a, y = RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 12)), RNG.normal(size=(200, 1))
    expected = np.linalg.lstsq(np.vstack([a, 0.03 * np.eye(12)]), np.vstack([y, np.zeros((12, 1))]), rcond=None)[0]
    found = np.asarray(ridge(jnp.float32(a), jnp.float32(y), 0.0009), np.float64)
    np.testing.assert_allclose(a @ found, a @ expected, atol=1e-5)


def test_lasso_satisfies_its_optimality_conditions():
    """The subgradient: a'(aW - y) is -penalty * sign(W) where W is not zero, and no larger where it is."""
    a, y = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 3))
    w = np.asarray(lasso_admm(jnp.float32(a), jnp.float32(y), 4.0, 2000), np.float64)
    slope = a.T @ (a @ w - y)
    assert 0 < (w == 0).sum() < w.size
    np.testing.assert_allclose(slope[w != 0], -4.0 * np.sign(w[w != 0]), atol=2e-3)
    assert (np.abs(slope[w == 0]) <= 4.0 + 2e-3).all()


def test_the_square_root_has_a_slope_of_zero_at_zero():
    import jax

    assert float(jax.grad(safe_sqrt)(jnp.float32(0.0))) == 0.0
    assert float(jax.grad(safe_sqrt)(jnp.float32(4.0))) == 0.25
