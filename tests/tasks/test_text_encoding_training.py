"""Sentence encoders that are trained here, against formulas written in PyTorch."""

import jax
import numpy as np
import pytest
from helpers import refuses

import spago_jax as sj
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.train import train_tokenizer
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

pytestmark = pytest.mark.oracle
PAIRS = [(f"the {a} is {b}", f"a {b} {a}", n % 5) for n, (a, b) in enumerate(
    (a, b) for a in ("cat", "dog", "king", "road") for b in ("old", "red", "long")
)]  # fmt: skip
SIZES = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 32, "initializer_range": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "pairs.csv").write_text("text,other,score\n" + "".join(f"{a},{b},{n}\n" for a, b, n in PAIRS))
    (folder / "tokenizer").mkdir()
    lines = [text for pair in PAIRS for text in pair[:2]]
    train_tokenizer(iter(lines), kind="wordpiece", size=60, lowercase=True).save(folder / "tokenizer")
    return folder


def settings(folder, label=None, **model):
    return {
        "task": "text-encoding",
        "name": "encoder",
        "data": {
            "format": "labeled-text", "train": f"{folder}/pairs.csv", "dev": f"{folder}/pairs.csv",
            "pair_field": "other", "label_field": label,
        },
        "model": {"tokenizer": f"{folder}/tokenizer", "config": SIZES, "dropout": 0.0, **model},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {
            "epochs": 12, "evaluate_every": 6, "batch_size": 6, "eval_batch_size": 6, "steps_per_call": 2, "buckets": 1,
            "max_length": 16,
        },
    }  # fmt: skip


def prepared(settings, rows):
    """The loss of some rows as the task has it, and the vectors of both sides as a user gets them."""
    experiment = load_experiment(settings)
    task = experiment.task_class.prepare(experiment)
    model = jax.jit(task.objective.init)(jax.random.key(1))
    batch = task.processor.batch(task.parts["train"], np.asarray(rows), 16, targets=True)
    found = jax.jit(lambda model, batch: vars(task.objective.loss(model, batch, (), None)))(model, batch)
    own = [row for row in rows if row >= 0]
    predictor = task.predictor(model)
    sides = (predictor([PAIRS[row][side] for row in own]) for side in (0, 1))
    return float(found["total"]), float(found["weight"]), *sides


def test_in_batch_negatives(folder):
    """Cross-entropy of 20 x cosine over the second texts of the batch; an empty row is no candidate."""
    import torch

    total, weight, first, second = prepared(settings(folder), [3, 0, 7, 11, 5, -1])
    first, second = (torch.nn.functional.normalize(torch.tensor(side), dim=-1) for side in (first, second))
    expected = torch.nn.functional.cross_entropy(20.0 * first @ second.T, torch.arange(5), reduction="sum")
    assert (total, weight) == (pytest.approx(float(expected), rel=1e-4), 5)


def test_the_same_text_is_no_wrong_one(folder):
    """Of two pairs with one and the same second text neither is a negative of the other."""
    import torch

    total, _, first, second = prepared(settings(folder, scale=5.0, pooling="cls"), [3, 3, 7])
    first, second = (torch.nn.functional.normalize(torch.tensor(side), dim=-1) for side in (first, second))
    scores = 5.0 * first @ second.T
    scores[0, 1] = scores[1, 0] = -torch.inf
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(3), reduction="sum")
    assert total == pytest.approx(float(expected), rel=1e-4)


def test_pairs_with_scores(folder):
    """The squared difference of cosine and score / full_score."""
    import torch

    total, weight, first, second = prepared(settings(folder, "score", full_score=4, normalize=False), [3, 0, 9, -1])
    cosines = torch.nn.functional.cosine_similarity(torch.tensor(first), torch.tensor(second))
    wanted = torch.tensor([PAIRS[row][2] / 4 for row in (3, 0, 9)])
    assert (total, weight) == (pytest.approx(float(((cosines - wanted) ** 2).sum()), rel=1e-4), 3)
    with refuses("the score 4 of line 6 is beyond model.full_score = 3, that of a pair that means the same"):
        prepared(settings(folder, "score", full_score=3), [0])


def test_a_run_gives_vectors_and_is_a_folder_of_sentence_transformers(folder, tmp_path):
    result = fit(load_experiment(settings(folder)), tmp_path / "run", command="t", console=TrainingConsole(quiet=True))
    values = result.scores["dev"].values
    assert values["accuracy"] > 0.3  # one of six by chance
    assert values["accuracy"] <= values["mrr"] <= 1
    task = sj.load_task("text-encoding", tmp_path / "run")
    texts = [text for text, _, _ in PAIRS]
    vectors = task(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    exported = sj.load_task("text-encoding", task.pretrained.save(tmp_path / "exported"))
    assert exported.pipeline.pooling.modes == ("mean",)
    assert exported.processor.max_length == 16
    np.testing.assert_allclose(exported(texts), vectors, atol=1e-5)


@pytest.mark.slow
def test_scores_of_pairs_are_correlations(folder, tmp_path):
    scored = settings(folder, "score", full_score=4)
    scored["train"] |= {"epochs": 1, "evaluate_every": 1}
    result = fit(load_experiment(scored), tmp_path / "run", command="t", console=TrainingConsole(quiet=True))
    assert set(result.scores["dev"].values) == {"spearman", "pearson", "mean_squared_error", "loss"}


def test_what_is_no_pair_is_refused(folder):
    single = settings(folder)
    del single["data"]["pair_field"]
    with pytest.raises(InputError, match="data.pair_field is missing"):
        load_experiment(single)
    words = load_experiment(settings(folder, "text"))
    with pytest.raises(InputError, match="of line 2 is no number; .* data.label_field: null"):
        words.task_class.prepare(words)
