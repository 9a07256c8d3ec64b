"""Two devices that share each batch watch the same numbers as one; run in a process of its own, that has two."""

import json
import os
import subprocess
import sys

import pytest

CODE = """
import sys
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.errors import TrainingError

config, out = sys.argv[1:]
everything = "train.watch={gradients: array, weights: array, updates: array, activations: '*', histograms: {bins: 4}}"
action = "{when: {trend: loss, state: improving, window: 2}, do: {scale_learning_rate: 0.5, unfreeze: output}}"
common = ["train.epochs=3", everything, f"train.actions=[{action}]"]
for devices in (1, 2):
    experiment = load_experiment(config, [*common, f"train.devices={devices}"])
    fit(experiment, f"{out}/{devices}", console=TrainingConsole(quiet=True))
try:
    bad = ["optimizer.name=sgd", "optimizer.learning_rate=1e25", "train.watch={locate: modules}", "train.devices=2"]
    fit(load_experiment(config, bad), f"{out}/bad", console=TrainingConsole(quiet=True))
except TrainingError as error:
    print(error)
"""


def test_two_devices_watch_what_one_does(corpus, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(corpus / "images.yaml"), str(tmp_path)],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "at step 2: the first value that is not finite is the module 'output'." in done.stdout
    logs = [[json.loads(line) for line in (tmp_path / n / "metrics.jsonl").open()] for n in ("1", "2")]
    for one, two in zip(*logs, strict=True):
        assert one.keys() == two.keys()
        if one["kind"] == "watch":
            del one["kind"], two["kind"]
            assert one == pytest.approx(two, rel=1e-3, abs=1e-5)
    assert [r["did"] for r in logs[1] if r.get("kind") == "action"] == ["learning rate times 0.5, unfreeze output"]
    made = [json.loads((tmp_path / n / "histograms.jsonl").read_text().splitlines()[0]) for n in ("1", "2")]
    assert made[0]["activations"].keys() == made[1]["activations"].keys()
    assert [sum(h["activations"]["hidden.0"]["counts"]) for h in made] == [8 * 12, 8 * 12]
    programs = json.loads((tmp_path / "2" / "programs.json").read_text())
    assert programs["compilations_after_warm_up"] == 0
