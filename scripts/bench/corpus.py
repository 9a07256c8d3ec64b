# SPDX-License-Identifier: BSD-2-Clause
"""Sentence lengths of WNUT-17, batched by length."""

import os
from pathlib import Path

import numpy as np

BATCH = 32
DATA = Path(os.environ.get("SPAGO_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


def wnut_lengths() -> np.ndarray:
    """The lengths of the training sentences; where the corpus is absent, a log-normal with its mean (18) and spread."""
    path = DATA / "ner-wnut17" / "train.conll"
    if not path.is_file():
        return np.clip(np.random.default_rng(0).lognormal(2.75, 0.55, 3394), 1, 40).astype(int)
    lengths, count = [], 0
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.strip():
            count += 1
        elif count:
            lengths.append(count)
            count = 0
    return np.array(lengths)


def length_batches(count: int) -> list[np.ndarray]:
    """``count`` batches of sentences of like length, spread evenly over the sorted corpus."""
    lengths = np.sort(wnut_lengths())
    starts = np.linspace(0, len(lengths) - BATCH, count).astype(int)
    return [lengths[start : start + BATCH] for start in starts]
