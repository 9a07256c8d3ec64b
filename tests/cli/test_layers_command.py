# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax layers`, and the page made from it."""

from pathlib import Path

from spago_jax.cli.main import run
from spago_jax.nn.catalogue import CATALOGUE
from spago_jax.nn.catalogue.table import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "layers.md"


def test_every_layer_is_listed(capsys):
    assert run(["layers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(CATALOGUE)


def test_one_layer_at_length(capsys):
    assert run(["layers", "lstm"]) == 0
    text = capsys.readouterr().out
    assert "Hochreiter and Schmidhuber (1997)" in text
    assert "recurrent_weight" in text


def test_a_misspelt_layer(capsys):
    assert run(["layers", "lsmt"]) == 2
    assert "unknown layer 'lsmt': did you mean 'lstm'?" in capsys.readouterr().err


def test_the_page_is_made_from_the_catalogue():
    made = page(CATALOGUE.values())
    assert PAGE.read_text(encoding="utf-8") == made, (
        "make it again: spago-jax layers --format markdown > docs/layers.md"
    )
