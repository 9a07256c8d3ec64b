# SPDX-License-Identifier: BSD-2-Clause
"""Encoders of random weights: this library beside PyTorch, ONNX Runtime and CTranslate2."""

import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.encoder_ours import our_runners, our_step
from bench.encoder_peers import Batches, Runner, peer_runners, torch_model
from bench.measure import Times, interleave

BERT_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
RAGGED = np.random.default_rng(0).permutation(np.linspace(8, 128, 32).astype(int)).tolist()
PRECISIONS = ("fp32", "bf16", "int8")


@dataclasses.dataclass(frozen=True)
class Shape:
    """The work of a column: texts of some lengths through an encoder of some sizes."""

    title: str
    sizes: dict[str, int]
    lengths: list[int]


SHAPES = {
    "bert-1x16": Shape("BERT-base 1 x 16", BERT_BASE, [16]),
    "bert-1x128": Shape("BERT-base 1 x 128", BERT_BASE, [128]),
    "bert-8x128": Shape("BERT-base 8 x 128", BERT_BASE, [128] * 8),
    "bert-ragged": Shape("BERT-base ragged 32 x (8 to 128)", BERT_BASE, RAGGED),
    "minilm-32x64": Shape("MiniLM 32 x 64", MINILM, [64] * 32),
    "minilm-ragged": Shape("MiniLM ragged 32 x (8 to 128)", MINILM, RAGGED),
}
STEPS = {
    "step-minilm": ("MiniLM 16 x 64, a training step", MINILM, (16, 64)),
    "step-bert": ("BERT-base 8 x 64, a training step", BERT_BASE, (8, 64)),
}
SMOKE = {
    "smoke": Shape("tiny 2 x 16", TINY, [16, 16]),
    "smoke-ragged": Shape("tiny ragged 4 x (3 to 9)", TINY, [3, 9, 5, 8]),
}
SMOKE_STEPS = {"smoke-step": ("tiny 2 x 8, a training step", TINY, (2, 8))}
ENCODER_ROWS = (*SHAPES, *STEPS)


def encoder_table(
    names: list[str], *, rounds: int, clock: Callable[[], float], short: bool, compiled: bool
) -> Iterator[str]:
    """Yields the lines of the tables; ``short`` runs tiny models alone, to see that everything runs,
    and ``compiled`` adds ``torch.compile``, where it takes less than a minute."""
    shapes, steps = (SMOKE, SMOKE_STEPS) if short else (SHAPES, STEPS)
    chosen = {name: shape for name, shape in shapes.items() if short or name in names}
    for sizes in {tuple(shape.sizes.items()) for shape in chosen.values()}:
        own = [shape for shape in chosen.values() if tuple(shape.sizes.items()) == sizes]
        yield from _forward(dict(sizes), own, rounds, clock, compiled=compiled)
    rows = [step for name, step in steps.items() if short or name in names]
    if rows:
        yield "| training step | its median | our median | ratio | ratio of the fastest rounds |"
        yield "|---|---|---|---|---|"
        for title, sizes, shape in rows:
            times = interleave(_steps(sizes, *shape), rounds=rounds, clock=clock)
            for precision in ("fp32", "bf16"):
                theirs, ours = times[f"PyTorch {precision}"], times[f"ours {precision}"]
                yield (
                    f"| {title}, {precision} | {1e3 * theirs.median:.1f} | {1e3 * ours.median:.1f} | "
                    f"**{ours.median / theirs.median:.2f}** | {ours.best / theirs.best:.2f} |"
                )


def _forward(
    sizes: dict[str, int], shapes: list[Shape], rounds: int, clock: Callable[[], float], *, compiled: bool
) -> Iterator[str]:
    model = torch_model(sizes)
    with tempfile.TemporaryDirectory() as folder:
        peers = dict(peer_runners(model, Path(folder), compiled=compiled))
        ours = our_runners(model, Path(folder))
        columns: dict[str, dict[str, Times]] = {}
        for shape in shapes:
            columns[shape.title] = _timed(shape, peers, ours, rounds, clock)
            found = ", ".join(f"{name} {1e3 * t.median:.1f}" for name, t in columns[shape.title].items())
            print(f"{shape.title}: {found} ms", file=sys.stderr, flush=True)
    yield f"| runner | {' | '.join(columns)} |"
    yield "|---|" + "---|" * len(columns)
    for name in (*peers, *ours):
        cells = (
            f"{1e3 * times[name].median:.1f} ({times[name].median / times['PyTorch fp32'].median:.2f})"
            if name in times
            else "-"
            for times in columns.values()
        )
        yield f"| {name} | {' | '.join(cells)} |"
    for precision in (*PRECISIONS, ""):
        title = precision or "any precision"
        yield f"| **ours / the best peer, {title}** | {' | '.join(_lead(c, precision) for c in columns.values())} |"
    yield ""


