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
    assert notes.lines()[0].startswith("1 sentences skipped: the word id is out of order")
    with pytest.raises(InputError, match=r"a\.conllu:3: the word id is out of order: '7', expected '1'"):
        list(read_conllu(path, column=None))


def test_half_a_character_is_a_bad_row(write):
    path = write('{"text": "a \\ud83d", "label": "x"}\n', "a.jsonl")
    with pytest.raises(InputError, match=r"a\.jsonl:1: not Unicode: 'text': character 2 is half of a surrogate pair"):
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


def test_a_header_of_several_lines_is_read(write):
    path = write('"the\ntext";label\n"one, two";x\n', "a.csv")
    assert list(read_labeled(path, text_field="the\ntext")) == [Labeled("one, two", "x", 3)]
    assert list(read_labeled(path, text_field=0)) == [Labeled("one, two", "x", 3)]


def test_rows_without_names_show_the_separator_by_their_widths(write):
    path = write("one, two, three;x\nfour;y\n", "a.csv")
    assert pairs(path, text_field=0, label_field=1, header=False) == [("one, two, three", "x"), ("four", "y")]


def test_a_long_header_is_read(write):
    path = write(f"text,label,{'x' * 200_000}\na,b,c\n", "a.csv")
    assert pairs(path) == [("a", "b")]


def test_a_comment_mark_within_quotes_is_text(write):
    path = write('# by hand\ntext,label\n"one\n# two",x\n# three,y\n', "a.csv")
    assert list(read_labeled(path, comment="#")) == [Labeled("one\n# two", "x", 3)]


def test_a_wrong_header_is_refused_by_its_line(write):
    with pytest.raises(InputError, match=r"a\.csv:3: no column 'label'"):
        list(read_labeled(write("# by hand\n\ntext,lab\na,b\n", "a.csv"), comment="#"))


def test_several_labels_are_one_text_and_no_null(write):
    path = write('{"text": "a", "label": true}\n{"text": "b", "label": "x|y"}\n', "a.jsonl")
    assert [example.labels for example in read_labeled(path, label_separator="|")] == [("true",), ("x", "y")]
    for value in ("null", '{"a": 1}', "[null]"):
        with pytest.raises(InputError, match="expected a label"):
            list(read_labeled(write(f'{{"text": "a", "label": {value}}}\n', "b.jsonl"), label_separator="|"))


@pytest.mark.parametrize("blank", [" ", "\t", "\v", "  "])
def test_any_blank_ends_the_label_of_a_fasttext_line(write, blank):
    assert pairs(write(f"__label__x{blank}some words\n", "a.fasttext")) == [("some words", "x")]


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r", ",,"])
def test_a_delimiter_that_cannot_be_is_refused(write, delimiter):
    path = write("text,label\na,b\n", "a.csv")
    with pytest.raises(InputError, match="delimiter .* expected one character"):
        list(read_labeled(path, delimiter=delimiter))
    with pytest.raises(ValueError, match="delimiter"):
        LabeledText.model_validate({"format": "labeled-text", "train": str(path), "delimiter": delimiter})


def test_pairs_are_not_read_from_lines(write):
    with pytest.raises(InputError, match="pairs of texts are read from a table or from JSON, not from fasttext"):
        list(read_labeled(write("__label__x a\n", "a.fasttext"), pair_field="pair"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text_field": []}, "at least one column"),
        ({"train": ""}, "at least 1 character"),
        ({"train": ["a.csv", ""]}, "at least 1 character"),
        ({"dev_fraction": 0.5, "test_fraction": 0.5}, "leaves nothing to train on"),
        ({"pair_field": "pair", "file_format": "lines"}, "data.pair_field needs columns or keys"),
    ],
)
def test_settings_that_read_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LabeledText.model_validate({"format": "labeled-text", **settings})


def test_a_digit_that_is_no_number_is_a_key(write):
    with pytest.raises(InputError, match=r"no key 'text\.²'"):
        list(read_labeled(write('{"text": ["a"], "label": "x"}\n', "a.jsonl"), text_field="text.²"))


def test_rows_skipped_for_one_reason_are_one_remark(write):
    notes = Notes()
    path = write('{"text": 1, "label": "x"}\n{"text": 2, "label": "x"}\n{"text": "a", "label": "x"}\n', "a.jsonl")
    assert len(list(read_labeled(path, bad=BadRows(skip=True, notes=notes)))) == 1
    assert len(notes.lines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "text,label\na,b,c\nd\n", "a.csv:2: 3 fields, expected 2"),
        ("a.csv", "text,label\na,\nd,\n", "a.csv:2: the label is empty"),
        ("a.jsonl", "3\n{\n", "a.jsonl:1: a int, expected an object"),
        ("a.jsonl", '{"text": 1, "label": "x"}\n{"text": "a"}\n', "a.jsonl:1: expected a string"),
        ("a.fasttext", "some words\nmore\n", "a.fasttext:1: the label is missing"),
        ("a.conll", "a b\nc b d\n\nc\n", "a.conll:2: 3 columns, expected 2"),
        ("a.conllu", "7\ta" + "\t_" * 8 + "\n\n8\ta" + "\t_" * 8 + "\n", "a.conllu:1: the word id is out of order"),
    ],
)
def test_a_file_whose_every_row_is_skipped_is_refused_with_the_first_reason(write, name, text, why):
    path, bad = write(text, name), BadRows(skip=True)
    read = {"conll": read_conll, "conllu": read_conllu}.get(name.partition(".")[2], read_labeled)
    with pytest.raises(InputError, match=rf"nothing is left: 2 rows were skipped, the first for this:\n.*{why}"):
        list(read(path, bad=bad))


@pytest.mark.parametrize("value", [True, 1.0, ["text", False]])
def test_a_truth_value_is_no_column(value):
    with pytest.raises(ValueError, match="expected a name, or a number from 0"):
        LabeledText.model_validate({"format": "labeled-text", "train": "a.csv", "text_field": value})


def test_a_list_of_no_files_is_refused():
    for data in (LabeledText, Conll):
        with pytest.raises(ValueError, match="an empty list names no file"):
            data.model_validate({"format": "labeled-text" if data is LabeledText else "conll", "train": []})
