# SPDX-License-Identifier: BSD-2-Clause
"""Attention and convolution layers beside PyTorch's: forward, and with all gradients."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch

from bench.device import host
from bench.lstm_rows import DTYPES
from bench.parallel import split_forward
from spago_jax.nn import Convolution1d, Convolution2d, LayerNorm, LinearAttention, MultiHeadAttention


def _pair(precision: str, train: bool, shape: tuple[int, ...], module: Callable, parameters, model):
    """The same layer twice on the same numbers; ``module`` maps a tensor to a tensor."""
    ours, theirs = DTYPES[precision]
    torch.manual_seed(0)
    x = torch.randn(*shape).to(theirs).requires_grad_(train)

    def torch_forward():
        with torch.no_grad():
            return module(x)

    def torch_train():
        for parameter in parameters:
            parameter.grad = None
        x.grad = None
        module(x).float().square().sum().backward()

    model = jax.tree.map(lambda leaf: leaf.astype(ours), model)
    xs = jnp.asarray(host(x), ours)
    forward = jax.jit(split_forward(lambda model, xs: model(xs), 1))
    grads = jax.jit(jax.grad(lambda model, xs: jnp.sum(jnp.square(model(xs).astype(jnp.float32))), (0, 1)))
    function = grads if train else forward
    return {
        "PyTorch": torch_train if train else torch_forward,
        "ours": lambda: jax.block_until_ready(function(model, xs)),
    }


def attention(precision: str, train: bool, causal: bool = False):
    """Multi-head attention 256, 8 heads, batch 16, 128 steps."""
    module = torch.nn.MultiheadAttention(256, 8, batch_first=True).to(DTYPES[precision][1])
    mask = torch.nn.Transformer.generate_square_subsequent_mask(128, dtype=DTYPES[precision][1]) if causal else None

    def run(x):
        return module(x, x, x, attn_mask=mask, is_causal=causal, need_weights=False)[0]

    model = MultiHeadAttention.init(jax.random.key(0), 256, heads=8, causal=causal)
    return _pair(precision, train, (16, 128, 256), run, list(module.parameters()), model)


def linear_attention(precision: str, train: bool):
    """Linear attention 64, batch 16, 512 steps, beside the same equations in PyTorch."""
    layers = [torch.nn.Linear(64, 64).to(DTYPES[precision][1]) for _ in range(3)]

    def run(x):
        query, key, value = (layer(x) for layer in layers)
        query, key = torch.nn.functional.elu(query) + 1, torch.nn.functional.elu(key) + 1
        read = query @ (key.transpose(1, 2) @ value)
        return read / (query @ key.sum(dim=1)[..., None] + 1e-6)

    model = LinearAttention.init(jax.random.key(0), 64, key_features=64, out_features=64)
    return _pair(precision, train, (16, 512, 64), run, [p for layer in layers for p in layer.parameters()], model)


def convolution1d(precision: str, train: bool):
    """256 to 256 features, width 3, batch 32, 64 steps."""
    module = torch.nn.Conv1d(256, 256, 3, padding=1).to(DTYPES[precision][1])

    def run(x):
        return module(x.transpose(1, 2)).transpose(1, 2)

    model = Convolution1d.init(jax.random.key(0), 256, 256, 3)
    return _pair(precision, train, (32, 64, 256), run, list(module.parameters()), model)


def convolution2d(precision: str, train: bool):
    """32 to 64 channels, 3 x 3, batch 32, 28 x 28."""
    module = torch.nn.Conv2d(32, 64, 3, padding=1).to(DTYPES[precision][1])
    model = Convolution2d.init(jax.random.key(0), 32, 64, (3, 3), padding="same")
    return _pair(precision, train, (32, 32, 28, 28), module, list(module.parameters()), model)


def layer_norm(precision: str, train: bool):
    """256 features, batch 32, 128 steps."""
    module = torch.nn.LayerNorm(256).to(DTYPES[precision][1])
    return _pair(precision, train, (32, 128, 256), module, list(module.parameters()), LayerNorm.init(256))


LAYER_ROWS = {
    f"{name}-{'train' if train else 'forward'}-fp32": (
        f"{title}, {'all gradients' if train else 'forward'}, fp32",
        lambda make=make, train=train: make("fp32", train),
    )
    for name, title, make in (
        ("attention", "8 heads of 32, 16 x 128", attention),
        ("causal-attention", "causal, 8 heads of 32, 16 x 128", lambda p, t: attention(p, t, causal=True)),
        ("linear-attention", "linear attention 64, 16 x 512", linear_attention),
        ("convolution1d", "convolution 256, width 3, 32 x 64", convolution1d),
        ("convolution2d", "convolution 32 to 64, 3 x 3, 32 x 28 x 28", convolution2d),
        ("layer-norm", "layer norm 256, 32 x 128", layer_norm),
    )
    for train in (False, True)
}
