"""Large corpora train in little memory: 100 million characters, 10 million tokens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.shared_data]

MEGABYTES = 1500
STEPS = 40

# The command, which prints the largest memory of its process to its standard output at the end.
MEASURED = """
import resource, sys
from spago_jax.cli.main import run
code = run(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(code)
"""


def repeat(source: Path, target: Path, *, until: int, count) -> int:
    """Writes a file over and over until its units, as ``count`` finds them, are enough."""
    data = source.read_bytes()
    units = count(data)
    times = -(-until // units)
    with target.open("wb") as file:
        for _ in range(times):
            file.write(data)
    return times * units


def train_for_a_while(config: Path, folder: Path, cache: Path) -> dict[str, float]:
    """Trains until some steps are done, interrupts, and tells how long the start took and how much memory it all."""
    arguments = [config, "--out", folder, "train.log_every=1", "train.steps_per_call=4"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, "train", *map(str, arguments)],
        env={**os.environ, "SPAGO_CACHE": str(cache)},  # nothing encoded or compiled beforehand
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log, started = folder / "metrics.jsonl", None
    try:
        while process.poll() is None:
            steps = log.read_text().count("\n") if log.exists() else 0
            if steps and started is None:
                started = time.perf_counter() - began
            if steps >= STEPS:
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.1)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, err
    losses = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert started is not None
    found = {"seconds": started, "megabytes": float(out.split()[-1])}
    print(f"\n{folder.name}: first steps after {started:.1f} s, {found['megabytes']:.0f} MB at most")
    return found


def test_a_hundred_million_characters(shared_data, tmp_path):
    text = tmp_path / "long.txt"
    source = shared_data / "lm-tinyshakespeare" / "input.txt"
    assert repeat(source, text, until=100_000_000, count=lambda data: len(data.decode())) >= 100_000_000
    config = tmp_path / "x.yaml"
    config.write_text(
        f"task: text-generation\nname: long\ndata: {{format: text, train: {text}}}\nmodel: {{hidden: 128}}\n"
        "optimizer: {name: adam, learning_rate: 0.003}\ntrain: {epochs: 1, chunk: 64, batch_size: 32}\n"
    )
    found = train_for_a_while(config, tmp_path / "characters", tmp_path / "cache")
    assert found["megabytes"] < MEGABYTES


def test_ten_million_tokens(shared_data, tmp_path):
    corpus = tmp_path / "long.conll"
    source = shared_data / "ner-wnut17"
    tokens = repeat(
        source / "train.conll",
        corpus,
        until=10_000_000,
        count=lambda d: sum(1 for line in d.split(b"\n") if line.strip()),
    )
    assert tokens >= 10_000_000
    config = tmp_path / "x.yaml"
    config.write_text(
        f"task: token-classification\nname: long\ndata: {{format: conll, train: {corpus}, dev: {source}/dev.conll}}\n"
        "model: {embeddings: [{kind: words, size: 50}, {kind: characters}], encoder: {kind: birnn, hidden: 64}}\n"
        "optimizer: {name: adam, learning_rate: 0.003}\ntrain: {epochs: 1, batch_size: 32}\n"
    )
    found = train_for_a_while(config, tmp_path / "tokens", tmp_path / "cache")
    assert found["megabytes"] < MEGABYTES
