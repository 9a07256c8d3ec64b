"""A tagger over language models: trained, saved, used and continued like any other. Oracle: the arrays themselves."""

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
  embeddings: [{{kind: contextual-strings, forward: {lm}, backward: {lm}}}]
  encoder: null
  output: softmax
  dropout: 0.0
  word_dropout: 0.0
optimizer: {{name: adam, learning_rate: 0.05}}
train: {{epochs: 1, batch_size: 16, eval_batch_size: 16, buckets: 1, steps_per_call: 2}}
"""


@pytest.fixture(scope="module")
def run(corpus, letters, tmp_path_factory):
    """A run of the command line over a language model that this library trained."""
    folder = tmp_path_factory.mktemp("contextual")
    (folder / "tagger.yaml").write_text(CONFIG.format(corpus=corpus, lm=letters[1]))
    assert command_line(["train", str(folder / "tagger.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_the_language_models_stay_what_they_were_and_the_rest_is_trained(run, letters):
    model, lm = flat(open_run(run).model), stored(letters[1], open_run(letters[1]).step)
    kept = [path for path in model if path.startswith("embeddings.")]
    assert len(kept) == 2 * 4
    for path in kept:
        np.testing.assert_array_equal(model[path], lm[f"model.{path.split('.', 4)[4]}"], err_msg=path)
    assert np.asarray(model["scorer.weight"]).any()


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
