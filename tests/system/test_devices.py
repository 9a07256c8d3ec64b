"""Several devices share each batch: the parameters are those of one device, within float tolerance."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import stored

# float32, and sums in another order: 1e-6 was the largest difference seen, 5e-6 in carried states. The weights are of
# size 0.1 to 1 and have moved by 0.02 a step.
TOLERANCE = {"rtol": 1e-5, "atol": 2e-5}


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory) -> Path:
    """The runs of train_on_devices.py."""
    out = tmp_path_factory.mktemp("devices")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("train_on_devices.py"), corpus, out],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture(scope="module")
def two_processes(corpus, runs, spago_system) -> Path:
    """The run of images-1 by two processes of one device each."""
    out = runs / "images-two"
    settings = ["train.epochs=3", "optimizer.accumulate=2", "train.mesh={data: 2}", "train.sharding=fsdp"]
    command = ["launch", "--processes", "2", "train", corpus / "images.yaml", *settings, "--out", out]
    done = spago_system.spago(*command, env={"XLA_FLAGS": ""})
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def test_two_processes_give_the_parameters_scores_and_log_of_one(runs, two_processes):
    agree(runs / "images-1", two_processes)
    one, two = (
        json.loads((folder / "scores.json").read_text())["scores"] for folder in (runs / "images-1", two_processes)
    )
    for split, expected in one.items():
        assert two[split] == pytest.approx(expected, rel=1e-5)
    one, two = ((folder / "metrics.jsonl").read_text().splitlines() for folder in (runs / "images-1", two_processes))
    assert len(one) == len(two)  # one process alone writes


def agree(first: Path, second: Path) -> None:
    one, two = stored(first), stored(second)
    assert sorted(one) == sorted(two)
    for path, value in one.items():
        np.testing.assert_allclose(two[path], value, err_msg=path, **TOLERANCE)


@pytest.mark.parametrize("kind", [pytest.param("tiny", marks=pytest.mark.slow), "letters", "images"])
def test_eight_devices_give_the_parameters_of_one(runs, kind):
    agree(runs / f"{kind}-1", runs / f"{kind}-8")
    log = [[json.loads(line) for line in (runs / f"{kind}-{n}" / "metrics.jsonl").open()] for n in (1, 8)]
    assert len(log[0]) == len(log[1])
    for one, eight in zip(*log, strict=True):
        assert one.keys() == eight.keys()
        for name in one.keys() & {"loss", "nats", "step", "gradient_norm"}:
            assert eight[name] == pytest.approx(one[name], rel=1e-3), (name, one, eight)


def test_the_gradient_of_a_weight_in_16_bits_sends_sums_alone(runs):
    """Each device multiplies its rows; that none of them travel shows in the compiled program."""
    sent = json.loads((runs / "product.json").read_text())
    assert sent == {"all-reduce": [1, 4 * 6 * 4]}


@pytest.mark.parametrize("kind", ["tiny", "letters", "images"])
def test_the_work_was_shared(runs, kind):
    about = json.loads((runs / f"{kind}-8" / "about.json").read_text())
    assert about["machine"]["devices"].startswith("8 x ")
    flops = {}
    for devices in (1, 8):
        programs = json.loads((runs / f"{kind}-{devices}" / "programs.json").read_text())["programs"]
        (train,) = [program for program in programs if program["name"] == "train_block"]
        flops[devices] = train["signatures"][0]["flops"]  # XLA counts the work of one device
    assert flops[8] < 0.5 * flops[1]


@pytest.mark.parametrize("kind", ["tiny", "letters", "images", "begun", "resumed"])
def test_nothing_compiles_after_warm_up_on_several_devices(runs, kind):
    folders = {"begun": ["begun"], "resumed": ["resumed-1", "resumed-4"]}.get(kind, [f"{kind}-1", f"{kind}-8"])
    for folder in folders:
        programs = json.loads((runs / folder / "programs.json").read_text())
        assert programs["compilations_in_warm_up"] > 0
        assert programs["compilations_after_warm_up"] == 0
        for program in programs["programs"]:
            assert program["traces"] == len(program["signatures"]), program["name"]


@pytest.mark.parametrize("devices", [1, 4])
def test_a_run_of_two_devices_resumes_on_others(runs, devices):
    agree(runs / "letters-1", runs / f"resumed-{devices}")


def test_a_batch_that_does_not_divide(config, tmp_path, spago_system):
    for key in ("batch_size", "eval_batch_size"):
        folder = tmp_path / key
        ended = spago_system.spago(
            "train", config, "train.devices=2", f"train.{key}=7", "--out", folder, env={"XLA_FLAGS": ""}
        )
        assert ended.returncode == 2
        assert ended.stderr == f"spago-jax: train.{key} = 7 does not split over 2 devices; 6 does\n"
        assert not folder.exists()


def test_more_devices_than_there_are(config, tmp_path, capsys):
    from spago_jax.cli.main import run

    assert run(["train", str(config), "train.devices=512", "train.batch_size=512", "--out", str(tmp_path / "x")]) == 2
    message = capsys.readouterr().err
    assert "512 devices were asked for, and there are" in message
    assert "set XLA_FLAGS=--xla_force_host_platform_device_count=512" in message
    assert not (tmp_path / "x").exists()


def test_all_devices_on_a_cpu_are_one_a_core(corpus, tmp_path, spago_system):
    cores = len(os.sched_getaffinity(0))
    size = 8 * cores
    ended = spago_system.spago(
        "train", corpus / "images.yaml", "train.devices=all", f"train.batch_size={size}",
        f"train.eval_batch_size={size}", "train.epochs=1", "--out", tmp_path / "run", env={"XLA_FLAGS": ""},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert f"{cores} device(s)" in ended.stderr
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    assert about["machine"]["devices"].startswith(f"{cores} x ")
