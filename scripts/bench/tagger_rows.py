# SPDX-License-Identifier: BSD-2-Clause
"""A BiLSTM-CRF tagger: training and inference on batches with the lengths of WNUT-17."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from bench.corpus import BATCH, length_batches
from bench.parallel import split_forward, split_gradient
from spago_jax.nn import CRF, BiRNN, Linear

INPUT, HIDDEN, TAGS, BATCHES, BUCKET = 100, 256, 13, 8, 4
DTYPES = {"fp32": (jnp.float32, torch.float32), "bf16": (jnp.bfloat16, torch.bfloat16)}


class TorchTagger(torch.nn.Module):
    """Its linear-chain CRF takes one logsumexp (or max) over [batch, tags, tags] a step."""

    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.LSTM(INPUT, HIDDEN, batch_first=True, bidirectional=True)
        self.scorer = torch.nn.Linear(2 * HIDDEN, TAGS)
        self.start = torch.nn.Parameter(torch.randn(TAGS) * 0.1)
        self.follow = torch.nn.Parameter(torch.randn(TAGS, TAGS) * 0.1)
        self.end = torch.nn.Parameter(torch.randn(TAGS) * 0.1)

    def emissions(self, x, lengths, packed):
        if packed:
            seq = torch.nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(self.rnn(seq)[0], batch_first=True)
        else:
            y, _ = self.rnn(x)
        return self.scorer(y).float()

    def negative_log_likelihood(self, x, tags, lengths, mask, packed):
        e = self.emissions(x, lengths, packed)
        alpha = self.start + e[:, 0]
        for t in range(1, e.shape[1]):
            new = torch.logsumexp(alpha[:, :, None] + self.follow, 1) + e[:, t]
            alpha = torch.where(mask[:, t, None], new, alpha)
        total = torch.logsumexp(alpha + self.end, 1)
        score = (e.gather(2, tags[:, :, None])[:, :, 0] * mask).sum(1) + self.start[tags[:, 0]]
        score = score + (self.follow[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)
        score = score + self.end[tags.gather(1, lengths[:, None] - 1)[:, 0]]
        return (total - score).mean()

    def decode(self, x, lengths, mask, packed):
        e = self.emissions(x, lengths, packed)
        best, pointers = self.start + e[:, 0], []
        for t in range(1, e.shape[1]):
            high, pointer = (best[:, :, None] + self.follow).max(1)
            best = torch.where(mask[:, t, None], high + e[:, t], best)
            pointers.append(torch.where(mask[:, t, None], pointer, torch.arange(TAGS)))
        tag = (best + self.end).argmax(1)
        path = [tag]
        for pointer in reversed(pointers):
            tag = pointer.gather(1, tag[:, None])[:, 0]
            path.append(tag)
        return torch.stack(path[::-1], 1)


def batches():
    """Float32 inputs, tags and lengths; ours are padded to a multiple of 4 steps, theirs to the longest."""
    rng = np.random.default_rng(0)
    for lengths in length_batches(BATCHES):
        lengths = rng.permutation(lengths)
        longest = int(lengths.max())
        padded = -(-longest // BUCKET) * BUCKET
        x = rng.normal(size=(BATCH, padded, INPUT)).astype(np.float32)
        yield x, rng.integers(0, TAGS, (BATCH, padded)), lengths, longest


def tagger(precision: str, train: bool):
    """The time is that of 8 batches of 32 sentences."""
    ours, theirs = DTYPES[precision]
    torch.manual_seed(0)
    model = TorchTagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    data = list(batches())
    torch_data = []
    for x, tags, lengths, longest in data:
        size = torch.tensor(lengths)
        torch_data.append(
            (torch.tensor(x[:, :longest]), torch.tensor(tags[:, :longest]), size, torch.arange(longest) < size[:, None])
        )

    def torch_run(packed: bool):
        for x, tags, lengths, mask in torch_data:
            with torch.autocast(model.start.device.type, torch.bfloat16, enabled=theirs is torch.bfloat16):
                if train:
                    optimizer.zero_grad(set_to_none=True)
                    loss = model.negative_log_likelihood(x, tags, lengths, mask, packed)
                else:
                    with torch.no_grad():
                        model.decode(x, lengths, mask, packed)
            if train:
                loss.backward()
                optimizer.step()

    keys = jax.random.split(jax.random.key(0), 3)
    parts = (
        BiRNN.init(keys[0], INPUT, HIDDEN),
        Linear.init(keys[1], 2 * HIDDEN, TAGS),
        CRF.init(keys[2], TAGS),
    )
    adam = optax.adam(1e-3)
    jax_data = [tuple(jnp.asarray(part) for part in item[:3]) for item in data]

    def emissions(parts, x, lengths):
        rnn, scorer = jax.tree.map(lambda leaf: leaf.astype(ours), parts[:2])
        return scorer(rnn(x.astype(ours), lengths)[0])

    def loss(parts, x, tags, lengths):
        return -jnp.mean(parts[2].log_likelihood(emissions(parts, x, lengths), tags, lengths))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(parts, state, x, tags, lengths):
        updates, state = adam.update(split_gradient(jax.grad(loss), 3)(parts, x, tags, lengths), state)
        return optax.apply_updates(parts, updates), state

    @jax.jit
    def decode(parts, x, lengths):
        def one(parts, x, lengths):
            return parts[2](emissions(parts, x, lengths), lengths)

        return split_forward(one, 2)(parts, x, lengths)

    holder = [(parts, adam.init(parts))]

    def jax_run():
        if train:
            for item in jax_data:
                holder[0] = step(*holder[0], *item)
            jax.block_until_ready(holder[0])
        else:
            jax.block_until_ready([decode(parts, x, lengths) for x, _, lengths in jax_data])

    return {"PyTorch": lambda: torch_run(False), "torch packed": lambda: torch_run(True), "ours": jax_run}
