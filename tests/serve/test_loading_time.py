"""What a server of pre-trained models does not bring along, so that it is ready soon."""

import subprocess
import sys
from pathlib import Path

from subwords import wordpiece_folder
from tiny_pretrained import write_tiny

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_server_of_a_folder_imports_no_orbax(tmp_path):
    """It is for checkpoints of runs, and takes a tenth of the time until the server is ready."""
    write_tiny(tmp_path, "bert", "states")
    wordpiece_folder(tmp_path)
    code = f"""
import sys
import spago_jax.cli.serve, spago_jax.serve.server
from spago_jax.serve.config import read_config
from spago_jax.serve.loading import check_models, open_model, revision_of
config = read_config({{"models": {{"m": {{"task": "text-encoding", "source": {str(tmp_path)!r}}}}}}})
check_models(config)
revision_of(config.models["m"].source)
open_model(config.models["m"], offline=True)
print([name for name in ("orbax", "torch", "transformers", "pandas", "grpc") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
