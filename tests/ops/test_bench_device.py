"""``scripts/bench.py --device gpu`` where there is no GPU, and beside options that mean nothing there."""

import subprocess
import sys
from pathlib import Path

import jax
import pytest

pytestmark = pytest.mark.oracle
BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench.py"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--device gpu: JAX finds no GPU, only 'cpu'; it needs an NVIDIA GPU and JAX with CUDA"),
        (["--one-core"], "--one-core and --devices say how processor cores are used: leave them out with --device gpu"),
    ],
)
def test_exit_code_2_and_one_message(options, message):
    pytest.importorskip("torch")
    if jax.default_backend() != "cpu":
        pytest.skip("there is a GPU")
    ended = subprocess.run(
        [sys.executable, BENCH, "--device", "gpu", "dispatch-100", *options], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert message in ended.stderr
    assert not ended.stdout
