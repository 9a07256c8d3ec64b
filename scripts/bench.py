#!/usr/bin/env python
# SPDX-License-Identifier: BSD-2-Clause
"""This library beside PyTorch on the same work, in one run, interleaved; 2 threads each.

    .venv/bin/python scripts/bench.py [ROW ...] [--rounds N] [--devices 2] [--write docs/benchmarks.md]
    .venv/bin/python scripts/bench.py --device gpu [ROW ...]
    .venv/bin/python scripts/bench.py --cells [CELL ...] [--write docs/benchmarks.md]
    .venv/bin/python scripts/bench.py --encoders [ROW ...] [--short] [--write docs/benchmarks.md]
    .venv/bin/python scripts/bench.py --generation [ROW ...] [--short] [--write docs/benchmarks.md]
    .venv/bin/python scripts/bench.py --vectors [--words N] [--steps N] [--text]
    python scripts/bench.py --flair [--rounds N]

PyTorch waits passively (OMP_WAIT_POLICY), which keeps its threads from spinning through the turns of the others.
"""

import argparse
import itertools
import os
import platform
import sys
import time
from pathlib import Path

ONE_CORE = "--one-core" in sys.argv
ON_GPU = "--device=gpu" in sys.argv or ("--device", "gpu") in itertools.pairwise(sys.argv)
os.environ.setdefault("OMP_NUM_THREADS", "1" if ONE_CORE else "2")
if ONE_CORE:  # before XLA counts the cores
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if not ON_GPU:  # nor does a GPU that is there take the rows of the processor
    os.environ["JAX_PLATFORMS"] = "cpu"
if "--devices" in sys.argv[:-1]:  # XLA reads this when it starts, before the arguments can be parsed
    count = sys.argv[sys.argv.index("--devices") + 1]
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

if "--vectors" in sys.argv:  # rows on disk, without PyTorch
    from bench.vector_rows import main as vectors

    sys.exit(vectors(sys.argv[1:]))
if "--flair" in sys.argv:  # Flair's environment is its own
    from bench.flair_rows import main as flair

    sys.exit(flair(sys.argv[1:]))

import jax  # noqa: E402
import torch  # noqa: E402
from bench.device import peers, use_gpu  # noqa: E402
from bench.encoder_rows import ENCODER_ROWS, encoder_table  # noqa: E402
from bench.evolution_rows import evolution  # noqa: E402
from bench.flow_rows import FLOW_ROWS  # noqa: E402
from bench.generation_rows import GENERATION_ROWS, generation_table  # noqa: E402
from bench.layer_rows import LAYER_ROWS  # noqa: E402
from bench.lstm_rows import character_lm, layer  # noqa: E402
from bench.measure import interleave  # noqa: E402
from bench.mlp_rows import mlp  # noqa: E402
from bench.program_rows import dispatch, eager_chain, imports  # noqa: E402
from bench.recurrent_rows import ROWS as CELL_ROWS  # noqa: E402
from bench.recurrent_rows import token_table  # noqa: E402
from bench.tagger_rows import tagger  # noqa: E402
from bench.watch_rows import WATCH_ROWS  # noqa: E402
from bench.zero_shot_rows import ZERO_SHOT_ROWS  # noqa: E402

from spago_jax.nn.recurrent.birnn import CELLS  # noqa: E402

