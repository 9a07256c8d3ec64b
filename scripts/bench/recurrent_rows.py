# SPDX-License-Identifier: BSD-2-Clause
"""Each recurrent cell: 256 units, batch 32, 64 steps, forward and with all gradients.

The peer is PyTorch where it has the cell, and for all a loop over single examples: the same program, compiled for one
example and called 32 times, which is how spaGO computes.
"""

import jax
import jax.numpy as jnp
import torch

from bench.device import host, peers
from bench.measure import interleave
from bench.parallel import split_forward
from spago_jax.nn.recurrent.birnn import CELLS

BATCH, TIME, UNITS = 32, 64, 256
TORCH = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "srn": torch.nn.RNN}
OPTIONS = {"gru": {"reset_after": True}, "nru": {"heads": 4}}  # PyTorch's GRU; NRU: 256 * 4 is a square


def recurrent(name: str, train: bool):
    """One cell beside its peers."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, TIME, UNITS)
    xs = jnp.asarray(host(x))
    model = CELLS[name].init(jax.random.key(0), UNITS, UNITS, **OPTIONS.get(name, {}))

    def forward(model, xs):
        return model(xs)[0]

    def loss(model, xs):
        return jnp.sum(jnp.square(model(xs)[0]))

    gradient = jax.grad(loss, (0, 1))
    one = jax.jit(gradient if train else forward)
    whole = jax.jit(gradient if train else split_forward(forward, 1))
    add = jax.jit(lambda a, b: jax.tree.map(jnp.add, a, b))

    def loop():
        total = None
        for row in range(BATCH):
            result = one(model, xs[row])
            if train:
                total = result[0] if total is None else add(total, result[0])
        jax.block_until_ready((result, total))

    work = {"loop over single examples": loop}
    if name in TORCH:
        work["PyTorch"] = _torch(TORCH[name](UNITS, UNITS, batch_first=True), x, train)
    work["ours"] = lambda: jax.block_until_ready(whole(model, xs))
    return work


def _torch(module: torch.nn.Module, x: torch.Tensor, train: bool):
    x = x.clone().requires_grad_(train)

    def forward():
        with torch.no_grad():
            module(x)

    def gradient():
        module.zero_grad()
        x.grad = None
        module(x)[0].square().sum().backward()

    return gradient if train else forward


def token_table(names: list[str], *, rounds: int, clock):
    """Lines of a table in tokens a second, each when it is made; our LSTM takes turns with each cell."""
    yield "| cell | work | ours | loop over examples | PyTorch | ours / loop | ours / PyTorch | time / our LSTM's |"
    yield "|---|---|---|---|---|---|---|---|"
    lstm = {train: recurrent("lstm", train)["ours"] for train in (False, True)}
    for name in names:
        for train in (False, True):
            work = {**peers(recurrent(name, train)), "our LSTM": lstm[train]}
            times = interleave(work, rounds=rounds, warmup=1, clock=clock)
            seconds = {peer: found.median for peer, found in times.items()}
            ours, loop, theirs = seconds["ours"], seconds["loop over single examples"], seconds.get("PyTorch")
            rate = lambda s: "-" if s is None else f"{BATCH * TIME / s:,.0f}"  # noqa: E731
            yield (
                f"| {CELLS[name].__name__} | {'training' if train else 'forward'} | {rate(ours)} | {rate(loop)} | "
                f"{rate(theirs)} | {loop / ours:.1f} | {'-' if theirs is None else f'{theirs / ours:.2f}'} | "
                f"**{ours / seconds['our LSTM']:.1f}** |"
            )


# For the table of scripts/bench.py: {"cell-cfn-forward": (title, make), ...}
ROWS = {
    f"cell-{name}-{'train' if train else 'forward'}": (
        f"{CELLS[name].__name__} 256, 32 x 64, {'all gradients' if train else 'forward'}, fp32",
        lambda name=name, train=train: recurrent(name, train),
    )
    for name in sorted(CELLS)
    for train in (False, True)
}
