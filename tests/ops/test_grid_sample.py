"""Pictures read between their pixels, against PyTorch, values and gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.ops.grid_sample import grid_sample

CASES = list(itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)))


@pytest.mark.oracle
@pytest.mark.parametrize(("mode", "padding", "align_corners"), CASES)
def test_grid_sample_equals_pytorch(mode, padding, align_corners):
    import torch

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    grid = rng.uniform(-1.7, 1.7, size=(2, 6, 7, 2)).astype(np.float32)  # beyond the borders too
    weight = rng.normal(size=(2, 3, 6, 7)).astype(np.float32)

    def ours(x, grid):
        return grid_sample(x, grid, mode=mode, padding=padding, align_corners=align_corners)

    there = [torch.tensor(a, requires_grad=True) for a in (x, grid)]
    theirs = torch.nn.functional.grid_sample(*there, mode=mode, padding_mode=padding, align_corners=align_corners)
    (theirs * torch.tensor(weight)).sum().backward()

    def weighed(x, grid):
        y = ours(x, grid)
        return (y * weight).sum(), y

    (_, y), found = jax.jit(jax.value_and_grad(weighed, (0, 1), has_aux=True))(x, grid)
    np.testing.assert_allclose(y, theirs.detach(), rtol=1e-4, atol=1e-5)
    for mine, other in zip(found, there, strict=True):
        np.testing.assert_allclose(mine, other.grad, rtol=1e-3, atol=1e-4)


def test_leading_axes_are_free():
    x, grid = jax.random.normal(jax.random.key(0), (2, 3, 1, 4, 4)), jnp.zeros((2, 3, 2, 2, 2))
    many = grid_sample(x, grid)
    assert many.shape == (2, 3, 1, 2, 2)
    np.testing.assert_array_equal(many[1, 2], grid_sample(x[1, 2], grid[1, 2]))


def test_mistakes():
    x, grid = jnp.zeros((1, 4, 4)), jnp.zeros((2, 2, 2))
    with pytest.raises(InputError, match="mode 'linear' and padding 'zeros'; expected one of"):
        grid_sample(x, grid, mode="linear")
    with pytest.raises(InputError, match=r"x \[1, 4, 4\] and grid \[2, 2, 3\]; expected"):
        grid_sample(x, jnp.zeros((2, 2, 3)))
