# SPDX-License-Identifier: BSD-2-Clause
"""Oracles: counting; scikit-learn's StratifiedKFold for the sizes of folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.draw import draw_parts
from spago_jax.data.formats.conll import Conll
from spago_jax.data.formats.labeled_text import LabeledText
from spago_jax.errors import InputError


@given(
    st.lists(st.sampled_from("abc"), min_size=20, max_size=80), st.floats(0.1, 0.4), st.sampled_from([0.0, 0.1, 0.3])
)
def test_parts_are_disjoint_and_in_proportion(strata, dev, test):
    parts = draw_parts(len(strata), dev=dev, test=test, strata=strata)
    drawn = np.concatenate(list(parts.values()))
    assert sorted(drawn.tolist()) == list(range(len(strata)))
    assert len(parts["dev"]) == round(len(strata) * dev)
    for label in set(strata):
        whole = strata.count(label)
        found = sum(strata[i] == label for i in parts["dev"])
        assert abs(found - whole * dev) <= 2.5, label


def test_another_seed_draws_others_and_the_same_seed_the_same():
    one, again, other = (draw_parts(100, dev=0.2, seed=seed)["dev"].tolist() for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_folds_cover_everything_once_and_have_each_label_in_proportion():
    strata = ["a"] * 33 + ["b"] * 12
    folds = [draw_parts(45, dev=0.1, strata=strata, fold=(i, 5)) for i in range(5)]
    assert sorted(np.concatenate([fold["test"] for fold in folds]).tolist()) == list(range(45))
    for fold in folds:
        assert set(fold["test"]).isdisjoint([*fold["train"], *fold["dev"]])
        assert sum(strata[i] == "b" for i in fold["test"]) in (2, 3)
    selection = pytest.importorskip("sklearn.model_selection")
    theirs = [len(test) for _, test in selection.StratifiedKFold(5).split(np.zeros(45), strata)]
    assert sorted(len(fold["test"]) for fold in folds) == sorted(theirs)


def test_what_cannot_be_drawn():
    with pytest.raises(InputError, match="1 leaves nothing to train on"):
        draw_parts(10, dev=0.5, test=0.5)
    with pytest.raises(InputError, match="3 training examples are too few: none is left for dev"):
        draw_parts(3, dev=0.1)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{'ab'[i % 4 == 0]}\n" for i in range(40)))
    return tmp_path / "a.csv"


def test_parts_of_a_table_are_drawn_by_label_and_read_whole_where_files_are_given(table):
    data = LabeledText(format="labeled-text", train=str(table), dev_fraction=0.2, test_fraction=0.1)
    assert data.splits() == ["train", "dev", "test"]
    parts = {split: [example.text for example in data.read(split)] for split in data.splits()}
    assert {split: len(part) for split, part in parts.items()} == {"train": 28, "dev": 8, "test": 4}
    assert len(set().union(*map(set, parts.values()))) == 40
    assert sum(example.label == "b" for example in data.read("dev")) == 2
    assert len(list(data.read("data", [table]))) == 40
    assert data.settings("dev") != data.settings("train") != data.model_copy(update={"split_seed": 2}).settings("train")


def test_sentences_are_drawn_too(tmp_path):
    (tmp_path / "a.conll").write_text("".join(f"w{i}\tO\n\n" for i in range(20)))
    data = Conll(format="conll", train=str(tmp_path / "a.conll"), fold={"index": 1, "of": 4}, dev_fraction=0.2)
    assert {split: sum(1 for _ in data.read(split)) for split in data.splits()} == {"train": 12, "dev": 3, "test": 5}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dev": "x.csv", "dev_fraction": 0.1}, "data.dev names files and data.dev_fraction = 0.1 draws"),
        ({"test": "x.csv", "fold": {"index": 1, "of": 2}}, "data.fold draws test from data.train"),
        ({"fold": {"index": 3, "of": 2}}, "folds are numbered from 1 to 2"),
    ],
)
def test_sources_that_contradict_each_other(settings, message):
    with pytest.raises(ValueError, match=message):
        LabeledText(format="labeled-text", train="a.csv", **settings)


def test_lists_patterns_folders_and_names_with_brackets(tmp_path):
    for name in ("a.csv", "b.csv.gz", "c[1].csv", "d.txt", ".e.csv"):
        (tmp_path / name).write_bytes(b"")

    def names(value):
        return [path.name for path in LabeledText(format="labeled-text", train=value).files("train")]

    assert names(str(tmp_path)) == ["a.csv", "b.csv.gz", "c[1].csv"]
    assert names(f"{tmp_path}/[ab].csv*") == ["a.csv", "b.csv.gz"]
    assert names(f"{tmp_path}/c[1].csv") == ["c[1].csv"]
    assert names([f"{tmp_path}/a.csv", f"{tmp_path}/d.txt"]) == ["a.csv", "d.txt"]
    assert names(f"{tmp_path}/z*.csv") == ["z*.csv"]  # named in the error


@pytest.mark.parametrize("kind", ["length", "uniform"])
def test_drawn_batches_have_every_class_as_often(kind):
    from spago_jax.data.batching import LengthBatches, UniformBatches
    from spago_jax.train.task import balancing_weights

    labels = np.array([0] * 90 + [1] * 10)
    weights = balancing_weights(labels)
    lengths = np.tile([3, 12], 50)
    if kind == "length":
        batches = LengthBatches(lengths, 10, bucket_lengths=(8, 16), weights=weights, seed=1)
    else:
        batches = UniformBatches(100, 10, weights=weights, seed=1)
    drawn = np.concatenate([block.indices.ravel() for epoch in range(20) for block in batches.epoch(epoch)])
    assert len(drawn) == 2000
    assert 0.45 < labels[drawn].mean() < 0.55
    if kind == "length":
        assert all((lengths[block.indices] <= block.length).all() for block in batches.epoch(0))
