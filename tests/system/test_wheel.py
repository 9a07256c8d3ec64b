"""The wheel, installed away from the source tree: it holds every file of the package, and every verb runs from it."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of what git knows of this tree."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if name.startswith("spago_jax/") or "/" not in name:
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--quiet", "--wheel-dir", str(folder)]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr and "Could not find" in done.stderr:
        pytest.skip("setuptools cannot be fetched here")
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """``run(*arguments)`` of a ``spago-jax`` that lives in an environment of its own; the libraries are this one's."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    Path(own, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    desk = tmp_path_factory.mktemp("desk")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments, code=0, text=None):
        done = subprocess.run(
            [home / "bin" / "spago-jax", *map(str, arguments)],
            cwd=desk, env=environment, capture_output=True, text=True, input=text, timeout=600,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    place = subprocess.run(
        [python, "-c", "import spago_jax; print(spago_jax.__file__)"],
        cwd=desk, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert place.startswith(own)
    return run, desk


def test_it_holds_every_file_of_the_package(wheel):
    listed = subprocess.run(["git", "ls-files", "spago_jax"], cwd=ROOT, capture_output=True, text=True, check=True)
    held = set(zipfile.ZipFile(wheel).namelist())
    assert [name for name in listed.stdout.splitlines() if name not in held] == []


def test_every_verb_has_help_there(installed):
    run, _ = installed
    listed = run("--help").split("Commands:")[1]
    verbs = [line.split()[0] for line in listed.splitlines() if line[:2] == "  " and line[2:3].strip()]
    assert {"train", "serve", "run", "export", "vectors"} <= set(verbs)
    for verb in verbs:
        assert f"spago-jax {verb}" in run(verb, "--help")


def test_from_a_template_to_an_export(installed):
    run, desk = installed
    run("init", "token-classification", "own")
    config = desk / "own" / "config.yaml"
    run("configs", "token-classification")
    run("inspect", config)
    run("doctor")
    run("layers")
    run("tasks")
    run("train", config, "train.epochs=2", "--out", "first")
    run("train", config, "train.epochs=2", "seed=2", "--out", "second")
    assert "f1" in run("evaluate", "first")
    assert "first" in run("runs", ".")
    run("compare", "first", "second", "--out", "both.html")
    assert "Lovelace" in run("predict", "first", text="Ada Lovelace lived in London .\n")
    run("export", "first", "shipped")
    assert (desk / "shipped" / "predict.py").is_file()
    run("graph", config)
    run("find-lr", config, "--steps", "20")
    (desk / "words.txt").write_text("ada 1 0\nlondon 0 1\n")
    run("vectors", "info", "words.txt")
    (desk / "text.txt").write_text("a text of some words\n" * 20)
    run("tokenizer", "train", "text.txt", "--kind", "bpe", "--size", "300", "--output", "tokenizer")
    assert "no-such-folder" in run("serve", "no-such-folder", "--insecure", code=2)
