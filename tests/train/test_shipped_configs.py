"""Every shipped experiment is well-formed, says what it reaches, and can be set up on its data."""

import re
from pathlib import Path

import pytest
import yaml

from spago_jax.errors import InputError
from spago_jax.train import load_experiment

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
NEED_NO_CORPUS = {"quickstart", "digits-mlp", "charlm-python-docs", "charlm-python-docs-backward", "reverse-strings"}


def test_the_promised_configs_are_there():
    assert {path.stem for path in CONFIGS} >= NEED_NO_CORPUS | {
        "ner-wnut17", "ner-bc5cdr", "ner-fin-sec", "pos-ewt", "charlm-shakespeare", "mnist-mlp", "intents-banking77",
    }  # fmt: skip


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_loads(path, request):
    if path.stem not in NEED_NO_CORPUS:
        request.getfixturevalue("shared_data")
    # Weights and tokenizers are no corpora: a machine may lack them.
    needs_model = any(name in path.read_text() for name in ("SPAGO_MINILM", "SPAGO_TOKENIZER", "SPAGO_RUNS"))
    experiment = load_experiment(path, files=not needs_model)
    assert experiment.name == path.stem
    assert experiment.description


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_its_header_says_what_it_reaches_and_how_long_it_took(path):
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert re.search(r"\d\.\d|\d\d", header), "a score"
    assert re.search(r"\d+ (s|min)\b", header), "a time"
    assert f"configs/{path.name}" in header, "the command"


@pytest.mark.parametrize("stem", sorted({path.stem for path in CONFIGS} - NEED_NO_CORPUS))
def test_without_its_corpus_one_message_says_which_file_is_missing(stem, monkeypatch, tmp_path):
    monkeypatch.setenv("SPAGO_DATA", str(tmp_path))
    path = next(p for p in CONFIGS if p.stem == stem)
    with pytest.raises(InputError, match="no such file"):
        load_experiment(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_key_in_it_is_one_that_a_reader_can_look_up(path):
    # The file itself holds no key that the schema fills in silently: YAML and schema agree on the sections.
    assert set(yaml.safe_load(path.read_text())) <= {
        "task", "name", "description", "seed", "data", "init", "model", "optimizer", "train", "extends",
    }  # fmt: skip
