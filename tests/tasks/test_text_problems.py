# SPDX-License-Identifier: BSD-2-Clause
"""Several labels, numbers, pairs of texts, class weights. Oracles: PyTorch, scikit-learn, SciPy."""

import json

import numpy as np
import pytest

import spago_jax as sj
from spago_jax.data.batching import Block
from spago_jax.errors import InputError
from spago_jax.tasks.class_loss import classification_loss, multi_label_loss, weights_of
from spago_jax.tasks.class_scores import ClassScorer, MultiLabelScorer, ValueScorer
from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole


def settings(path, problem="single-label", **data):
    return {
        "task": "text-classification",
        "name": "problem",
        "data": {"format": "labeled-text", "train": str(path), "dev_fraction": 0.25, **data},
        "model": {"problem": problem, "embeddings": [{"kind": "words", "size": 6}], "dropout": 0.0},
        "optimizer": {"name": "adam", "learning_rate": 0.05},
        "train": {"epochs": 12, "batch_size": 8, "eval_batch_size": 8, "buckets": 1, "steps_per_call": 4},
    }


def train(tree, folder, *overrides):
    return fit(load_experiment(tree, overrides), folder, console=TrainingConsole(quiet=True))


def test_several_labels_per_text(tmp_path):
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(64):
        held = [name for name in ("sun", "rain", "wind") if draw.random() < 0.4]
        rows.append({"text": " ".join(["today", *held, "again"]), "label": held})
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    result = train(settings(path, "multi-label"), tmp_path / "run")
    assert result.scores["dev"].values["micro_f1"] > 0.95
    predictor = sj.load_task("text-classification", tmp_path / "run")
    answer = predictor("rain and wind")
    assert set(answer.labels) == {"rain", "wind"}
    assert predictor("nothing").labels == ()
    assert set(predictor("rain", threshold=0.0).labels) == {"sun", "rain", "wind"}
    one = load_experiment(settings(path))
    with pytest.raises(InputError, match=r"the text of line \d+ has \d labels, .*set model\.problem: multi-label"):
        one.task_class.prepare(one)


def test_a_number_per_text(tmp_path):
    draw = np.random.default_rng(0)
    counts = draw.integers(0, 5, 64)
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{'good ' * n}{'day ' * (5 - n)},{10 + 2 * n}\n" for n in counts))
    result = train(settings(path, "regression"), tmp_path / "run", "train.epochs=30")
    assert result.scores["dev"].values["pearson"] > 0.95
    assert result.scores["dev"].values["mean_squared_error"] < 1.0
    value = sj.load_task("text-classification", tmp_path / "run")("good good good good day").value
    assert value == pytest.approx(18, abs=1.5)
    path.write_text("text,label\na,1\nb,much\n")
    load = load_experiment(settings(path, "regression"), ["data.dev_fraction=0"])
    with pytest.raises(InputError, match=r"the label of line 3 is 'much': model\.problem: regression needs numbers"):
        load.task_class.prepare(load)


def test_pairs_of_texts(tmp_path):
    draw, names = np.random.default_rng(0), ["paris", "rome", "oslo", "lima"]
    rows = []
    for _ in range(96):
        first = names[draw.integers(4)]
        second = first if draw.random() < 0.5 else names[draw.integers(4)]
        rows.append(f"in {first},near {second} now,{'same' if first == second else 'other'}\n")
    path = tmp_path / "a.csv"
    path.write_text("one,two,label\n" + "".join(rows))
    tree = settings(path, text_field="one", pair_field="two")
    result = train(tree, tmp_path / "run", "train.epochs=40")
    assert result.scores["dev"].values["accuracy"] > 0.85
    predictor = sj.load_task("text-classification", tmp_path / "run")
    answers = predictor([("in rome", "near rome now"), ("in rome", "near oslo now")])
    assert [answer.label for answer in answers] == ["same", "other"]
    assert answers[0].to_dict()["pair"] == "near rome now"
    with pytest.raises(InputError, match="one text, expected a pair of texts"):
        predictor("in rome")


def test_the_losses_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    draw = np.random.default_rng(1)
    logits, weights = draw.normal(size=(6, 3)).astype(np.float32), np.array([0.5, 1.0, 3.0])
    labels, held = draw.integers(0, 3, 6), np.ones(6, np.float32)
    loss = classification_loss(logits, {"labels": labels, "weight": held}, 0.0, weights)
    theirs = torch.nn.CrossEntropyLoss(weight=torch.tensor(weights, dtype=torch.float32))
    np.testing.assert_allclose(loss.total / loss.weight, theirs(torch.tensor(logits), torch.tensor(labels)), rtol=1e-5)
    several = draw.integers(0, 2, (6, 3)).astype(np.float32)
    loss = multi_label_loss(logits, {"labels": several, "weight": held}, 0.0, weights)
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights, dtype=torch.float32))
    np.testing.assert_allclose(loss.total / loss.weight, theirs(torch.tensor(logits), torch.tensor(several)), rtol=1e-5)


