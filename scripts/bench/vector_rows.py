# SPDX-License-Identifier: BSD-2-Clause
"""Training rows of vectors: a table in memory, a store on disk, and LMDB; the same batches for each, in turn.

    .venv/bin/python scripts/bench.py --vectors [--words N] [--steps N]

A step reads 2,048 rows of 300 numbers with two numbers of Adam's memory for each, and writes them back changed. LMDB
(if it is installed) holds a row as one value, one transaction per step, without waiting for the disk; the store commits
every 100 steps, and then waits for it.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spago_jax.embeddings.store.build import new_store
from spago_jax.embeddings.store.store import Store

SIZE, BATCH, EVERY = 300, 2048, 100
Step = Callable[[np.ndarray, int], None]


def in_memory(words: int, folder: Path) -> Step:
    """A table of values and two tables of slots."""
    table = np.zeros((words, 3, SIZE), np.float32)

    def step(rows: np.ndarray, number: int) -> None:
        table[rows] = table[rows] * np.float32(0.9) + np.float32(1)

    return step


def store(words: int, folder: Path) -> Step:
    """A store with its log."""
    with new_store(folder / "store", SIZE, keys="integers") as writer:
        for row in range(words):
            writer.add(row.to_bytes(8, "little"), np.zeros(SIZE, np.float32))
    held = Store.open(folder / "store", write=True)
    held.start_training(["m", "v"])

    def step(rows: np.ndarray, number: int) -> None:
        values, slots = held.read(rows), held.read_slots(rows)
        changed = values * np.float32(0.9) + np.float32(1), slots * np.float32(0.9) + np.float32(1)
        held.write(rows, *changed, before=(values, slots))
        if number % EVERY == EVERY - 1:
            held.commit(str(number))
            held.forget(held.tags[-1:])

    return step


def lmdb(words: int, folder: Path) -> Step:
    """One value per row, values and slots together."""
    import lmdb as package  # pyright: ignore[reportMissingImports]

    held = package.open(str(folder / "lmdb"), map_size=words * SIZE * 12 * 3 + (1 << 26), sync=False, writemap=True)
    empty = np.zeros(3 * SIZE, np.float32).tobytes()
    with held.begin(write=True) as transaction:
        for row in range(words):
            transaction.put(row.to_bytes(8, "big"), empty)

    def step(rows: np.ndarray, number: int) -> None:
        with held.begin(write=True) as transaction:
            for row in rows.tolist():
                key = row.to_bytes(8, "big")
                found = np.frombuffer(transaction.get(key), np.float32)
                transaction.put(key, (found * np.float32(0.9) + np.float32(1)).tobytes())
        if number % EVERY == EVERY - 1:
            held.sync(True)

    return step


def main(arguments: list[str]) -> int:
    """Prints milliseconds per step, the median and the slowest tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", action="store_true")
    parser.add_argument("--words", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--text", action="store_true", help="rows as frequent as words of a text, not all alike")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp())
    try:
        sides: dict[str, Step] = {}
        for make in (in_memory, store, lmdb):
            try:
                sides[make.__name__] = make(given.words, folder)
            except ImportError:
                print(f"{make.__name__}: not installed")
        draw, times = np.random.default_rng(0), {name: [] for name in sides}
        for number in range(given.steps):
            if given.text:  # the n-th word is 1/n as frequent as the first, as in a text
                drawn = np.exp(draw.random(BATCH) * np.log(given.words)).astype(np.int64) - 1
            else:
                drawn = draw.integers(given.words, size=BATCH)
            rows = np.unique(drawn)
            for name, step in sides.items():
                start, used = time.perf_counter(), time.process_time()
                step(rows, number)
                times[name].append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - used)))
        print(f"{given.words:,} words x {SIZE}, {BATCH} rows per step, {given.steps} steps; milliseconds per step")
        for name, each in times.items():
            found, used = np.array(each).T
            median, mean, most = np.median(found), np.mean(found), np.quantile(found, 0.9)
            print(
                f"{name:<10} median {median:8.2f}   mean {mean:8.2f}   90 % {most:8.2f}"
                f"   processor time: median {np.median(used):8.2f}   mean {np.mean(used):8.2f}"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0
