"""What a server takes at a full queue: a process of its own, whose peak is read from /proc."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_pretrained import write_tiny_pair

ROOT = Path(__file__).resolve().parent.parent.parent
NLI = {"0": "contradiction", "1": "neutral", "2": "entailment"}
HEADS = {"encoder_attention_heads": 12, "decoder_attention_heads": 12}
SIZES = {"d_model": 768, "encoder_layers": 4, "decoder_layers": 4, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}
CODE = """
import sys, threading, time
from itertools import count
import jax
import spago_jax.serve.server, spago_jax.tasks.load, spago_jax.tasks.zero_shot_classification.predictor
from spago_jax.serve.config import ModelConfig
from spago_jax.serve.engine import Engine, Limits
from spago_jax.serve.engine.problems import Overloaded
from spago_jax.serve.loading import open_model

jax.block_until_ready(jax.jit(lambda key: jax.random.normal(key, (4, 4)))(jax.random.key(0)))

def memory(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) * 1024

folder, size = sys.argv[1], int(sys.argv[2])
limits = Limits(batch_tokens=1024, item_characters=2000)
before = memory("VmRSS")
with Engine(limits) as engine:
    model = ModelConfig(task="zero-shot-classification", source=folder, settings={"max_length": 512})
    engine.load("m", model.task, lambda: open_model(model, offline=True))
    engine.ready()
    gate, call = threading.Event(), engine.models["m"].predictor.call
    engine.models["m"].predictor.call = lambda batch: (gate.wait(200), call(batch))[1]
    asked, numbers, end = [], count(), time.monotonic() + 120
    while engine.waiting[1] < 0.8 * limits.queue_tokens:
        assert time.monotonic() < end, engine.waiting
        texts = [f"{next(numbers)} " + "the cat sat on the mat. " * 6 for _ in range(8)]
        try:
            asked.append(engine.submit("m", texts, {"labels": ["a", "b", "c", "d", "e"]}, timeout=600))
        except Overloaded:
            time.sleep(0.05)
    for request in asked[3:]:
        request.cancel()
    gate.set()
    assert all(outcome.status == 200 for outcome in asked[0].result(300))
print(memory("VmHWM") - before, limits.most_memory(size))
"""


@pytest.mark.slow
def test_a_full_queue_takes_what_the_limits_say_at_most(tmp_path):
    """cybertron and spaGO took four times a model's file: here 1.3 times, and a bound that the limits give."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc, where Linux tells the peak")
    labels = {"id2label": NLI, "label2id": {name: int(number) for number, name in NLI.items()}}
    write_tiny_pair(tmp_path, "bart", "sequence-classification", **SIZES, **HEADS, **labels)
    size = (tmp_path / "model.safetensors").stat().st_size
    command = [sys.executable, "-c", CODE, str(tmp_path), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    found, most = map(int, done.stdout.split())
    assert 1.0 * size < found <= most
