# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: hand-written files, and the published counts of BANKING77 (its SOURCE.md)."""

import gzip
import json

import pytest

from spago_jax.data.examples import Labeled
from spago_jax.data.formats.labeled_text import read_labeled
from spago_jax.errors import InputError


@pytest.fixture
def table(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def refused(path, **settings):
    with pytest.raises(InputError) as caught:
        list(read_labeled(path, **settings))
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.csv.gz"])
def test_csv(table, end, name):
    text = end.join(["\ufefflabel,text", 'greet,"Hello, ""you"""', "", f'two,"a{end}b"', "three,c"])
    assert list(read_labeled(table(text, name))) == [
        Labeled('Hello, "you"', "greet", 2),
        Labeled(f"a{end}b", "two", 4),
        Labeled("c", "three", 6),
    ]


def test_tsv_has_no_quotes(table):
    path = table('text\tx\tlabel\n"Hi\t1\ta\nb\t2\t"c"\n', "a.tsv")
    assert list(read_labeled(path)) == [Labeled('"Hi', "a", 2), Labeled("b", '"c"', 3)]


def test_jsonl(table):
    rows = [{"text": "a\n", "label": "x"}, {"text": "b", "label": 3, "more": []}, {"text": "", "label": True}]
    path = table("\n".join(map(json.dumps, rows)) + "\n\n", "a.jsonl")
    assert list(read_labeled(path)) == [Labeled("a\n", "x", 1), Labeled("b", "3", 2), Labeled("", "true", 3)]


def test_other_fields_and_no_labels(table):
    path = table("query,category\nhi,greet\n")
    assert list(read_labeled(path, text_field="query", label_field="category")) == [Labeled("hi", "greet", 2)]
    assert list(read_labeled(path, text_field="query", label_field=None)) == [Labeled("hi", None, 2)]
    assert list(read_labeled(table('{"text": "a"}', "a.ndjson"), label_field=None)) == [Labeled("a", None, 1)]


def test_the_format(table):
    path = table("text,label\na,b\n", "a.dat")
    assert list(read_labeled(path, format="csv")) == [Labeled("a", "b", 2)]
    for name in ("a.dat", "a"):
        path = table("x", name)
        assert refused(path).startswith(": cannot tell the format from the name; set data.file_format (or --input-fo")
    assert refused(path, format="jsonll") == ": format 'jsonll' is unknown: did you mean 'jsonl'?"


def test_csv_errors(table):
    assert refused(table("")) == ": empty, expected a header line"
    assert refused(table("text,label\n\n")) == ": no records below the header"
    assert refused(table("text,labels\na,b\n")) == ":1: no column 'label'; did you mean 'labels'? (found: text, labels)"
    assert refused(table("q,c\na,b\n")) == ":1: no column 'text'; found: c, q"
    assert refused(table('text,label\n"a\nb",c\nd\n')) == ":4: 1 field, expected 2 as in the header (text, label)"
    assert refused(table("text,label\na,b,c\n")) == ":2: 3 fields, expected 2 as in the header (text, label)"
    assert refused(table("text,label\na,\n")) == ":2: the label is empty: 'label' is \"\""
    assert refused(table('text,label\na,b\n"open,c\nd,e\n')) == ":3: malformed: unexpected end of data"
    assert refused(table('text,label\n"a"b,c\n')) == ":2: malformed: ',' expected after '\"'"


def test_a_long_field(table):
    text = "x" * 200_000  # beyond what the csv module takes when not told
    assert next(read_labeled(table(f"text,label\n{text},a\n"))).text == text


def test_jsonl_errors(table):
    name = "a.jsonl"
    assert refused(table("\n", name)) == ": empty, expected one JSON object per line"
    assert refused(table('\n{"text": "a"', name)).startswith(":2: not JSON: Expecting ',' delimiter")
    assert refused(table("[1]", name)) == ":1: a list, expected an object"
    assert refused(table('{"text": "a", "lable": "b"}', name)) == (
        ":1: no key 'label'; did you mean 'lable'? (found: text, lable)"
    )
    assert refused(table("{}", name)) == ":1: no key 'text'; none found"
    assert refused(table('{"text": 3, "label": "a"}', name)) == ":1: expected a string: 'text' is 3"
    assert refused(table('{"text": "a", "label": null}', name)) == ":1: expected a label: 'label' is null"
    assert refused(table('{"text": "a", "label": ""}', name)) == ":1: the label is empty: 'label' is \"\""


def test_missing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_labeled(tmp_path / "a.csv")


@pytest.mark.shared_data
def test_published_counts(shared_data):
    folder = shared_data / "cls-banking77"
    names = set(json.loads((folder / "categories.json").read_text()))
    for name, n in (("train.csv", 10003), ("test.csv", 3080)):
        examples = list(read_labeled(folder / name, label_field="category"))
        assert len(examples) == n
        assert {example.label for example in examples} == names
        assert len(names) == 77
