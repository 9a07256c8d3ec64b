# SPDX-License-Identifier: BSD-2-Clause
"""Feed-forward and structural layers, convolutions and mixers."""

import jax

from spago_jax import nn
from spago_jax.nn.catalogue.entry import Entry


def _residual(form: str):
    """A residual form of an affine layer; the gain of ReZero is not zero, or its function would not be seen."""

    def make(key: jax.Array):
        affine = nn.Linear.init(key, 6, 6)
        if form == "rezero":
            layer = nn.ReZero.init(affine)
            return layer.replace(gain=layer.gain + 0.5)
        return (nn.PreNorm if form == "pre" else nn.PostNorm)(function=affine, norm=nn.LayerNorm.init(6))

    return make


ENTRIES = (
    Entry(
        "activation",
        lambda key: nn.Activation.init("swish_b", beta=1.5),
        ("f32[batch, 6]",),
        "y = f(x), one of 26 by name",
        spago="nn/activation",
    ),
    Entry(
        "highway",
        lambda key: nn.Highway.init(key, 6, activation="tanh"),
        ("f32[batch, 6]",),
        "y = t h + (1 - t) x, t = s(W_t x + b_t), h = f(W_h x + b_h)",
        "Srivastava et al. (2015)",
        "nn/highway",
    ),
    Entry(
        "sequential",
        lambda key: nn.Sequential.init((nn.Linear.init(key, 6, 5), nn.Activation.init("mish"), nn.LayerNorm.init(5))),
        ("f32[batch, 6]",),
        "y = layer_n(... layer_1(x))",
        spago="nn/stack",
    ),
    Entry(
        "feed_forward",
        lambda key: nn.FeedForward.init(key, 6, 8, activation="gelu"),
        ("f32[batch, 6]",),
        "y = W_2 f(W_1 x + b_1) + b_2",
    ),
    Entry(
        "pre_norm",
        _residual("pre"),
        ("f32[batch, 6]",),
        "y = x + f(norm(x))",
        "Xiong et al. (2020)",
        "nn/rc PreNorm",
    ),
    Entry(
        "post_norm",
        _residual("post"),
        ("f32[batch, 6]",),
        "y = norm(x + f(x))",
        "Vaswani et al. (2017)",
        "nn/rc PostNorm",
    ),
    Entry(
        "rezero",
        _residual("rezero"),
        ("f32[batch, 6]",),
        "y = x + a f(x)",
        "Bachlechner et al. (2020)",
        "nn/rc ReZero",
    ),
    Entry(
        "flatten",
        lambda key: nn.Flatten.init(2),
        ("f32[batch, 2, 3]", "f32[batch, 4, 1]"),
        "y = [x_1's rows; x_2's rows; ...]",
        spago="nn/flatten",
        trains=False,
    ),
    Entry(
        "max_pooling2d",
        lambda key: nn.MaxPooling2d.init(2, 4),
        ("f32[batch, 2, height, width]",),
        "y_ij = max of the window at (i, j)",
        spago="nn/pooling",
        trains=False,
    ),
    Entry(
        "convolution2d",
        lambda key: nn.Convolution2d.init(key, 3, 4, (2, 3), strides=(2, 1), mask=(True, False, True)),
        ("f32[batch, 3, height, width]",),
        "y[o, i, j] = b[o] + sum_(c, k, l) W[o, c, k, l] x[c, i s_1 + k, j s_2 + l]",
        "LeCun et al. (1989)",
        "nn/convolution",
    ),
    Entry(
        "depthwise_convolution2d",
        lambda key: nn.Convolution2d.init(key, 3, 3, (3, 3), padding="same", groups=3),
        ("f32[batch, 3, height, width]",),
        "y[c, i, j] = b[c] + sum_(k, l) W[c, k, l] x[c, i + k - 1, j + l - 1]",
        "Chollet (2017)",
        "nn/convolution2d DepthWise",
    ),
    Entry(
        "depthwise_convolution1d",
        lambda key: nn.Convolution1d.init(key, 6, 6, 3, groups=6),
        ("f32[batch, time, 6]",),
        "y_t[c] = b[c] + sum_k W[c, k] x_(t + k - 1)[c]",
        "Chollet (2017)",
        "nn/convolution1d DepthWise",
        lengths=True,
    ),
    Entry(
        "convolution1x1",
        lambda key: nn.Convolution1x1.init(key, 3, 4),
        ("f32[batch, 3, 6]",),
        "y[o] = sum_i W[o, i] x[i] + b[o]",
        "Lin et al. (2013)",
        "nn/conv1x1",
    ),
    Entry(
        "squared_distance",
        lambda key: nn.SquaredDistance.init(key, 6, 3),
        ("f32[batch, 6]",),
        "y = |B x|^2",
        "Hewitt and Manning (2019)",
        "nn/sqrdist",
    ),
    Entry(
        "broad_learning",
        lambda key: nn.BroadLearning.init(
            key, 6, 4, groups=2, size=3, enhancement=5, feature_activation="tanh", feature_dropout=0.5
        ),
        ("f32[batch, 6]",),
        "y = f_o(W [z; h] + b), z = f_z(W_z x + b_z), h = f_h(W_h z + b_h)",
        "Chen and Liu (2018)",
        "nn/bls",
        random=True,
    ),
    Entry(
        "recursive_encoder",
        lambda key: nn.RecursiveEncoder.init(key, 4, 6, max_length=8),
        ("f32[batch, time, 4]",),
        "y_i = merge([y_i; y_(i+1)] + p_r) for r = 1, 2, ... until one is left",
        "Pollack (1990)",
        "nn/rae Encoder",
        lengths=True,
    ),
    Entry(
        "recursive_decoder",
        lambda key: nn.RecursiveDecoder.init(key, 6, 4, max_length=8),
        ("f32[batch, 6]",),
        "[a_i; b_i] = split(y_i + p_r), y_i = join((b_(i-1) + a_i) / 2) for r = n - 1, ..., 1",
        "Pollack (1990)",
        "nn/rae Decoder",
        call=lambda model, x, **options: model(x, 5, **options),
    ),
    Entry(
        "spatial_gating_unit",
        lambda key: nn.SpatialGatingUnit.init(key, 6, 5, activation="tanh", scale=1.0),
        ("f32[batch, 5, 6]",),
        "y = r f(P norm(g)), [r; g] = x",
        "Liu et al. (2021)",
        "nn/sgu",
    ),
    Entry(
        "gated_mlp",
        lambda key: nn.GatedMLP.init(key, 4, 5, 2, expansion=2),
        ("f32[batch, time, 4]",),
        "x = x + W_2 SGU(gelu(W_1 norm(x) + b_1)) + b_2, some times",
        "Liu et al. (2021)",
        "nn/gmlp",
        lengths=True,
    ),
    Entry(
        "mixer_block",
        lambda key: nn.MixerBlock.init(key, 4, 5, token_hidden=6, channel_hidden=8),
        ("f32[batch, 5, 4]",),
        "x = x + mlp_1(norm(x)')', y = x + mlp_2(norm(x))",
        "Tolstikhin et al. (2021)",
        "nn/mlpmixer",
    ),
)