def _lead(times: Mapping[str, Times], precision: str) -> str:
    ours = [value.median for name, value in times.items() if name.startswith("ours") and name.endswith(precision)]
    peers = {
        name: value.median for name, value in times.items() if not name.startswith("ours") and name.endswith(precision)
    }
    if not ours or not peers:
        return "-"
    best = min(peers, key=peers.__getitem__)
    return f"**{min(ours) / peers[best]:.2f}** ({best})"


def _timed(
    shape: Shape, peers: Mapping[str, Runner], ours: Mapping[str, Any], rounds: int, clock: Callable[[], float]
) -> dict[str, Times]:
    rng = np.random.default_rng(0)
    texts = [rng.integers(5, 1000, length) for length in shape.lengths]
    batches = sorted_batches(texts, 8 if len(set(shape.lengths)) > 1 else len(texts))
    work = {name: lambda run=run: run(batches) for name, run in peers.items()}
    work |= {name: lambda run=run: run(texts) for name, run in ours.items()}
    expected: list[np.ndarray] | None = None
    for name in list(work):
        try:
            found = work[name]()
        except Exception as error:  # a peer that cannot run here is left out, with its reason
            print(f"{name} is left out: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
            del work[name]
            continue
        if name in peers:
            rows = [np.asarray(_array(part))[i, :n] for part, (_, ns) in zip(found, batches, strict=True)
                    for i, n in enumerate(ns.tolist())]  # fmt: skip
            order = np.argsort(shape.lengths, kind="stable")
            found = [rows[place] for place in np.argsort(order)]
        expected = expected or found
        _agree(name, found, expected)
    return interleave(work, rounds=rounds, clock=clock)


def sorted_batches(texts: list[np.ndarray], size: int) -> Batches:
    """Returns texts in batches of like lengths, each padded to its own longest: what a careful user of a peer does."""
    ordered = sorted(texts, key=len)
    found = []
    for at in range(0, len(ordered), size):
        rows = ordered[at : at + size]
        lengths = np.array([len(row) for row in rows])
        ids = np.zeros((len(rows), lengths.max()), np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        found.append((ids, lengths))
    return found


def _array(value: Any) -> Any:
    return value.float().numpy() if isinstance(value, torch.Tensor) else value


def _agree(name: str, found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Stops where a runner computes something else: a fast wrong answer is worth nothing."""
    cosines = [
        float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))
        for a, b in zip((np.asarray(x, np.float64) for x in found), expected, strict=True)
    ]
    if statistics.mean(cosines) < 0.9:
        raise SystemExit(f"{name} computes something else: the cosine to the first runner is {min(cosines):.3f}")


def _steps(sizes: dict[str, int], rows: int, time: int) -> dict[str, Callable[[], object]]:
    model = torch_model(sizes)
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(5, 1000, (rows, time)), rng.integers(0, 2, rows)
    found: dict[str, Callable[[], object]] = {}
    for precision, dtype in (("fp32", None), ("bf16", torch.bfloat16)):
        found[f"PyTorch {precision}"] = _torch_step(sizes, ids, labels, dtype)
        found[f"ours {precision}"] = our_step(model, ids, labels, precision)
    return found


def _torch_step(sizes: dict[str, int], ids: np.ndarray, labels: np.ndarray, dtype: torch.dtype | None):
    encoder = torch_model(sizes).train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # neither side draws random numbers
    encoder.config.attention_probs_dropout_prob = 0.0
    head = torch.nn.Linear(encoder.config.hidden_size, 2)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
    given, targets = torch.from_numpy(ids), torch.from_numpy(labels)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            logits = head(encoder(input_ids=given).last_hidden_state[:, 0])
        loss = torch.nn.functional.cross_entropy(logits.float(), targets)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step
