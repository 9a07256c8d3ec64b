# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the sentences and examples that were put in."""

import json

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data import encoded
from spago_jax.data.encoded import EncodedSentences, encode_sentences, name_table
from spago_jax.data.encoded_examples import EncodedExamples, encode_labeled
from spago_jax.data.examples import Labeled, Tokens
from spago_jax.data.formats.conll import read_conll

word = st.text(min_size=1, max_size=3)
tagged = st.lists(st.lists(st.tuples(word, st.sampled_from("OBI")), max_size=5), min_size=1, max_size=6)


@given(tagged, st.booleans(), st.integers(1, 12))
def test_what_goes_in_comes_out(tmp_path_factory, rows, with_tags, at_once):
    folder = tmp_path_factory.mktemp("encoded")
    sentences = [
        Tokens([token for token, _ in row], [tag for _, tag in row] if with_tags else None, 3 * at)
        for at, row in enumerate(rows)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "_TOKENS", at_once)  # so that a small corpus is written in several parts
        encode_sentences(iter(sentences), folder)
    corpus = EncodedSentences.open(folder)
    assert [corpus.sentence(at) for at in range(len(corpus))] == sentences
    assert corpus.lengths.tolist() == [len(row) for row in rows]
    assert corpus.lengths.dtype == np.int32
    assert corpus.lines.tolist() == [3 * at for at in range(len(rows))]
    if with_tags:
        assert corpus.tags is not None
        assert corpus.tags.offsets.tolist() == corpus.forms.offsets.tolist()
        assert corpus.tag_names == list(dict.fromkeys(tag for row in rows for _, tag in row))
    else:
        assert corpus.tags is None
        assert corpus.tag_names == []


def test_looking_at_it(tmp_path):
    corpus = encode_sentences([Tokens(["a", "b", "a"], ["O", "B", "O"])], tmp_path)
    assert repr(corpus) == "EncodedSentences(1 sentences, 3 tokens, 2 forms, 2 tags)"
    assert corpus.lexicon.counts.tolist() == [2, 1]


def test_name_table():
    assert name_table(["a", "b"], ["b", "c"], unknown=9).tolist() == [9, 0]


def test_bad_sentences_leave_nothing(tmp_path):
    folder = tmp_path / "a"
    with refuses("no sentences to encode"):
        encode_sentences([], folder)
    with refuses("the sentence of line 4 has 1 tags for 2 tokens"):
        encode_sentences([Tokens(["a", "b"], ["O"], 4)], folder)
    with refuses("the sentence of line 7: some sentences have tags and some none"):
        encode_sentences([Tokens(["a"], ["O"], 5), Tokens(["a"], None, 7)], folder)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_reader_leaves_nothing(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("a\tO\n\nb\n")
    with refuses(
        f"{path}:3: 1 column, expected 2 as in line 1: 'b' (no tab here, but tabs between the columns of line 1)"
    ):
        encode_sentences(read_conll(path), tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.conll"]


def test_not_over_something_else(tmp_path):
    (tmp_path / "mine").touch()
    with refuses(f"{tmp_path}: already exists and is not an empty folder: choose another name"):
        encode_sentences([Tokens(["a"])], tmp_path)


@given(st.lists(st.tuples(st.text("ab ", max_size=6), st.sampled_from("xyz")), min_size=1, max_size=6), st.booleans())
def test_examples(tmp_path_factory, rows, with_labels):
    folder = tmp_path_factory.mktemp("examples")
    examples = [Labeled(text, label if with_labels else None, at) for at, (text, label) in enumerate(rows)]
    encode_labeled(iter(examples), folder, str.split)
    corpus = EncodedExamples.open(folder)
    assert [corpus.tokens(at) for at in range(len(corpus))] == [text.split() for text, _ in rows]
    assert corpus.lengths.tolist() == [len(text.split()) for text, _ in rows]
    assert corpus.lines.tolist() == list(range(len(rows)))
    if with_labels:
        assert corpus.labels is not None
        assert [corpus.names(at) for at in range(len(corpus))] == [[label] for _, label in rows]
    else:
        assert corpus.labels is None


def test_examples_looked_at(tmp_path):
    corpus = encode_labeled([Labeled("a b a", "x")], tmp_path, str.split)
    assert corpus.text(0) == "a b a"
    assert repr(corpus) == "EncodedExamples(1 texts, 3 tokens, 2 forms, 1 labels)"


def test_bad_examples(tmp_path):
    with refuses("no examples to encode"):
        encode_labeled([], tmp_path / "a", str.split)
    with refuses("the text of line 2: some texts have labels and some not"):
        encode_labeled([Labeled("a", "x", 1), Labeled("a", None, 2)], tmp_path / "a", str.split)
    assert list(tmp_path.iterdir()) == []


def test_opening_what_is_not_there(tmp_path):
    about = tmp_path / "about.json"
    with refuses(f"{about}: no encoded sentences: missing or incomplete"):
        EncodedSentences.open(tmp_path)
    about.write_text(json.dumps({"kind": "text"}))
    with refuses(f"{about}: holds encoded text, expected sentences"):
        EncodedSentences.open(tmp_path)
    with refuses(f"{about}: holds encoded text, expected examples"):
        EncodedExamples.open(tmp_path)
    folder = tmp_path / "b"
    encode_sentences([Tokens(["a"])], folder)
    (folder / "lines.npy").unlink()
    with refuses(f"{folder / 'lines.npy'}: missing or damaged"):
        EncodedSentences.open(folder)


@pytest.mark.shared_data
def test_a_real_corpus(shared_data, tmp_path):
    path = shared_data / "ner-wnut17/dev.conll"
    corpus = encode_sentences(read_conll(path), tmp_path)
    sentences = list(read_conll(path))
    assert [corpus.sentence(at) for at in range(0, 1009, 100)] == sentences[::100]
    assert int(corpus.lexicon.counts.sum()) == 15733
