"""Tiny experiments, made up on the spot; one trained run is shared by the tests of a session."""

import random
from pathlib import Path

import pytest

CITIES = ["Paris", "Rome", "Oslo", "Lima", "Cairo"]
PEOPLE = ["Ann", "Bob", "Eve", "Ida", "Max"]
VERBS = ["visits", "likes", "leaves", "sees"]


def sentences(seed: int, count: int) -> str:
    """CoNLL text: people visit cities, now and then for a while."""
    draw = random.Random(seed)
    lines: list[str] = []
    for _ in range(count):
        lines += [f"{draw.choice(PEOPLE)}\tB-PER", f"{draw.choice(VERBS)}\tO"]
        if draw.random() < 0.4:
            lines += ["old\tO"] * draw.randint(1, 6)
        lines += [f"{draw.choice(CITIES)}\tB-LOC"]
        if draw.random() < 0.3:
            lines += ["Centre\tI-LOC"]
        lines += [".\tO", ""]
    return "\n".join(lines) + "\n"


CONFIG = """
name: tiny
seed: 3
data: {{kind: conll, train: {folder}/train.conll, dev: {folder}/dev.conll, test: {folder}/test.conll}}
model:
  kind: sequence_labeler
  words: {{size: 8}}
  characters: {{encoder: cnn, size: 4, filters: 4, max_length: 8}}
  hidden: 8
  dropout: 0.2
optimizer: {{name: adam, learning_rate: 0.02, clip_norm: 5.0}}
train: {{epochs: 4, batch_size: 8, eval_batch_size: 8, buckets: 2, steps_per_call: 2, log_every: 4}}
"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for seed, (name, count) in enumerate({"train": 60, "dev": 16, "test": 16}.items()):
        (folder / f"{name}.conll").write_text(sentences(seed, count))
    (folder / "tiny.yaml").write_text(CONFIG.format(folder=folder))
    return folder


@pytest.fixture(scope="session")
def config(corpus) -> Path:
    return corpus / "tiny.yaml"


@pytest.fixture(scope="session")
def trained(config, tmp_path_factory):
    """A finished run of the tiny experiment: (result, folder)."""
    from spago_jax.train import fit, load_experiment
    from spago_jax.train.console import TrainingConsole

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    result = fit(load_experiment(config), folder, command="test", console=TrainingConsole(quiet=True))
    return result, folder
