"""Examples of training and inference on many machines: they must say what the command and JAX understand."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from helpers import options_of

from spago_jax.tasks.experiment import load_experiment

ROOT = Path(__file__).resolve().parent.parent
TRAINING = ROOT / "examples" / "training"


def settings_of(words: list[str]) -> list[str]:
    return [word.strip("'\"") for word in words if word.startswith(("train.", "'train.", '"train.'))]


def test_the_slurm_script_is_a_script_that_ends_with_the_command(corpus):
    path = TRAINING / "slurm.sh"
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text(encoding="utf-8")
    assert "#SBATCH --requeue" in text
    assert re.search(r"#SBATCH --signal=TERM@\d+", text)  # SIGTERM: training ends with a checkpoint
    command = re.search(r"spago-jax train .*", text)
    assert command is not None
    given = re.findall(r"'train\.[^']*'|train\.\S+", command[0])
    train = load_experiment(corpus / "images.yaml", [each.strip("'") for each in given]).train
    assert (train.distributed, train.sharding) == ("auto", "fsdp")
    assert set(re.findall(r"--\w+", command[0])) <= options_of("train")


def test_the_job_set_starts_a_process_for_each_machine_of_the_slice(corpus):
    (manifest,) = yaml.safe_load_all((TRAINING / "jobset.yaml").read_text(encoding="utf-8"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (job,) = manifest["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    chips = int(container["resources"]["limits"]["google.com/tpu"])
    rows, columns = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
    assert spec["parallelism"] == spec["completions"] == rows * columns // chips
    assert spec["completionMode"] == "Indexed"
    assert container["command"][:2] == ["spago-jax", "train"]
    train = load_experiment(corpus / "images.yaml", settings_of(container["args"])).train
    assert train.distributed == "auto"
    assert {arg.partition("=")[0] for arg in container["args"] if arg.startswith("--")} <= options_of("train")
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}


@pytest.mark.parametrize("path", ["examples/training/ray_job.py", "examples/ray_data.py"])
def test_the_ray_examples_use_names_that_exist(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree) or ""
    assert f"python {path}" in docstring
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spago_jax"):
            module = __import__(node.module, fromlist=[each.name for each in node.names])
            for each in node.names:
                assert hasattr(module, each.name), each.name


def test_the_ray_job_says_what_the_config_understands(corpus):
    text = (TRAINING / "ray_job.py").read_text(encoding="utf-8")
    keys = re.search(r'\{"coordinator": coordinator, "processes": processes, "process": number\}', text)
    assert keys is not None
    given = "train.distributed={coordinator: 10.0.0.1:1234, processes: 2, process: 1}"
    assert load_experiment(corpus / "images.yaml", [given]).train.distributed.process == 1


@pytest.mark.slow
def test_two_workers_of_ray_answer_as_one_process_does(trained, tmp_path):
    ray = pytest.importorskip("ray")
    import os
    import sys

    _, folder = trained
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"Ann visits Rome {'old ' * (n % 5)}.\n" for n in range(200)))
    out, whole = tmp_path / "ray.jsonl", tmp_path / "whole.jsonl"
    command = [sys.executable, ROOT / "examples/ray_data.py", "token-classification", folder, texts, out, "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": "local"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (ray.__version__, done.stderr[-3000:])
    from spago_jax.cli.main import run

    assert run(["run", "token-classification", str(folder), "--input", str(texts), "--output", str(whole)]) == 0
    assert out.read_bytes() == whole.read_bytes()
