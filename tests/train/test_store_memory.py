"""A store larger than what the process holds in memory is trained by the whole of `fit`. Oracle: the system's count."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
from pathlib import Path
import numpy as np
from spago_jax.embeddings.store.build import new_store

folder, words, sentences = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
draw = np.random.default_rng(0)
with new_store(folder / "store", 300) as writer:
    for start in range(0, words, 4096):
        rows = draw.normal(size=(min(4096, words - start), 300)).astype(np.float32)
        for number, row in enumerate(rows, start):
            writer.add(b"w%d" % number, row)
lines = []
for _ in range(sentences):
    for number in draw.integers(words, size=20).tolist():
        lines.append(f"w{number} T{number % 2}")
    lines.append("")
(folder / "train.txt").write_text("\\n".join(lines) + "\\n")

from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

experiment = load_experiment({
    "task": "token-classification", "name": "large",
    "data": {"format": "conll", "train": str(folder / "train.txt")},
    "model": {"embeddings": [{"kind": "words", "size": 300, "store": str(folder / "store")}],
              "encoder": None, "output": "softmax"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"epochs": 2, "batch_size": 64, "buckets": 1, "steps_per_call": 1},
})
result = fit(experiment, folder / "run", console=TrainingConsole(quiet=True))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
size = sum(path.stat().st_size for path in (folder / "store").iterdir()) / 2**30
print(f"{result.steps} steps, peak {peak:.2f} GiB resident, store {size:.2f} GiB")
assert peak < 1, peak
"""


def train(folder, words, sentences):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder), str(words), str(sentences)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("words", "sentences"), [(5_000, 100), (2_000_000, 5_000)])
def test_a_store_beyond_memory_is_trained_within_one_gibibyte(tmp_path, words, sentences):
    train(tmp_path, words, sentences)