def test_weights_of_classes():
    assert weights_of({"b": 2.0}, ["a", "b"], [1, 1]).tolist() == [1.0, 2.0]
    with pytest.raises(InputError, match=r"model\.class_weights\.c: there is no such label; known: a, b"):
        weights_of({"c": 2.0}, ["a", "b"], [1, 1])
    utils = pytest.importorskip("sklearn.utils")
    labels = ["a"] * 9 + ["b"] * 3
    theirs = utils.compute_class_weight("balanced", classes=np.array(["a", "b"]), y=labels)
    np.testing.assert_allclose(weights_of("balanced", ["a", "b"], [9, 3]), theirs)


def test_scores_of_several_labels_and_of_numbers_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(2)
    gold, probability = draw.integers(0, 2, (40, 4)), draw.random((40, 4))
    scorer = MultiLabelScorer(gold.astype(np.float32), list("abcd"), lambda row: (), lambda row: {})
    indices = np.arange(40).reshape(5, 8)
    scorer.update(Block(1, indices), {"probability": probability[indices], "loss": np.zeros(indices.shape)})
    values = scorer.compute().values
    for name in ("micro", "macro"):
        assert values[f"{name}_f1"] == pytest.approx(metrics.f1_score(gold, probability >= 0.5, average=name))
    assert values["accuracy"] == metrics.accuracy_score(gold, probability >= 0.5)
    wanted, found = draw.integers(0, 4, 40).astype(float), draw.normal(size=40)
    numbers = ValueScorer(wanted, lambda row: {})
    numbers.update(Block(1, indices), {"value": found[indices]})
    values = numbers.compute().values
    assert values["mean_squared_error"] == pytest.approx(metrics.mean_squared_error(wanted, found))
    stats = pytest.importorskip("scipy.stats")
    assert values["pearson"] == pytest.approx(stats.pearsonr(wanted, found)[0])
    assert values["spearman"] == pytest.approx(stats.spearmanr(wanted, found)[0])


def test_a_class_that_the_model_lacks_counts_as_missed_is_named_and_has_no_loss():
    scorer = ClassScorer(np.array([0, -1]), ["a", "b"], lambda row: {"text": f"t{row}"}, lambda row: "new")
    outputs = {"class": np.array([[0, 1]]), "loss": np.array([[0.5, np.nan]]), "probability": np.array([[0.9, 0.7]])}
    scorer.update(Block(1, np.array([[0, 1]])), outputs)
    scores = scorer.compute()
    assert (scores.values["accuracy"], scores.values["loss"]) == (0.5, 0.5)
    assert scores.details["unseen"] == {"new": 1}
    assert scores.details["samples"] == [{"text": "t1", "gold": "new", "predicted": "b", "probability": 0.7}]


def test_every_mistake_is_saved_with_the_text_as_given_and_the_baseline_is_shown(mood, tmp_path):
    _, folder = mood
    (tmp_path / "a.csv").write_text('text,label\n"  A  Day of\nSunshine",sad\nraining,sad\ncrying,unheard\n')
    said = []
    scores = evaluate_run(folder, data=str(tmp_path / "a.csv"), mistakes=tmp_path / "wrong.jsonl", say=said.append)
    wrong = [json.loads(line) for line in (tmp_path / "wrong.jsonl").read_text().splitlines()]
    assert {"text": "  A  Day of\nSunshine", "gold": "sad", "predicted": "happy", "line": 2}.items() <= wrong[0].items()
    assert wrong[-1]["gold"] == "unheard"
    assert any("gold labels that the model does not have, which count as missed: unheard (1)" in line for line in said)
    assert "baseline" in scores["data"].details


def test_texts_that_are_cut_are_counted_and_marked(mood, tmp_path):
    _, folder = mood
    (tmp_path / "a.csv").write_text(f"text,label\n{'day ' * 200},sad\nraining,sad\n")
    said = []
    evaluate_run(folder, data=str(tmp_path / "a.csv"), say=said.append)
    assert any("1 of 2 texts are longer than train.max_length = 128 tokens and are cut there" in line for line in said)
    answer = sj.load_task("text-classification", folder)("day " * 200)
    assert answer.to_dict()["cut"] == 72
