# SPDX-License-Identifier: BSD-2-Clause
"""Losses and their gradients with and without ``stabilize``, compiled, in turns: the repaired must not be slower.

.venv/bin/python scripts/bench/stabilization_rows.py [--rounds N]
"""

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from bench.measure import interleave  # noqa: E402
from spago_jax.compiler.rewrite import stabilized  # noqa: E402


def softmax_loss(w, x, labels):
    """Negative log-likelihood of a linear layer, 512 x 256 -> 1,000 classes."""
    p = jax.nn.softmax(x @ w)
    return -jnp.log(jnp.take_along_axis(p, labels[:, None], 1)).mean()


def attention_loss(w, x, labels):
    """Causal attention, softmax written by hand, 256 tokens of 256 numbers."""
    x = x[:256]
    scores = (x @ w[:, :256]) @ x.T / 160
    powers = jnp.exp(jnp.where(jnp.tril(jnp.ones(scores.shape, bool)), scores, -1e9))
    return ((powers / powers.sum(-1, keepdims=True)) @ x).mean()


def binary_loss(w, x, labels):
    """Binary cross-entropy of 512 x 1,000 logits by log(sigmoid) and log(1 - sigmoid)."""
    p = jax.nn.sigmoid(x @ w)
    t = (labels[:, None] == jnp.arange(w.shape[1])) * 1.0
    return -(t * jnp.log(p) + (1 - t) * jnp.log(1 - p)).mean()


def gated_loss(w, x, labels):
    """Gates as of a GRU: z h + (1 - z) n."""
    h = x @ w
    z = jax.nn.sigmoid(h)
    return ((1 - z) * jnp.tanh(h) + z * h).mean()


def norm_loss(w, x, labels):
    """Cosine similarity of normalised rows."""
    rows = x @ w
    unit = rows / jnp.sqrt(jnp.sum(rows**2, -1, keepdims=True))
    return (unit @ unit.T).mean()


def inference(w, x, labels):
    """Log-probabilities alone, without a gradient."""
    return jnp.log(jax.nn.softmax(x @ w)).sum()


ROWS = {
    "softmax-loss": (softmax_loss, True),
    "attention": (attention_loss, True),
    "binary-loss": (binary_loss, True),
    "gates": (gated_loss, True),
    "norms": (norm_loss, True),
    "log-probabilities": (inference, False),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    keys = jax.random.split(jax.random.key(0), 3)
    w = jax.random.normal(keys[0], (256, 1000)) / 16
    x, labels = jax.random.normal(keys[1], (512, 256)), jax.random.randint(keys[2], (512,), 0, 1000)
    print("| work | as written, ms | stabilised, ms | ratio | ratio of the fastest rounds |\n|---|---|---|---|---|")
    for name, (loss, gradient) in ROWS.items():
        both = {}
        for form, function in (("written", loss), ("stabilised", stabilized(loss))):
            compiled = jax.jit(jax.value_and_grad(function) if gradient else function)
            both[form] = lambda compiled=compiled: jax.block_until_ready(compiled(w, x, labels))
        times = interleave(both, rounds=rounds, warmup=3)
        a, b = times["written"], times["stabilised"]
        print(
            f"| {name} | {1e3 * a.median:.2f} | {1e3 * b.median:.2f} | **{b.median / a.median:.2f}** | "
            f"{b.best / a.best:.2f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
