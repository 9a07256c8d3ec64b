# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: a hand-written file, and the published counts of UD English EWT (its SOURCE.md)."""

import gzip

import pytest

from spago_jax.data.formats.conllu import CONLLU_COLUMNS, read_conllu
from spago_jax.errors import InputError

TEXT = """# sent_id = 1
# text = I don't #go
1	I	I	PRON	PRP	Case=Nom	3	nsubj	_	_
2-3	don't	_	_	_	_	_	_	_	_
2	do	do	AUX	VBP	_	0	root	_	SpaceAfter=No
3	n't	not	PART	RB	_	2	advmod	_	_
3.1	went	go	VERB	VBD	_	_	_	_	_
4	#go	go	VERB	VB	_	2	dep	_	_


# only comments

1	New York	New York	PROPN	NNP	_	0	root	_	_"""


@pytest.fixture
def conllu(tmp_path):
    def write(text, name="a.conllu"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def read(path, **settings):
    return [(s.tokens, s.tags, s.line) for s in read_conllu(path, **settings)]


def refused(path, **settings):
    with pytest.raises(InputError) as caught:
        list(read_conllu(path, **settings))
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_words_without_ranges_and_empty_nodes(conllu, name, end):
    path = conllu(TEXT.replace("\n", end), name)
    words = ["I", "do", "n't", "#go"]
    assert read(path) == [(words, ["PRON", "AUX", "PART", "VERB"], 3), (["New York"], ["PROPN"], 13)]
    assert read(path, column=None)[0] == (words, None, 3)


def test_every_column(conllu):
    path = conllu(TEXT)
    first = {column: read(path, column=column)[0][1][0] for column in CONLLU_COLUMNS}
    assert list(first.values()) == ["1", "I", "I", "PRON", "PRP", "Case=Nom", "3", "nsubj", "_", "_"]
    with pytest.raises(InputError, match=r"^'uppos' is not a column of CoNLL-U: did you mean 'upos'\?$"):
        read_conllu(path, column="uppos")


ROW = "\ta\ta\tX\t_\t_\t_\t_\t_\t_\n"


def test_errors_name_the_line(conllu):
    assert refused(conllu("1" + ROW + "2\tb\n")) == (":2: 2 tab-separated columns, expected the 10 of CoNLL-U: '2\\tb'")
    assert refused(conllu("1" + ROW + "3" + ROW)) == (
        ":2: the word id is out of order: '3', expected '2' (or a range such as 1-2, or an empty node such as 8.1)"
    )
    assert refused(conllu("x" + ROW)).startswith(":1: the word id is out of order: 'x', expected '1'")
    assert refused(conllu("1-x" + ROW)).startswith(":1: the word id is out of order: '1-x', expected '1'")
    assert refused(conllu("1\t\ta\tX" + "\t_" * 6)) == ":1: the form is empty; CoNLL-U writes '_' for nothing"
    assert refused(conllu("1\ta\ta\t" + "\t_" * 6)) == ":1: the upos is empty; CoNLL-U writes '_' for nothing"
    assert refused(conllu("# nothing\n\n")) == ": empty: no line has a word"


def test_missing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_conllu(tmp_path / "a")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "counts"),
    [("train.conllu.gz", (12544, 204577)), ("dev.conllu", (2001, 25147)), ("test.conllu", (2077, 25094))],
)
def test_published_counts(shared_data, name, counts):
    sentences = list(read_conllu(shared_data / "ud-english-ewt" / f"en_ewt-ud-{name}"))
    assert (len(sentences), sum(map(len, sentences))) == counts
    assert len({tag for s in sentences for tag in s.tags or []}) == 17  # the universal tag set
