"""Every shipped sweep is well-formed, and its trials are."""

from pathlib import Path

import pytest

from spago_jax.sweep.checks import checked_trials
from spago_jax.sweep.source import load_sweep

SWEEPS = sorted((Path(__file__).resolve().parents[2] / "configs" / "sweeps").glob("*.yaml"))


def test_the_promised_sweep_is_there():
    assert "digits" in {path.stem for path in SWEEPS}


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_it_loads(path):
    file = load_sweep(path)
    assert file.sweep.name == path.stem
    assert file.sweep.description
    assert len(checked_trials(file)) > 1


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_its_header_gives_the_command(path):
    assert path.read_text().startswith(f"# scripts/run sweep configs/sweeps/{path.name}\n")
