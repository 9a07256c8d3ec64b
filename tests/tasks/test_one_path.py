"""One path from an example to arrays: a training batch and a prediction batch of the same example are the same."""

import itertools

import numpy as np
import pytest

from spago_jax.data.examples import Labeled, Picture, Text, Tokens
from spago_jax.data.formats.idx import read_idx
from spago_jax.tasks.load import open_run
from spago_jax.train import load_experiment


def prepared(path):
    experiment = load_experiment(path)
    return experiment.task_class.prepare(experiment)


def same(training: dict, prediction: dict, targets: set[str]) -> None:
    assert set(training) == set(prediction) | targets
    for name, array in prediction.items():
        assert array.dtype == training[name].dtype, name
        np.testing.assert_array_equal(array, training[name], err_msg=name)


def test_sentences(corpus, trained):
    task, processor = prepared(corpus / "tiny.yaml"), open_run(trained[1]).task.processor
    rows = task.parts["dev"]
    examples = [Tokens(rows.corpus.sentence(i).tokens) for i in range(len(rows))]
    again = processor.encode(examples)
    np.testing.assert_array_equal(again.lengths, rows.lengths)
    for block in task.batches("dev", training=True).epoch(0):
        prediction = processor.batch(again, block.indices, block.length)
        same(task.arrays("dev", block), prediction, {"tags"})


def test_texts_of_every_encoder(corpus, moods):
    folder = open_run(moods[1])
    processor, task = folder.task.processor, folder.experiment.task_class.prepare(folder.experiment)
    rows = task.parts["train"]
    again = processor.encode([Labeled(rows.corpus.text(i)) for i in range(len(rows))])
    np.testing.assert_array_equal(again.lengths, rows.lengths)
    for block in task.batches("train", training=True).epoch(0):
        prediction = processor.batch(again, block.indices, block.length)
        same(task.arrays("train", block), prediction, {"labels", "weight"})
    assert ("ngrams" in processor.specs()) == (rows.ngrams is not None)


def test_pictures(corpus, pictures):
    task, processor = prepared(corpus / "images.yaml"), open_run(pictures[1]).task.processor
    again = processor.encode(Picture(pixels) for pixels in read_idx(corpus / "images.idx")[:96])
    for block in task.batches("train", training=True).epoch(3):
        same(task.arrays("train", block), processor.batch(again, block.indices, 1), {"labels", "weight"})


@pytest.mark.parametrize("split", ["train", "dev"])
def test_texts_to_continue(corpus, letters, split):
    task, processor = prepared(corpus / "letters.yaml"), open_run(letters[1]).task.processor
    rows = task.parts[split]
    again = processor.encode([Text(processor.text(rows.ids.tolist()))])
    for block in itertools.islice(task.batches(split, training=split == "train").epoch(0), 2):
        same(task.arrays(split, block), processor.batch(again, block.indices, block.length), {"targets"})


def test_specs_say_what_a_batch_is(trained, moods, pictures, letters):
    for _, folder in (trained, moods, pictures, letters):
        processor = open_run(folder).task.processor
        batch = processor.batch(processor.encode([]), np.full(3, -1), 16)
        assert set(batch) == set(processor.specs())
        for name, spec in processor.specs().items():
            dims = spec[spec.index("[") + 1 : -1].split(", ")
            sizes = {**processor.sizes(), "batch": 3, "time": 16}
            known = [int(dim) if dim.isdigit() else sizes.get(dim) for dim in dims]
            if "ngrams" not in dims:
                assert list(batch[name].shape) == known, name
