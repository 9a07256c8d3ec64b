# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: hand-written files, and the published counts of the corpora (their SOURCE.md)."""

import gzip
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.examples import Tokens
from spago_jax.data.formats.conll import conll_block, read_conll, write_conll
from spago_jax.errors import InputError


@pytest.fixture
def conll(tmp_path):
    def write(text, name="a.conll"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def read(path, **settings):
    return [(s.tokens, s.tags, s.line) for s in read_conll(path, **settings)]


def refused(path, **settings):
    with pytest.raises(InputError) as caught:
        list(read_conll(path, **settings))
    return str(caught.value).removeprefix(str(path))


EXPECTED = [(["#one", "two"], ["O", "B-x"], 1), (["three"], ["O"], 4)]


@pytest.mark.parametrize(
    "text",
    [
        "#one\tO\ntwo\tB-x\n\nthree\tO\n",
        "#one O\ntwo B-x\n\nthree O\n",
        "#one\tO\r\ntwo\tB-x\r\n\r\nthree\tO\r\n",
        "#one\tO\ntwo\tB-x\n\nthree\tO",
        "\ufeff#one\tO\ntwo\tB-x\n \t\nthree\tO\n\n\n\n",
        "#one   O\ntwo  B-x \n\n three O\n",
    ],
    ids=["tabs", "blanks", "crlf", "no final newline", "bom and many blank lines", "aligned"],
)
def test_the_same_sentences_in_every_form(conll, text):
    assert read(conll(text)) == EXPECTED
    assert read(conll(gzip.compress(text.encode()), "a.conll.gz")) == EXPECTED


def test_document_lines_are_no_sentences(conll):
    path = conll(
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\n\n-DOCSTART- O\nrejects VBZ B-VP O\n-DOCSTART- -X- -X- O\nX Y Z O\n"
    )
    assert read(path) == [(["EU"], ["B-ORG"], 3), (["rejects"], ["O"], 6), (["X"], ["O"], 8)]
    assert read(path, tag_column=1) == [(["EU"], ["NNP"], 3), (["rejects"], ["VBZ"], 6), (["X"], ["Y"], 8)]
    assert read(path, token_column=-2, tag_column=None)[0] == (["B-NP"], None, 3)


def test_tokens_may_hold_blanks_and_odd_spaces(conll):
    assert read(conll("New York\tB-loc\n\u00a0\tO\n\u2028\tO\n \tO\n")) == [
        (["New York", "\u00a0", "\u2028", " "], ["B-loc", "O", "O", "O"], 1)
    ]
    assert read(conll("\u00a0 O\nx\u0085y O\n")) == [(["\u00a0", "x\u0085y"], ["O", "O"], 1)]


def test_one_column_for_prediction(conll):
    path = conll("one\ntwo\n\nthree")
    assert read(path, tag_column=None) == [(["one", "two"], None, 1), (["three"], None, 4)]
    assert read(conll("New York\nis", "b.conll"), tag_column=None, columns=1) == [(["New York", "is"], None, 1)]
    assert refused(path) == (
        ":1: 1 column, expected 2 or more, a token and its tag: 'one' (tag_column=None reads no tags)"
    )


def test_columns_that_are_not_read_may_be_empty(conll):
    assert read(conll("a\t\tO\nb\t\tO\n")) == [(["a", "b"], ["O", "O"], 1)]


def test_wrong_number_of_columns(conll):
    assert refused(conll("\na\tO\nb\tX\tO\n")) == ":3: 3 columns, expected 2 as in line 2: 'b\\tX\\tO'"
    assert refused(conll("a X O\nb O\n")) == ":2: 2 columns, expected 3 as in line 1: 'b O'"
    assert refused(conll("a\tO\nb O\n")) == (
        ":2: 1 column, expected 2 as in line 1: 'b O' (no tab here, but tabs between the columns of line 1)"
    )
    assert refused(conll("a O\nb\tO\n")) == (
        ":2: 1 column, expected 2 as in line 1: 'b\\tO' (a tab here, but blanks between the columns of line 1)"
    )
    assert refused(conll("a\tO\n"), columns=3) == ":1: 2 columns, expected 3: 'a\\tO'"
    assert refused(conll("a\tO\nb\n"), columns=2).startswith(":2: 1 column, expected 2: 'b'")
    assert refused(conll("a" * 100 + "\tO\nb\tO\t" + "x" * 100)).endswith("x...'")


def test_the_first_sentences_come_before_a_later_error(conll):
    sentences = read_conll(conll("a\tO\n\nb\tO\n\nc\n"))
    assert next(sentences).tokens == ["a"]
    assert next(sentences).tokens == ["b"]
    with pytest.raises(InputError, match=r":5: 1 column"):
        next(sentences)


def test_empty_values(conll):
    assert refused(conll("a\tO\n\tO\n")) == ":2: the token is empty: '\\tO'"
    assert refused(conll("a\tO\nb\t\n")) == ":2: the tag is empty: 'b\\t'"


def test_columns_that_are_not_there(conll):
    path = conll("a\tO\n")
    assert refused(path, tag_column=2) == ":1: tag_column 2 does not exist: 2 columns, numbered 0 to 1"
    assert refused(path, token_column=-3) == ":1: token_column -3 does not exist: 2 columns, numbered 0 to 1"
    assert refused(path, tag_column=0) == ": token_column and tag_column are both column 0"


@pytest.mark.parametrize("text", ["", "\n\n \n", "-DOCSTART- O\n\n", "\ufeff"])
def test_an_empty_file(conll, text):
    assert refused(conll(text)) == ": empty: no line has a token"


def test_bad_files_are_refused_before_reading(conll, tmp_path):
    conll("x", "train.conll")
    with pytest.raises(InputError, match=r"did you mean 'train.conll'"):
        read_conll(tmp_path / "trian.conll")
    with pytest.raises(InputError, match=r"is a folder, expected a file; it holds: train.conll"):
        read_conll(tmp_path)
    assert refused(conll(b"a\tO\n\xff\tO\n")) == ":2: not UTF-8: byte 0xff at offset 4"


def test_a_block_of_lines():
    assert conll_block(["a", "b"]) == "a\nb\n\n"
    assert conll_block(["a"], ["O"], ["B-x"]) == "a\tO\tB-x\n\n"
    with pytest.raises(InputError, match=r"^2 tags for 1 tokens, expected one per token$"):
        conll_block(["a"], ["O", "O"])
    for value in ("", "a\tb", "a\nb", "a\rb"):
        with pytest.raises(InputError) as caught:
            conll_block([value], ["O"])
        assert str(caught.value) == (
            f"{value!r} cannot be written in a column: it is empty or contains a tab or a line end"
        )


def test_a_file_that_cannot_be_written_whole_is_not_written(tmp_path):
    path = tmp_path / "a.conll"
    with pytest.raises(InputError):
        write_conll(path, [Tokens(["fine"], ["O"]), Tokens([""], ["O"])])
    assert list(tmp_path.iterdir()) == []


word = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1, max_size=6).filter(
    lambda text: text.strip(" ") and not text.startswith(("-DOCSTART-", "\ufeff"))
)


