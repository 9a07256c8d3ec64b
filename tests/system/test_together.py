"""One config on one device, on rectangles of eight, and on two processes of two devices each: the same numbers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import stored

# Each trains a few minutes in all.
pytestmark = [pytest.mark.slow, pytest.mark.oracle, pytest.mark.shared_data]

COMMON = {"optimizer": {"name": "adamw", "learning_rate": 0.003, "epsilon": 1e-4, "clip_norm": 1.0}}
TRAIN = {"batch_size": 8, "eval_batch_size": 8, "steps": 50, "steps_per_call": 2, "buckets": 1, "log_every": 2,
         "evaluate_every": 10}  # fmt: skip
KINDS = ("tagger", "classifier", "pair")
MESHES = ("8x1", "4x2", "2x4", "two")
TWO = ["train.mesh={data: 2, model: 2}", "train.sharding=fsdp+tensor"]


def write_encoder(folder: Path, tokenizer: Path) -> Path:
    """A tiny random BERT of transformers, with dropout."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30522, max_position_embeddings=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=32, initializer_range=0.3,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def configs(tmp_path_factory, corpus, shared_data) -> Path:
    """A recurrent tagger with a CRF, a pre-trained encoder that is fine-tuned, and an encoder-decoder; with dropout."""
    folder = tmp_path_factory.mktemp("configs")
    encoder = write_encoder(folder / "bert", shared_data / "tok-bert-uncased")
    classes = {"train": f"{corpus}/texts.csv", "dev_fraction": 0.2}
    settings = {
        "tagger": {
            "task": "token-classification",
            "data": {"format": "conll", "train": f"{corpus}/train.conll", "dev": f"{corpus}/dev.conll"},
            "model": {
                "embeddings": [{"kind": "words", "size": 8}, {"kind": "characters", "encoder": "cnn", "size": 4,
                                                              "filters": 4, "max_length": 8}],
                "encoder": {"kind": "birnn", "hidden": 8},
                "dropout": 0.2,
            },
        },
        "classifier": {
            "task": "text-classification",
            "data": {"format": "labeled-text", **classes},
            "init": {"from": str(encoder), "allow_missing": ["head.*"]},
            "model": {"kind": "encoder"},
            "train": {"max_length": 24},
        },
        "pair": {
            "task": "text2text-generation",
            "data": {"format": "strings", "rule": "reverse", "longest": 6, "train_examples": 400, "eval_examples": 32},
            "model": {
                "config": {"model_type": "marian", "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
                           "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 32,
                           "decoder_ffn_dim": 32, "max_position_embeddings": 32, "dropout": 0.1},
                "tokenizer": {"kind": "characters", "size": 40},
            },
            "train": {"max_length": 12, "metric": "exact_match", "write": {"scores": ["exact_match"], "examples": 8}},
        },
    }  # fmt: skip
    for kind, found in settings.items():
        whole = {**COMMON, "name": kind, **found, "train": {**TRAIN, **found.get("train", {})}}
        (folder / f"{kind}.yaml").write_text(json.dumps(whole))
    (folder / "kinds.json").write_text(json.dumps(KINDS))
    return folder


def launch(configs: Path, out: Path, *settings: str, wait: bool = True, kind: str = "tagger"):
    """Two processes of two devices each."""
    command = [
        sys.executable, "-c", "from spago_jax.cli import main; main()", "launch", "--processes", "2", "train",
        str(configs / f"{kind}.yaml"), *TWO, *settings, "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "XLA_FLAGS": ""}
    if not wait:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def runs(configs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("together")
    for kind in KINDS:
        done = launch(configs, out / f"{kind}-two", kind=kind)
        assert done.returncode == 0, done.stderr[-4000:]
    assert launch(configs, out / "begun-two", "train.steps=24").returncode == 0
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("train_together.py"), configs, out],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        capture_output=True,
        text=True,
        timeout=2400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    shutil.copytree(out / "begun-4x2", out / "resumed-4x2-two")
    done = launch(configs, out / "resumed-4x2-two", "--resume")
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


def scores_of(folder: Path) -> dict:
    return json.loads((folder / "scores.json").read_text())["scores"]


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_scores_are_those_of_one_device(runs, kind, mesh):
    one, other = log_of(runs / f"{kind}-1"), log_of(runs / f"{kind}-{mesh}")
    assert [(r["step"], r["kind"]) for r in one] == [(r["step"], r["kind"]) for r in other]
    losses = [[r["loss"] for r in log if r["kind"] == "train"] for log in (one, other)]
    assert len(losses[0]) >= 20
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for split, expected in scores_of(runs / f"{kind}-1").items():
        assert scores_of(runs / f"{kind}-{mesh}")[split] == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("run", ["resumed-8x1-4x2", "resumed-4x2-1", "resumed-two-1", "resumed-4x2-two"])
def test_a_checkpoint_opens_on_other_devices_and_processes(runs, run):
    one, other = stored(runs / "tagger-1"), stored(runs / run)
    assert sorted(one) == sorted(other)
    for path, value in one.items():
        np.testing.assert_allclose(other[path], value, err_msg=path, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_compiles_after_warm_up_on_a_mesh(runs, kind, mesh):
    programs = json.loads((runs / f"{kind}-{mesh}" / "programs.json").read_text())
    if kind != "pair" and mesh != "two":  # texts are written by a program of its own; checkpoints of two processes
        assert programs["compilations_after_warm_up"] == 0
    for program in programs["programs"]:
        assert program["traces"] == len(program["signatures"]), program["name"]


def test_fsdp_holds_a_seventh_of_the_replicated_state_on_each_of_eight_devices(runs):
    """By XLA's analysis of the compiled step; the arguments are the state, and a batch that is split too."""
    held = []
    for mesh in ("1", "8x1"):
        programs = json.loads((runs / f"classifier-{mesh}" / "programs.json").read_text())["programs"]
        (train,) = [program for program in programs if program["name"] == "train_block"]
        held.append(train["signatures"][0]["argument_bytes"])
    assert held[1] <= held[0] / 7


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_process_ends_all_and_the_run_goes_on(configs, runs, tmp_path, which):
    out = tmp_path / "killed"
    process = launch(configs, out, "train.checkpoint_every=2", wait=False)
    try:
        deadline = time.monotonic() + 600
        while not any(path.name.isdigit() for path in (out / "checkpoints").glob("*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[which]), signal.SIGKILL)
        begun = time.monotonic()
        _, err = process.communicate(timeout=120)
        seconds = time.monotonic() - begun
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGKILL, err
    assert f"process {which} of 2 was killed by SIGKILL; all have ended" in err
    assert seconds < 60  # 30 on a quiet machine
    done = launch(configs, out, "--resume")
    assert done.returncode == 0, done.stderr
    assert "resumed from step" in done.stderr
    undisturbed, resumed = stored(runs / "tagger-two"), stored(out)
    for path, value in undisturbed.items():
        np.testing.assert_allclose(resumed[path], value, err_msg=path, rtol=1e-6, atol=1e-7)
    assert scores_of(out) == scores_of(runs / "tagger-two")


def test_ctrl_c_ends_all_processes_at_one_step_with_a_checkpoint(configs, tmp_path, spago_system):
    out = tmp_path / "stopped"
    process = launch(configs, out, "train.steps=100000", wait=False)
    try:
        while not (out / "checkpoints").is_dir() or not spago_system.checkpoints(out):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "a checkpoint is written" in err
    assert json.loads((out / "state.json").read_text())["state"] == "interrupted"
