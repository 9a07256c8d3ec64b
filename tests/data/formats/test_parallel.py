"""Parallel texts: columns of a table, JSON keys, and two files whose lines belong together."""

import gzip
import json

import numpy as np
import pytest
from helpers import refuses
from pydantic import ValidationError

from spago_jax.data.examples import Parallel
from spago_jax.data.formats.parallel import ParallelText, read_line_pairs
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError

PAIRS = [("Hi.", "嗨。"), ("Run.", "你用跑的。"), ("a\u2028b", '"x')]


def reader(**settings):
    return ParallelText(format="parallel", **settings)


def pairs(found):
    return [(pair.source, pair.target) for pair in found]


def table(path, rows=PAIRS, mark="\t"):
    path.write_text("".join(f"{source}{mark}{target}\n" for source, target in rows), "utf-8")
    return str(path)


def test_columns_are_found_by_number_where_there_is_no_header(tmp_path):
    data = reader(train=table(tmp_path / "cmn.tsv"), header=False, source_field=0, target_field=1)
    assert pairs(data.read("train")) == PAIRS
    turned = data.model_copy(update={"source_field": 1, "target_field": 0})
    assert pairs(turned.read("train")) == [(b, a) for a, b in PAIRS]


def test_a_file_of_another_name_is_read_by_its_format(tmp_path):
    name = table(tmp_path / "cmn.txt")
    settings = {"header": False, "source_field": 0, "target_field": 1}
    assert pairs(reader(train=name, file_format="tsv", **settings).read("train")) == PAIRS
    with pytest.raises(InputError, match=r"cannot tell the format from the name; set data\.file_format"):
        list(reader(train=name, **settings).read("train"))


def test_json_keys_look_into_nested_objects(tmp_path):
    file = tmp_path / "a.jsonl.gz"
    rows = [{"translation": {"en": source, "zh": target}} for source, target in PAIRS]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    data = reader(train=str(file), source_field="translation.en", target_field="translation.zh")
    assert pairs(data.read("train")) == PAIRS
    assert [pair.line for pair in data.read("train")] == [1, 2, 3]
    wrong = data.model_copy(update={"target_field": "translation.cn"})
    with pytest.raises(InputError, match=r"no key 'translation\.cn'"):
        list(wrong.read("train"))


def test_csv_may_quote_and_comments_are_skipped(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('# made by hand\nsource,target\n"one, two","uno,\ndue"\n')
    data = reader(train=str(file), comment="#")
    assert list(data.read("train")) == [Parallel("one, two", "uno,\ndue", 3)]


def two_files(folder, sources, targets, name="train"):
    (folder / f"{name}.en").write_text(sources, "utf-8")
    (folder / f"{name}.it").write_text(targets, "utf-8")
    return {name: str(folder / f"{name}.en"), f"{name}_target": str(folder / f"{name}.it")}


def test_two_files_belong_together_line_by_line(tmp_path):
    named = two_files(tmp_path, "one\r\n\ntwo\u2028a\tb\n", "uno\n\ndue,tre")
    data = reader(**named)
    assert list(data.read("train")) == [Parallel("one", "uno", 1), Parallel("two\u2028a\tb", "due,tre", 3)]
    assert [path.name for path in data.sources("train")] == ["train.en", "train.it"]
    assert "train_target" not in data.settings("train")
    other = two_files(tmp_path, "x\n", "y\n", "other")
    assert pairs(data.read("data", data.expand(other["other"]) + data.expand(other["other_target"]))) == [("x", "y")]


def test_several_files_have_as_many_targets(tmp_path):
    a, b = two_files(tmp_path, "1\n", "I\n", "a"), two_files(tmp_path, "2\n", "II\n", "b")
    data = reader(train=[a["a"], b["b"]], train_target=[a["a_target"], b["b_target"]])
    assert pairs(data.read("train")) == [("1", "I"), ("2", "II")]
    fewer = reader(train=[a["a"], b["b"]], train_target=[a["a_target"]])
    with refuses("data.train has 2 files and data.train_target 1: expected one for each"):
        fewer.check()
    gone = reader(train=a["a"], train_target=str(tmp_path / "none.it"))
    with pytest.raises(InputError, match=r"data\.train_target: no such file"):
        gone.check()


@pytest.mark.parametrize(("longer", "shorter"), [("en", "it"), ("it", "en")])
def test_a_file_with_more_lines_is_refused(tmp_path, longer, shorter):
    two_files(tmp_path, "1\n2\n", "I\nII\n")
    file, other = tmp_path / f"train.{longer}", tmp_path / f"train.{shorter}"
    file.write_text("1\n2\n3\n")
    with refuses(f"{file}:3: has more lines than {other}, which ends after 2: line by line they belong together"):
        list(read_line_pairs(tmp_path / "train.en", tmp_path / "train.it"))


def test_an_empty_side_is_a_bad_row_with_its_line(tmp_path):
    named = two_files(tmp_path, "1\n \n3\n", "I\nII\nIII\n")
    with refuses(f"{tmp_path / 'train.en'}:2: the source is empty"):
        list(reader(**named).read("train"))
    notes = Notes()
    assert pairs(reader(**named, skip_bad_rows=True).read("train", notes=notes)) == [("1", "I"), ("3", "III")]
    assert notes.lines() == [f"1 pairs skipped: the source is empty (the first: {tmp_path / 'train.en'}:2)"]
    file = table(tmp_path / "a.tsv", [("source", "target"), ("a", " "), ("b", "c")])
    with refuses(f"{file}:2: the target is empty"):
        list(reader(train=file).read("train"))
    assert pairs(reader(train=file, skip_bad_rows=True).read("train")) == [("b", "c")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_target": "b"}, "data.train_target has no sources"),
        ({"train": "a", "train_target": "b", "dev": "c"}, "give data.dev_target"),
        ({"train": "a", "train_target": "b", "file_format": "csv"}, "data.file_format is about tables"),
        ({"train": "a", "train_target": []}, "an empty list names no file"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        reader(**settings)


def test_drawn_parts_share_no_source(tmp_path):
    """Several translations of a sentence stay in one part, in tables and in two files."""
    random = np.random.default_rng(0)
    rows = [(f"s{random.integers(40)}", f"t{number}") for number in range(200)]
    named = two_files(tmp_path, "".join(f"{s}\n" for s, _ in rows), "".join(f"{t}\n" for _, t in rows))
    drawn = {"dev_fraction": 0.2, "test_fraction": 0.1}
    tables = reader(train=table(tmp_path / "a.tsv", rows), header=False, source_field=0, target_field=1, **drawn)
    for data in (tables, reader(**named, **drawn)):
        parts = {split: pairs(data.read(split)) for split in ("train", "dev", "test")}
        assert sorted(row for part in parts.values() for row in part) == sorted(rows)
        sources = {split: {source for source, _ in part} for split, part in parts.items()}
        assert not sources["train"] & (sources["dev"] | sources["test"])
        assert not sources["dev"] & sources["test"]
        assert len(sources["dev"]) == 8
        assert len(sources["test"]) == 4
        assert data.sources("dev") == data.sources("train")


@pytest.mark.shared_data
def test_tatoeba(shared_data):
    data = reader(
        train=str(shared_data / "mt-tatoeba-cmn-eng" / "cmn.txt"), file_format="tsv", header=False, source_field=0,
        target_field=1,
    )  # fmt: skip
    found = list(data.read("train"))
    assert len(found) == 20133
    assert found[0] == Parallel("Hi.", "嗨。", 1)
