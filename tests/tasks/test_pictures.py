"""What an image classifier refuses before training, and labels that training never saw. Oracle: scikit-learn."""

import json

import numpy as np
import pytest
from helpers import refuses
from tiny_runs import images, write_idx

from spago_jax.cli.main import run
from spago_jax.data.formats import idx
from spago_jax.errors import InputWarning
from spago_jax.tasks.class_scores import ClassScorer
from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.tasks.image_classification.processor import PictureProcessor
from spago_jax.train import load_experiment


def prepared(corpus, tmp_path, pixels, labels, *overrides: str):
    """The task of the tiny pictures with another test part."""
    idx.write_idx(tmp_path / "test.idx", pixels)
    idx.write_idx(tmp_path / "test-labels.idx", labels)
    test = [f"data.test_images={tmp_path}/test.idx", f"data.test_labels={tmp_path}/test-labels.idx"]
    experiment = load_experiment(corpus / "images.yaml", [*test, *overrides])
    return experiment.task_class.prepare(experiment)


def test_pictures_of_another_size_are_refused_before_training(corpus, tmp_path):
    with refuses("data.test has pictures of [5, 4], those of training are [4, 4]"):
        prepared(corpus, tmp_path, np.zeros((3, 5, 4), np.uint8), np.zeros(3, np.uint8))
    with refuses("data.test has no pictures"):
        prepared(corpus, tmp_path, np.zeros((0, 4, 4), np.uint8), np.zeros(0, np.uint8))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, -1], np.int8), "label 2 is -1, expected 0 or more: classes count from 0"),
        (np.array([0, 1, 2], np.float32), "labels of the type float32, expected whole numbers"),
    ],
    ids=["negative", "fractions"],
)
def test_labels_that_are_no_classes_are_refused(corpus, tmp_path, labels, message):
    with refuses(f"{tmp_path}/test-labels.idx: {message}"):
        prepared(corpus, tmp_path, images(1, 3)[0], labels)


def test_labels_that_training_never_saw_are_named_and_count_as_missed(corpus, pictures, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    pixels, labels = images(5, 40)
    labels[:6], labels[6] = 9, 4
    said = "7 of 40 pictures have labels that training never saw, and count as missed: 4 (1), 9 (6)"
    with pytest.warns(InputWarning) as caught:
        task = prepared(corpus, tmp_path, pixels, labels)
    assert [str(warning.message) for warning in caught] == [f"data.test: {said}"]
    assert task.parts["test"].labels[:8].tolist() == [-1] * 7 + [labels[7]]
    path = f"{tmp_path}/test.idx,{tmp_path}/test-labels.idx"
    with pytest.warns(InputWarning, match=f"{path}: 7 of 40"):
        found = evaluate_run(pictures[1], data=path)["data"]
    truth = np.where(np.isin(labels, (4, 9)), 4, labels)
    right = metrics.accuracy_score(truth[7:], truth[7:]) * 33 / 40  # the tiny model knows its four classes
    assert found.values["accuracy"] == pytest.approx(right)
    with pytest.warns(InputWarning):
        known = evaluate_run(pictures[1], data=path)["data"].values["loss"]
    idx.write_idx(tmp_path / "test.idx", pixels[7:])
    idx.write_idx(tmp_path / "test-labels.idx", labels[7:])
    assert known == pytest.approx(evaluate_run(pictures[1], data=path)["data"].values["loss"], rel=1e-6)


def test_a_class_without_training_pictures_is_not_known(corpus, tmp_path):
    pixels, labels = images(0, 120)
    write_idx(tmp_path / "labels.idx", np.where(labels == 1, 2, labels).astype(np.uint8))
    with pytest.warns(InputWarning, match=r"data.test: 1 of 2 pictures have labels that .*: 1 \(1\)"):
        task = prepared(
            corpus, tmp_path, pixels[:2], np.array([1, 2], np.uint8), f"data.train_labels={tmp_path}/labels.idx"
        )
    assert task.parts["test"].labels.tolist() == [-1, 2]
    task.processor.save(tmp_path)
    again = PictureProcessor.load(tmp_path)
    assert again.known == {0, 2, 3}


def test_the_loss_is_that_of_the_known_classes():
    class Block:
        indices, steps = np.array([[0, 1, 2, -1]]), 1

    scorer = ClassScorer(np.array([1, -1, 0]), ["a", "b"], lambda row: {})
    scorer.update(Block, {"class": np.array([[1, 0, 1, 0]]), "loss": np.array([[0.5, np.nan, 2.5, 9.0]])})
    assert scorer.compute().values["loss"] == 1.5
    assert scorer.compute().values["accuracy"] == pytest.approx(1 / 3)


def test_training_goes_on_with_unseen_test_labels(corpus, tmp_path, capsys):
    pixels, labels = images(5, 8)
    write_idx(tmp_path / "test.idx", pixels)
    write_idx(tmp_path / "test-labels.idx", np.where(labels == 0, 77, labels).astype(np.uint8))
    overrides = [f"data.test_images={tmp_path}/test.idx", f"data.test_labels={tmp_path}/test-labels.idx"]
    arguments = [*overrides, "train.epochs=1", "--out", str(tmp_path / "run"), "-q"]
    assert run(["train", str(corpus / "images.yaml"), *arguments]) == 0
    assert "warning: data.test: " in capsys.readouterr().err
    confusions = json.loads((tmp_path / "run" / "details.json").read_text())["test"]["confusions"]
    assert "(unseen label)" in confusions["labels"]