ROWS = {
    "lstm-forward-fp32": ("LSTM 256, 32 x 64, forward, fp32", lambda: layer("fp32", False)),
    "lstm-train-fp32": ("LSTM 256, 32 x 64, all gradients, fp32", lambda: layer("fp32", True)),
    "lstm-forward-bf16": ("LSTM 256, 32 x 64, forward, bf16", lambda: layer("bf16", False)),
    "lstm-train-bf16": ("LSTM 256, 32 x 64, all gradients, bf16", lambda: layer("bf16", True)),
    "tagger-train-fp32": ("BiLSTM-CRF 256, batch 32, training, fp32", lambda: tagger("fp32", True)),
    "tagger-infer-fp32": ("BiLSTM-CRF 256, batch 32, inference, fp32", lambda: tagger("fp32", False)),
    "tagger-train-bf16": ("BiLSTM-CRF 256, batch 32, training, bf16", lambda: tagger("bf16", True)),
    "tagger-infer-bf16": ("BiLSTM-CRF 256, batch 32, inference, bf16", lambda: tagger("bf16", False)),
    "charlm-train-fp32": ("character LM, LSTM 512, 128 x 32, training, fp32", lambda: character_lm("fp32")),
    "charlm-train-bf16": ("character LM, LSTM 512, 128 x 32, training, bf16", lambda: character_lm("bf16")),
    "evolution": ("differential evolution, 1,000 members of 9,997 numbers, 3 generations", evolution),
    "eager-100": ("100 eager operations, forward and backward", eager_chain),
    "dispatch-100": ("200 calls of a compiled Program with 100 arrays", dispatch),
    "import": ("a new process that imports the package", imports),
    "mlp-train-fp32": ("MLP 784-100-10, batch 32, Adam, 100 steps, fp32", mlp),
}
ROWS |= CELL_ROWS | LAYER_ROWS | FLOW_ROWS | WATCH_ROWS | ZERO_SHOT_ROWS
PARTS = (None, "cells", "encoders", "generation")
MARKS = {part: f"<!-- table: scripts/bench.py{f' --{part}' if part else ''} -->" for part in PARTS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help=f"which rows: {', '.join(ROWS)}; none: all")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where both sides run")
    parser.add_argument("--devices", type=int, default=1, help="split our batches over this many host devices")
    parser.add_argument(
        "--one-core", action="store_true", help="one thread each, processor time: hardly disturbed by a busy machine"
    )
    parser.add_argument("--cells", action="store_true", help="the recurrent cells in tokens a second; rows are cells")
    parser.add_argument("--encoders", action="store_true", help="pre-trained encoders beside other libraries' runs")
    parser.add_argument("--generation", action="store_true", help="texts of encoder-decoders and of a character model")
    parser.add_argument(
        "--short", action="store_true", help="with --encoders or --generation: tiny models, to see that all of it runs"
    )
    parser.add_argument("--compile", action="store_true", help="with --encoders: torch.compile too, slow")
    parser.add_argument("--write", type=Path, help="put the table into this page, after its marker")
    args = parser.parse_args()
    parts = {"encoders": ENCODER_ROWS, "generation": GENERATION_ROWS, "cells": sorted(CELLS)}
    part = next((name for name in parts if getattr(args, name)), None)
    known = list(ROWS if part is None else parts[part])
    unknown = [row for row in args.rows if row not in known]
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}; known: {', '.join(known)}")
    if args.device == "gpu":
        if args.one_core or args.devices > 1:
            parser.error("--one-core and --devices say how processor cores are used: leave them out with --device gpu")
        if missing := use_gpu():
            parser.error(missing)
    torch.set_num_threads(1 if args.one_core else 2)
    clock = time.process_time if args.one_core else time.perf_counter
    names = args.rows or known
    lines = [f"{_place(args)}, {args.rounds} rounds; {'tokens a second' if args.cells else UNITS}", ""]
    print("\n".join(lines), flush=True)
    if args.generation:
        made = generation_table(names, rounds=args.rounds, clock=clock, short=args.short)
    elif args.encoders:
        made = encoder_table(names, rounds=args.rounds, clock=clock, short=args.short, compiled=args.compile)
    else:
        made = token_table(names, rounds=args.rounds, clock=clock) if args.cells else _rows(names, args.rounds, clock)
    for line in made:
        lines.append(line)
        print(line, flush=True)
    if args.write:
        _write(args.write, MARKS[part], lines)
    return 0


UNITS = "milliseconds; ratio = ours / the peer's, below 1 is ahead."


def _place(args: argparse.Namespace) -> str:
    if args.device == "gpu":
        where = f"{jax.devices()[0].device_kind}, wall time"
    else:
        time_of = "one core, processor time" if args.one_core else f"{jax.device_count()} devices, wall time"
        where = f"{os.cpu_count()} cores, {platform.machine()}, {time_of}"
    return f"jax {jax.__version__}, torch {torch.__version__}, {where}"


def _rows(names: list[str], rounds: int, clock):
    yield "| work | peer | its median | our median | ratio | ratio of the fastest rounds |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        title, make = ROWS[name]
        times = interleave(peers(make()), rounds=rounds, clock=clock)
        ours = times.pop("ours")
        if not times:  # PyTorch alone would be the peer, and has no CUDA
            yield f"| {title} | - | - | {1e3 * ours.median:.1f} | - | - |"
            continue
        peer, theirs = min(times.items(), key=lambda pair: pair[1].median)
        fastest = min(t.best for t in times.values())
        yield (
            f"| {title} | {peer} | {1e3 * theirs.median:.1f} | {1e3 * ours.median:.1f} | "
            f"**{ours.median / theirs.median:.2f}** | {ours.best / fastest:.2f} |"
        )


def _write(path: Path, mark: str, lines: list[str]) -> None:
    page = path.read_text(encoding="utf-8")
    head, found, tail = page.partition(mark)
    if not found:
        raise SystemExit(f"{path} has no line {mark!r} to put the table after")
    rest = tail.partition("<!-- end -->")[2]
    beside = path.with_suffix(".tmp")
    beside.write_text(f"{head}{mark}\n" + "\n".join(lines) + f"\n<!-- end -->{rest}", encoding="utf-8")
    os.replace(beside, path)


if __name__ == "__main__":
    sys.exit(main())
