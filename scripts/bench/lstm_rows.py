# SPDX-License-Identifier: BSD-2-Clause
"""One LSTM layer, forward and with all gradients, and training of a character language model."""

import functools

import jax
import jax.numpy as jnp
import optax
import torch

from bench.device import host
from bench.parallel import split_forward, split_gradient
from spago_jax.nn import LSTM, Embedding, Linear
from spago_jax.ops.losses import cross_entropy

DTYPES = {"fp32": (jnp.float32, torch.float32), "bf16": (jnp.bfloat16, torch.bfloat16)}


def layer(precision: str, train: bool):
    """LSTM 256, batch 32, 64 steps."""
    ours, theirs = DTYPES[precision]
    torch.manual_seed(0)
    x = torch.randn(32, 64, 256).to(theirs).requires_grad_(train)
    module = torch.nn.LSTM(256, 256, batch_first=True).to(theirs)

    def torch_forward():
        with torch.no_grad():
            return module(x)[0]

    def torch_train():
        module.zero_grad()
        x.grad = None
        module(x)[0].float().square().sum().backward()

    model = jax.tree.map(lambda leaf: leaf.astype(ours), LSTM.init(jax.random.key(0), 256, 256))
    xs = jnp.asarray(host(x), ours)
    forward = jax.jit(split_forward(lambda model, xs: model(xs)[0], 1))
    grads = jax.jit(jax.grad(lambda m, x: jnp.sum(jnp.square(m(x)[0].astype(jnp.float32))), (0, 1)))
    function = grads if train else forward
    return {
        "PyTorch": torch_train if train else torch_forward,
        "ours": lambda: jax.block_until_ready(function(model, xs)),
    }


VOCABULARY, HIDDEN, EMBEDDING, STREAMS, STEPS = 100, 512, 64, 32, 128


def character_lm(precision: str):
    """LSTM 512, embedding 64, 100 characters, 128 steps of 32 streams, Adam; compute in the precision, weights fp32."""
    ours, theirs = DTYPES[precision]
    torch.manual_seed(0)
    ids = torch.randint(0, VOCABULARY, (STREAMS, STEPS + 1))
    parts = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(VOCABULARY, EMBEDDING),
            "lstm": torch.nn.LSTM(EMBEDDING, HIDDEN, batch_first=True),
            "decoder": torch.nn.Linear(HIDDEN, VOCABULARY),
        }
    )
    optimizer = torch.optim.Adam(parts.parameters(), lr=1e-3, fused=True)

    def torch_step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=theirs is torch.bfloat16):
            logits = parts["decoder"](parts["lstm"](parts["embedding"](ids[:, :-1]))[0])
        loss = torch.nn.functional.cross_entropy(logits.float().reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()

    keys = jax.random.split(jax.random.key(0), 3)
    model = (
        Embedding.init(keys[0], VOCABULARY, EMBEDDING),
        LSTM.init(keys[1], EMBEDDING, HIDDEN),
        Linear.init(keys[2], HIDDEN, VOCABULARY),
    )
    adam = optax.adam(1e-3)
    tokens = jnp.asarray(ids.cpu().numpy())

    def loss(model, tokens):
        embedding, lstm, decoder = jax.tree.map(lambda leaf: leaf.astype(ours), model)
        ys, _ = lstm(embedding(tokens[:, :-1]))
        return jnp.mean(cross_entropy(decoder(ys), tokens[:, 1:]))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(model, state, tokens):
        updates, state = adam.update(split_gradient(jax.grad(loss), 1)(model, tokens), state)
        return optax.apply_updates(model, updates), state

    holder = [(model, adam.init(model))]

    def jax_step():
        holder[0] = jax.block_until_ready(step(*holder[0], tokens))

    return {"PyTorch": torch_step, "ours": jax_step}