@given(st.lists(st.lists(st.tuples(word, word), min_size=1, max_size=4), min_size=1, max_size=4))
def test_written_and_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.conll"
    sentences = [Tokens([token for token, _ in row], [tag for _, tag in row]) for row in rows]
    write_conll(path, sentences)
    assert [(s.tokens, s.tags) for s in read_conll(path)] == [(s.tokens, s.tags) for s in sentences]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("ner-bc5cdr/train.conll", (4560, 118170, {"Chemical": 5203, "Disease": 4182})),
        ("ner-bc5cdr/dev.conll", (4581, 117453, {"Chemical": 5347, "Disease": 4246})),
        ("ner-bc5cdr/test.conll", (4797, 124750, {"Chemical": 5385, "Disease": 4424})),
        ("ner-wnut17/train.conll", (3394, 62730, 1975)),
        ("ner-wnut17/dev.conll", (1009, 15733, 836)),
        ("ner-wnut17/test.conll", (1287, 23394, 1079)),
    ],
)
def test_published_counts(shared_data, path, counts):
    sentences = list(read_conll(shared_data / path))
    entities = Counter(tag[2:] for s in sentences for tag in s.tags or [] if tag.startswith("B-"))
    found = dict(entities) if isinstance(counts[2], dict) else sum(entities.values())
    assert (len(sentences), sum(map(len, sentences)), found) == counts


@pytest.mark.shared_data
def test_the_submissions_have_the_tokens_of_the_test_set(shared_data):
    gold = [s.tokens for s in read_conll(shared_data / "ner-wnut17/test.conll")]
    submissions = sorted((shared_data / "ner-wnut17/submissions").iterdir())
    assert len(submissions) == 7
    for path in submissions:
        sentences = [s.tokens for s in read_conll(path)]
        assert [len(tokens) for tokens in sentences] == [len(tokens) for tokens in gold], path
