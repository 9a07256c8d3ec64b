# SPDX-License-Identifier: BSD-2-Clause
"""Flows beside the same networks written by hand in JAX, and beside PyTorch, eager and compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from spago_jax import flow
from spago_jax.core import Array, Module
from spago_jax.nn import Linear

ROWS_IN_BATCH, FEATURES = 32, 256
X = np.random.default_rng(0).normal(size=(ROWS_IN_BATCH, FEATURES)).astype(np.float32)


def _block():
    return flow.start(flow.linear(FEATURES)).through(jnp.tanh)


class _Counting(Module):
    """``tanh(W x + b)``, and a count of the iterations in the last feature."""

    linear: Linear

    def __call__(self, state: Array) -> Array:
        return jnp.concatenate([jnp.tanh(self.linear(state[:, :-1])), state[:, -1:] + 1], axis=1)


def _by_hand(parts, x):
    """The network of ``against_jax`` as one would write it without the builder."""
    (enter, norm, residual, body, router, experts, leave) = parts
    h = norm(jax.nn.gelu(enter(x)))
    h = h + residual(h)
    h = jax.lax.fori_loop(0, 4, lambda i, h: jnp.tanh(body(h)), h)
    weights = jax.nn.softmax(router(h))
    return leave(sum(weights[..., i : i + 1] * expert(h) for i, expert in enumerate(experts)))


def against_jax():
    """A flow of every common step, forward, 20 calls, beside the same network by hand."""
    net = (
        flow.start(flow.linear(FEATURES))
        .through(jax.nn.gelu)
        .through(flow.layer_norm())
        .also(flow.linear(FEATURES))
        .loop(_block())
        .times(4)
        .gate(flow.softmax_router(4), flow.copies(flow.linear(FEATURES), 4))
        .through(flow.linear(16))
        .build(jax.random.key(0), X)
    )
    made = net.layers
    gate = made["gate"]
    parts = (
        made["linear"],
        made["layer_norm"],
        made["linear_2"],
        made["loop"]["body"].layers["linear"],
        gate["router"].linear,
        [gate[f"expert_{i}"] for i in range(4)],
        made["linear_3"],
    )
    ours, theirs = jax.jit(lambda net, x: net(x)), jax.jit(_by_hand)
    np.testing.assert_allclose(ours(net, X), theirs(parts, X), rtol=1e-4, atol=1e-5)
    return {"JAX by hand": _repeat(theirs, parts), "ours": _repeat(ours, net)}


def _repeat(function, model, calls=20):
    def run():
        for _ in range(calls):
            out = function(model, X)
        jax.block_until_ready(out)

    return run


def _torch_linear(layer):
    made = torch.nn.Linear(layer.weight.shape[1], layer.weight.shape[0])
    with torch.no_grad():
        made.weight.copy_(torch.tensor(np.asarray(layer.weight)))
        made.bias.copy_(torch.tensor(np.asarray(layer.bias)))
    return made


def _pair(net, module, call):
    """Forward and all gradients of the sum, both sides; PyTorch's compiled form where it compiles here."""
    step = jax.jit(jax.value_and_grad(lambda net, x: net(x).sum()))
    tensor = torch.tensor(X)

    def ours():
        jax.block_until_ready(step(net, X))

    def eager(function=call):
        module.zero_grad()
        loss = function(module, tensor).sum()
        loss.backward()
        return float(loss.detach())

    assert np.isclose(float(step(net, X)[0]), eager(), rtol=1e-3, atol=1e-2)
    work = {"PyTorch": eager, "ours": ours}
    try:
        compiled = torch.compile(call)
        eager(compiled)
        work["torch.compile"] = lambda: eager(compiled)
    except Exception as error:  # no C++ compiler, say: the row then stands beside eager PyTorch alone
        print(f"torch.compile: {type(error).__name__}; compared with eager PyTorch")
    return work


def loop():
    """30 iterations of a refinement block, forward and gradients."""
    net = flow.start().loop(_block()).times(30).build(jax.random.key(0), X)
    module = _torch_linear(net.layers["loop"]["body"].layers["linear"])

    def call(module, x):
        for _ in range(30):
            x = torch.tanh(module(x))
        return x

    return _pair(net, module, call)


def adaptive():
    """A loop that halts after 12 of at most 30 iterations, by its data, forward and gradients."""
    net = (
        flow.start(lambda x: jnp.concatenate([x, jnp.zeros((len(x), 1), x.dtype)], axis=1))
        .loop(_Counting(Linear.init(jax.random.key(0), FEATURES, FEATURES)))
        .until(lambda state: state[0, -1] - 11.5, 30)
        .through(lambda x: x[:, :-1])
        .build(jax.random.key(0), X)
    )
    module = _torch_linear(net.layers["loop"]["body"].linear)

    def call(module, x):
        count = torch.zeros(())
        while True:
            x = torch.tanh(module(x))
            count = count + 1
            if count > 11.5:
                return x

    return _pair(net, module, call)


def gate():
    """8 experts of 256 x 256, weighed by a router, forward and gradients."""
    net = flow.start().gate(flow.softmax_router(8), flow.copies(flow.linear(FEATURES), 8)).build(jax.random.key(0), X)
    layers = net.layers["gate"]
    module = torch.nn.ModuleList(
        [_torch_linear(layers["router"].linear), *(_torch_linear(layers[f"expert_{i}"]) for i in range(8))]
    )

    def call(module, x):
        weights = torch.softmax(module[0](x), -1)
        return sum(weights[:, i : i + 1] * module[i + 1](x) for i in range(8))

    return _pair(net, module, call)


FLOW_ROWS = {
    "flow": ("a flow of 7 steps (256 units, batch 32), forward, 20 calls, fp32", against_jax),
    "flow-loop": ("flow: 30 iterations of a block of 256 units, batch 32, all gradients, fp32", loop),
    "flow-until": ("flow: a loop that halts after 12 of 30 iterations, all gradients, fp32", adaptive),
    "flow-gate": ("flow: 8 experts of 256 units, batch 32, all gradients, fp32", gate),
}
