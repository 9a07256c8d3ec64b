"""Tiny experiments of every kind, made up on the spot; finished runs are shared by the tests of a session."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from sharing import made_once

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


LABELER = """
task: token-classification
name: tiny
seed: 3
data: {{format: conll, train: {folder}/train.conll, dev: {folder}/dev.conll, test: {folder}/test.conll}}
model:
  embeddings:
    - {{kind: words, size: 8}}
    - {{kind: characters, encoder: cnn, size: 4, filters: 4, max_length: 8}}
  encoder: {{kind: birnn, hidden: 8}}
  dropout: 0.2
optimizer: {{name: adam, learning_rate: 0.02, clip_norm: 5.0}}
train: {{epochs: 4, batch_size: 8, eval_batch_size: 8, buckets: 1, steps_per_call: 2, log_every: 4}}
"""

CHARACTERS = """
task: text-generation
name: letters
seed: 5
data: {{format: text, train: {folder}/letters.txt, dev_fraction: 0.2}}
model: {{embedding: 6, hidden: 12, dropout: 0.1}}
optimizer: {{name: adam, learning_rate: 0.02, clip_norm: 1.0}}
train: {{epochs: 3, chunk: 8, batch_size: 4, eval_batch_size: 1, steps_per_call: 4, log_every: 8}}
"""

IMAGES = """
task: image-classification
name: images
data:
  format: idx
  train_images: {folder}/images.idx
  train_labels: {folder}/labels.idx
  dev_examples: 24
model: {{hidden: [12]}}
optimizer: {{name: adam, learning_rate: 0.01}}
train: {{epochs: 6, batch_size: 8, eval_batch_size: 8, steps_per_call: 3, log_every: 6}}
"""

TEXTS = """
task: text-classification
name: moods
data: {{format: labeled-text, train: {folder}/texts.csv, dev_fraction: 0.2}}
model:
  embeddings: [{{kind: words, size: 6}}]
  encoder: {encoder}
  ngrams: {ngrams}
optimizer: {{name: adam, learning_rate: 0.02}}
train: {{epochs: 8, batch_size: 8, eval_batch_size: 8, buckets: 2, steps_per_call: 2, log_every: 4}}
"""

ENCODERS = {
    "mean": ("null", "{rows: 50, size: 4, characters: true}"),
    "cnn": ("{kind: cnn, filters: 6}", "null"),
    "bilstm": ("{kind: birnn, hidden: 6}", "null"),
}


def write_idx(path: Path, array: np.ndarray) -> None:
    """An IDX file of unsigned bytes."""
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


def images(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 4 x 4 pixels whose bright quarter is their class."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(4, size=count).astype(np.uint8)
    pixels = draw.integers(0, 90, size=(count, 4, 4)).astype(np.uint8)
    for i, label in enumerate(labels):
        row, column = divmod(int(label), 2)
        pixels[i, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] += 150
    return pixels, labels


def texts(seed: int, count: int) -> list[tuple[str, str]]:
    """Happy and sad texts of unequal length."""
    draw = random.Random(seed)
    moods = {"happy": ["sunshine", "laughing", "holidays"], "sad": ["raining", "crying", "homework"]}
    found = []
    for _ in range(count):
        label = draw.choice(sorted(moods))
        words = draw.choices(["it", "was", "a", "day", "of"], k=draw.randint(2, 14))
        words.insert(draw.randrange(len(words)), draw.choice(moods[label]))
        found.append((" ".join(words), label))
    return found


def _tiny_train(config: Path, name: str, factory: pytest.TempPathFactory):
    from spago_jax.train import fit, load_experiment
    from spago_jax.train.console import TrainingConsole

    def train(parent: Path):
        folder = parent / name
        return fit(load_experiment(config), folder, command="test", console=TrainingConsole(quiet=True)), folder

    return made_once(factory, f"runs-{name}", train)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """A folder with data and configs of every kind: tiny.yaml, letters.yaml, images.yaml, moods.yaml, ..."""
    return made_once(tmp_path_factory, "corpus", _write_corpus)


def _write_corpus(folder: Path) -> Path:
    for seed, (name, count) in enumerate({"train": 60, "dev": 16, "test": 16}.items()):
        (folder / f"{name}.conll").write_text(sentences(seed, count))
    (folder / "tiny.yaml").write_text(LABELER.format(folder=folder))
    draw = random.Random(0)
    verses = [f"{draw.choice(PEOPLE)} {draw.choice(VERBS)} {draw.choice(CITIES)}.\n" for _ in range(100)]
    (folder / "letters.txt").write_text("".join(verses))
    (folder / "letters.yaml").write_text(CHARACTERS.format(folder=folder))
    pixels, labels = images(0, 120)
    write_idx(folder / "images.idx", pixels)
    write_idx(folder / "labels.idx", labels)
    (folder / "images.yaml").write_text(IMAGES.format(folder=folder))
    rows = "".join(f"{text},{label}\n" for text, label in texts(0, 90))
    (folder / "texts.csv").write_text("text,label\n" + rows)
    for name, (encoder, ngrams) in ENCODERS.items():
        (folder / f"moods-{name}.yaml").write_text(TEXTS.format(folder=folder, encoder=encoder, ngrams=ngrams))
    return folder


@pytest.fixture(scope="session")
def config(corpus) -> Path:
    """The tiny labeler's."""
    return corpus / "tiny.yaml"


@pytest.fixture(scope="session")
def trained(config, tmp_path_factory):
    """A finished run of the tiny labeler: (result, folder)."""
    return _tiny_train(config, "tiny", tmp_path_factory)


@pytest.fixture(scope="session")
def letters(corpus, tmp_path_factory):
    """A finished run of the character language model: (result, folder)."""
    return _tiny_train(corpus / "letters.yaml", "letters", tmp_path_factory)


@pytest.fixture(scope="session")
def pictures(corpus, tmp_path_factory):
    """A finished run of the image classifier: (result, folder)."""
    return _tiny_train(corpus / "images.yaml", "images", tmp_path_factory)


@pytest.fixture(scope="session", params=["mean", "cnn", "bilstm"])
def moods(request, corpus, tmp_path_factory):
    """A finished run of a text classifier, of every encoder: (result, folder)."""
    return _tiny_train(corpus / f"moods-{request.param}.yaml", f"moods-{request.param}", tmp_path_factory)


@pytest.fixture(scope="session")
def mood(corpus, tmp_path_factory):
    """A finished run of one text classifier: (result, folder)."""
    return _tiny_train(corpus / "moods-mean.yaml", "moods-mean", tmp_path_factory)


def stored(folder: Path, step: int | None = None) -> dict[str, np.ndarray]:
    """Every array of a run's last checkpoint, or those of the model in the one of a step."""
    from contextlib import closing

    from spago_jax.train.checkpoint import Checkpoints

    with closing(Checkpoints(folder / "checkpoints", read_only=True)) as checkpoints:
        if step is None:
            return checkpoints.arrays(checkpoints.latest())
        return {f"model.{path}": array for path, array in checkpoints.arrays(step, ("model",)).items()}


def same_bits(first: Path, second: Path) -> None:
    """Asserts that two runs ended with the same bits: every stored array, and the log of losses and scores."""
    one, two = stored(first), stored(second)
    assert sorted(one) == sorted(two)
    for path, value in one.items():
        assert value.dtype == two[path].dtype, path
        assert value.tobytes() == two[path].tobytes(), path
    assert (first / "metrics.jsonl").read_bytes() == (second / "metrics.jsonl").read_bytes()
    scores = [json.loads((folder / "scores.json").read_text()) for folder in (first, second)]
    assert scores[0] == scores[1]
