# SPDX-License-Identifier: BSD-2-Clause
"""Normalisations."""

import jax.numpy as jnp

from spago_jax import nn
from spago_jax.nn.catalogue.entry import Entry


def _with_statistics(layer, *names: str):
    """A layer that has seen data."""
    values = jnp.linspace(0.5, 1.5, 6)
    return layer.replace(**{name: values * (place + 1.0) for place, name in enumerate(names)})


ENTRIES = (
    Entry(
        "layer_norm",
        lambda key: nn.LayerNorm.init(6),
        ("f32[batch, 6]",),
        "y = (x - mean) / sqrt(var + eps) W + b",
        "Ba et al. (2016)",
        "nn/normalization/layernorm",
    ),
    Entry(
        "layer_norm_simple",
        lambda key: nn.LayerNormSimple(),
        ("f32[batch, 6]",),
        "y = (x - mean) / (std + eps)",
        "Xu et al. (2019)",
        "nn/normalization/layernormsimple",
        trains=False,
    ),
    Entry(
        "ada_norm",
        lambda key: nn.AdaNorm.init(0.8),
        ("f32[batch, 6]",),
        "y = C (1 - k z) z, z = (x - mean) / (std + eps), C (1 - k z) without gradient",
        "Xu et al. (2019)",
        "nn/normalization/adanorm",
        trains=False,
    ),
    Entry(
        "rms_norm",
        lambda key: nn.RMSNorm.init(6),
        ("f32[batch, 6]",),
        "y = x / sqrt(mean(x^2) + eps) W",
        "Zhang and Sennrich (2019)",
        "nn/normalization/rmsnorm",
    ),
    Entry(
        "scale_norm",
        lambda key: nn.ScaleNorm.init(6),
        ("f32[batch, 6]",),
        "y = g x / (|x| + eps)",
        "Nguyen and Salazar (2019)",
        "nn/normalization/scalenorm",
    ),
    Entry(
        "fix_norm",
        lambda key: nn.FixNorm(),
        ("f32[batch, 6]",),
        "y = x / (|x| + eps)",
        "Nguyen and Chiang (2018)",
        "nn/normalization/fixnorm",
        trains=False,
    ),
    Entry(
        "batch_norm",
        lambda key: _with_statistics(nn.BatchNorm.init(6), "running_mean", "running_var"),
        ("f32[batch, 6]",),
        "y = (x - mean) / sqrt(var + eps) W + b, over the batch in training",
        "Ioffe and Szegedy (2015)",
    ),
    Entry(
        "deviation_batch_norm",
        lambda key: _with_statistics(nn.DeviationBatchNorm.init(6), "running_mean", "running_deviation"),
        ("f32[batch, 6]",),
        "y = (x - mean) W / (std + eps) + b, std = sqrt(sum (x - mean)^2 / (n + eps))",
        "Ioffe and Szegedy (2015)",
        "nn/normalization/batchnorm",
    ),
)
