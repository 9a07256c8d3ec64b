# SPDX-License-Identifier: BSD-2-Clause
"""The ways in which people write labeled texts. Oracle: hand-written files."""

import json

import pytest

from spago_jax.data.examples import Labeled
from spago_jax.data.formats.conll import Conll, read_conll
from spago_jax.data.formats.conllu import read_conllu
from spago_jax.data.formats.labeled_text import LabeledText, read_labeled
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError


@pytest.fixture
def write(tmp_path):
    def put(text, name="a.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return put


def pairs(path, **settings):
    return [(example.text, example.label) for example in read_labeled(path, **settings)]


@pytest.mark.parametrize("cut", [";", "\t", "|"])
def test_the_separator_is_seen_in_the_header(write, cut):
    assert pairs(write(f"label{cut}text\nx{cut}a, b\n")) == [("a, b", "x")]


def test_columns_by_number_and_no_header(write):
    path = write("x,hello\ny,you\n")
    assert pairs(path, header=False, text_field=1, label_field=0) == [("hello", "x"), ("you", "y")]
    with pytest.raises(InputError, match=r"a\.csv:1: no column 5; they are numbered 0 to 1"):
        pairs(path, header=False, text_field=5, label_field=0)
    with pytest.raises(InputError, match="no column 'text': there is no header; give the number"):
        pairs(path, header=False, label_field=0)


def test_several_columns_are_one_text_and_a_second_text_is_a_pair(write):
    path = write("title,body,other,label\nA,b c,d,x\n")
    assert pairs(path, text_field=("title", "body")) == [("A b c", "x")]
    (example,) = read_labeled(path, text_field="title", pair_field="other")
    assert (example.text, example.pair, example.label) == ("A", "d", "x")


def test_a_column_that_is_there_twice_is_refused_unless_it_is_numbered(write):
    path = write("text,label,text\na,x,b\n")
    with pytest.raises(InputError, match="column 'text' is there 2 times: give its number, from 0"):
        pairs(path)
    assert pairs(path, text_field=2) == [("b", "x")]


def test_labels_that_differ_by_blanks_are_one_label(write):
    assert [label for _, label in pairs(write("text,label\na,x\nb, x\nc,x \n"))] == ["x", "x", "x"]


def test_json_arrays_and_nested_keys(write):
    records = [{"data": {"title": "a", "tags": ["x", "y"]}}, {"data": {"title": "b", "tags": ["y", "x"]}}]
    settings = {"text_field": "data.title", "label_field": "data.tags.0"}
    for path in (write(json.dumps(records), "a.json"), write("\n".join(map(json.dumps, records)), "a.jsonl")):
        assert pairs(path, **settings) == [("a", "x"), ("b", "y")]
    with pytest.raises(InputError, match=r"a\.jsonl:1: no key 'data.titel'; found: data"):
        pairs(path, text_field="data.titel", label_field="data.tags.0")
    with pytest.raises(InputError, match="a JSON dict, expected an array of objects"):
        pairs(write("{}", "b.json"))


def test_several_labels(write):
    (one, two) = read_labeled(write("text,label\na,x|y\nb,\n"), label_separator="|")
    assert (one.label, one.labels, two.labels) == (None, ("x", "y"), ())
    (three,) = read_labeled(write('{"text": "a", "label": ["x", 2]}', "a.jsonl"))
    assert three.labels == ("x", "2")


def test_fasttext_and_label_text_lines(write):
    path = write("__label__x hello there\n__label__y __label__z you\n", "a.txt")
    one, two = read_labeled(path)  # seen in its first line
    assert (one.text, one.label, two.text, two.labels) == ("hello there", "x", "you", ("y", "z"))
    assert pairs(write("0 so so\n1\tgood\n", "b.txt"), format="label-text") == [("so so", "0"), ("good", "1")]
    assert pairs(write("a\n\nb\n", "c.txt"), format="lines", label_field=None) == [("a", None), ("", None), ("b", None)]


def test_the_key_that_the_message_names_exists(write):
    with pytest.raises(InputError, match=r"set data\.file_format \(or --input-format\) to csv, tsv"):
        pairs(write("a", "a.txt"))
    assert "file_format" in LabeledText.model_fields


def test_comments(write):
    assert pairs(write("# made by hand\ntext,label\na,x\n# b,y\n"), comment="#") == [("a", "x")]
    path = write("# id 1\nAda\tB-PER\n\n# id 2\n# tok\tO\nBob\tB-PER\n", "a.conll")
    found = list(read_conll(path, comment="# id"))
    assert [sentence.tokens for sentence in found] == [["Ada"], ["# tok", "Bob"]]


def test_bad_rows_are_reported_together(write):
    path = write("text,label\na,x\nb\nc,\nd,x,y\n")
    with pytest.raises(InputError) as error:
        pairs(path)
    assert [line.split(":", 1)[-1] for line in str(error.value).splitlines()[1:]] == [
        "3: 1 field, expected 2 as in the header (text, label)",
        "4: the label is empty: 'label' is \"\"",
        "5: 3 fields, expected 2 as in the header (text, label)",
    ] or str(error.value).count(str(path)) == 3
    assert "pass over them with data.skip_bad_rows: true" in str(error.value)


def test_bad_rows_are_skipped_on_request_and_counted(write):
    data = LabeledText(format="labeled-text", train=str(write("text,label\na,x\nb\nc,\nd,\n")), skip_bad_rows=True)
    notes = Notes()
    assert list(data.read("train", notes=notes)) == [Labeled("a", "x", 2)]
    assert notes.lines()[-1].startswith("2 rows skipped: the label is empty (the first: ")
    text = "Ada\tB-PER\n\nBob\n\nEve\tB-PER\nruns\n\nIda\tB-PER\n"
    conll, notes = Conll(format="conll", train=str(write(text, "a.conll")), skip_bad_rows=True), Notes()
    assert [sentence.tokens for sentence in conll.read("train", notes=notes)] == [["Ada"], ["Ida"]]
    assert "2 lines skipped: 1 column, expected 2" in notes.lines()[0]


def test_bad_sentences_of_conllu_are_skipped_on_request(write):
    row = "{}\t{}" + "\t_" * 8 + "\n"
    path = write(row.format(1, "a") + "\n" + row.format(7, "b") + "\n" + row.format(1, "c"), "a.conllu")
    notes = Notes()
    found = read_conllu(path, column=None, bad=BadRows("sentences", skip=True, notes=notes))
    assert [sentence.tokens for sentence in found] == [["a"], ["c"]]
    assert notes.lines()[0].startswith("1 sentences skipped: word id '7'")
    with pytest.raises(InputError, match=r"a\.conllu:3: word id '7', expected '1'"):
        list(read_conllu(path, column=None))


def test_half_a_character_is_a_bad_row(write):
    path = write('{"text": "a \\ud83d", "label": "x"}\n', "a.jsonl")
    with pytest.raises(InputError, match=r"a\.jsonl:1: 'text': character 2 is half of a surrogate pair"):
        pairs(path)


def test_the_lines_of_a_file_are_written_again_with_tags(write):
    conll = write("-DOCSTART- -X- O O\n\nAda NNP I-NP O\nruns VBZ I-VP O\n", "a.conll")
    (sentence,) = read_conll(conll, tag_column=None, frames=True)
    assert sentence.frame.with_tags(["B-PER", "O"]) == (
        "-DOCSTART- -X- O O O\nAda NNP I-NP O B-PER\nruns VBZ I-VP O O\n\n"
    )
    rows = "# text = don't\n1-2\tdon't" + "\t_" * 8 + "\n1\tdo\tdo\tAUX" + "\t_" * 6 + "\n2\tn't\tnot\tPART" + "\t_" * 6
    (sentence,) = read_conllu(write(rows, "a.conllu"), column=None, target="upos")
    assert sentence.frame.with_tags(["X", "Y"]) == rows.replace("AUX", "X").replace("PART", "Y") + "\n\n"


def test_byte_order_marks_where_files_were_joined_are_no_part_of_a_token(write):
    joined = "\ufeffAda\tB-PER\n\n\ufeffBob\tB-PER\n"
    assert [sentence.tokens for sentence in read_conll(write(joined, "a.conll"))] == [["Ada"], ["Bob"]]
    row = "\ufeff1\t{}" + "\t_" * 8 + "\n\n"
    found = read_conllu(write(row.format("a") + row.format("b"), "a.conllu"), column=None)
    assert [sentence.tokens for sentence in found] == [["a"], ["b"]]
