"""A tagger over language models: trained, saved, used and continued like any other. Oracle: the arrays themselves."""

import json
import shutil

import jax
import numpy as np
import pytest
from tiny_runs import stored

import spago_jax as sj
from spago_jax.cli.main import run as command_line
from spago_jax.core import flat
from spago_jax.errors import InputError
from spago_jax.tasks.load import open_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

CONFIG = """
task: token-classification
name: contextual
seed: 3
data: {{format: conll, train: {corpus}/train.conll, dev: {corpus}/dev.conll}}
model:
  embeddings: [{{kind: contextual-strings, forward: {lm}, backward: {backward}}}]
  encoder: null
  output: softmax
  dropout: 0.0
  word_dropout: 0.0
optimizer: {{name: adam, learning_rate: 0.05}}
train: {{epochs: 1, batch_size: 16, eval_batch_size: 16, buckets: 1, steps_per_call: 2}}
"""


def backward_of(run, folder):
    """The same language model, as one that reads texts backwards."""
    shutil.copytree(run, folder)
    path = folder / "assets" / "processor.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"direction": "backward"}))
    return folder


@pytest.fixture(scope="module")
def run(corpus, letters, tmp_path_factory):
    """A run of the command line over a language model that this library trained."""
    folder = tmp_path_factory.mktemp("contextual")
    backward = backward_of(letters[1], folder / "backward")
    (folder / "tagger.yaml").write_text(CONFIG.format(corpus=corpus, lm=letters[1], backward=backward))
    assert command_line(["train", str(folder / "tagger.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_the_language_models_stay_what_they_were_and_the_rest_is_trained(run, letters):
    model, lm = flat(open_run(run).model), stored(letters[1], open_run(letters[1]).step)
    kept = [path for path in model if path.startswith("embeddings.")]
    assert len(kept) == 2 * 4
    for path in kept:
        np.testing.assert_array_equal(model[path], lm[f"model.{path.split('.', 4)[4]}"], err_msg=path)
    assert np.asarray(model["scorer.weight"]).any()


def test_a_language_model_of_the_other_direction_is_refused(corpus, letters, tmp_path):
    path = tmp_path / "tagger.yaml"
    path.write_text(CONFIG.format(corpus=corpus, lm=letters[1], backward=letters[1]))
    with pytest.raises(InputError, match=r"backward: this language model reads texts forwards"):
        fit(load_experiment(path), tmp_path / "run", console=TrainingConsole(quiet=True))


def test_answers_do_not_depend_on_the_batch(run):
    tagger = sj.load_task("token-classification", run)
    texts = ["Ann visits Rome .", "Bob", "Eve sees old old old Cairo .", "Max likes Ann ."]
    together = tagger(texts)
    for text, answer in zip(texts, together, strict=True):
        alone = tagger(text)
        assert alone.tags == answer.tags
        np.testing.assert_allclose(alone.scores, answer.scores, atol=1e-6)


def test_training_goes_on_from_the_run_without_the_language_models_files(run, corpus, tmp_path):
    settings = open_run(run).experiment.model_dump(mode="json", by_alias=True)
    settings["model"]["embeddings"][0] |= {"forward": "init.from", "backward": "init.from"}
    settings |= {"init": {"from": str(run)}, "name": "more"}
    settings["train"] |= {"steps": 1, "epochs": 1}
    fit(load_experiment(settings), tmp_path / "more", console=TrainingConsole(quiet=True))
    first, more = flat(open_run(run).model), flat(open_run(tmp_path / "more").model)
    for path, array in first.items():
        assert np.array_equal(array, more[path]) == path.startswith("embeddings."), path
    settings["init"] = None
    with pytest.raises(InputError, match=r"model\.embeddings\.contextual_strings\.forward: init\.from names no model"):
        fit(load_experiment(settings), tmp_path / "none", console=TrainingConsole(quiet=True))


def pooled_settings(corpus, lm, **embedding):
    """A tagger over pooled vectors of one language model."""
    settings = load_experiment(
        {
            "task": "token-classification",
            "name": "pooled",
            "data": {"format": "conll", "train": f"{corpus}/train.conll", "dev": f"{corpus}/dev.conll"},
            "model": {
                "embeddings": [{"kind": "pooled-strings", "forward": str(lm), "pooling": "mean", **embedding}],
                "encoder": None, "output": "softmax", "dropout": 0.0, "word_dropout": 0.0,
            },
            "optimizer": {"name": "adam", "learning_rate": 0.05},
            "train": {"steps": 2, "batch_size": 16, "eval_batch_size": 16, "buckets": 1},
        }
    )  # fmt: skip
    return settings


def test_the_memory_is_that_of_the_training_data_and_goes_with_the_run(corpus, letters, tmp_path):
    fit(pooled_settings(corpus, letters[1]), tmp_path / "run", console=TrainingConsole(quiet=True))
    trained = open_run(tmp_path / "run")
    (indexer,) = trained.task.processor.indexers
    lines = (corpus / "train.conll").read_text().splitlines()
    words = {line.split("\t")[0] for line in lines if line}
    assert set(indexer.memory._index) == words
    task = trained.experiment.task_class.prepare(trained.experiment, processor=trained.task.processor)
    rows = task.parts["train"]
    batch = task.processor.batch(rows, np.arange(len(rows)), int(rows.lengths.max()))
    own = np.asarray(jax.jit(lambda m, b: m(b))(trained.model.embeddings.parts[0].inner, batch))
    at = [[word for word in rows.corpus.sentence(row).tokens] for row in range(len(rows))]
    seen = [own[row, place] for row, tokens in enumerate(at) for place, word in enumerate(tokens) if word == "Rome"]
    found = indexer.memory.vectors(indexer.memory.rows_of(["Rome"]))[0]
    np.testing.assert_allclose(found, np.mean(seen, 0), atol=1e-5)
    before = len(indexer.memory)
    sj.load_task("token-classification", tmp_path / "run")(["Zoe visits Rome ."])
    assert len(indexer.memory) == before


def test_vectors_are_computed_once_and_are_those_of_every_epoch(corpus, letters, tmp_path, monkeypatch):
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path / "cache"))
    plain = pooled_settings(corpus, letters[1])
    cached = pooled_settings(corpus, letters[1], cache=True)
    tasks = [each.task_class.prepare(each) for each in (plain, cached, cached)]
    said = [[line for line in task.remarks() if "vectors of" in line] for task in tasks]
    assert [len(lines) for lines in said] == [0, 2, 2]
    assert all("computed once, into" in line for line in said[1])
    assert all("read from" in line for line in said[2])
    model = tasks[0].from_data(tasks[0].objective.init(jax.random.key(0)))
    run = jax.jit(lambda model, batch: model.embeddings(batch))
    vectors = []
    for task in tasks:
        rows = task.parts["dev"]
        batch = task.processor.batch(rows, np.array([3, -1, 0]), 16)
        assert ("pooled_strings_vectors" in batch) == (task is not tasks[0])
        vectors.append(np.asarray(run(model, batch)))
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-6)
    np.testing.assert_array_equal(vectors[2], vectors[1])
    fit(cached, tmp_path / "run", console=TrainingConsole(quiet=True))
    assert sj.load_task("token-classification", tmp_path / "run")("Ann visits Rome .").tags
