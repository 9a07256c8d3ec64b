"""The table of a model's arrays."""

import jax
import jax.numpy as jnp

import spago_jax as sj
from spago_jax.core.summary import rows


def test_summary(net):
    assert sj.summary(net).splitlines() == [
        "path             shape   dtype     count  bytes  role",
        "first.weight     [3, 2]  float32       6     24  param",
        "first.bias       [3]     float32       3     12  param, no decay",
        "layers.0.weight  [3, 3]  float32       9     36  param",
        "layers.0.bias    [3]     float32       3     12  param, no decay",
        "layers.1.weight  [3, 3]  float32       9     36  param",
        "norm.gain        [3]     float32       3     12  param, no decay",
        "norm.mean        [3]     float32       3     12  buffer",
        "norm.seen        []      int32         1      4  buffer",
        "table.shift      [5]     float32       5     20  param",
        "ids              [3]     int32         3     12  buffer",
        "key              []      key<fry>      1      8  buffer",
        "total                                 46    188  38 trainable",
    ]


def test_rows_and_counts_without_allocating(kinds):
    big = jax.eval_shape(lambda: kinds[0](jnp.zeros((50_000, 40_000), jnp.bfloat16)))
    (row,) = rows(big)
    assert (row.path, row.shape, row.dtype, row.count, row.bytes) == (
        "weight",
        (50_000, 40_000),
        "bfloat16",
        2 * 10**9,
        4 * 10**9,
    )
    assert sj.count_parameters(big) == 2 * 10**9
    assert "2,000,000,000" in sj.summary(big)


def test_a_model_without_arrays():
    class Nothing(sj.Module):
        size: int = sj.static(default=3)

    assert sj.count_parameters(Nothing()) == 0
    assert sj.summary(Nothing()).splitlines()[-1].split() == ["total", "0", "0", "0", "trainable"]
