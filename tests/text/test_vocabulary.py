# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the definitions, by hand and by brute force (hypothesis)."""

import json
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.errors import InputError
from spago_jax.text import Vocabulary

TERMS = st.lists(st.text(min_size=1, max_size=4), unique=True, min_size=1, max_size=20)


def test_the_last_term_is_reachable_and_len_counts_terms():
    # spaGO's off-by-one (Size() = last id, Term(last) refused) is not repeated.
    v = Vocabulary(("a", "b", "c"))
    assert len(v) == 3
    assert v.term(len(v) - 1) == "c"
    assert v.id("c") == 2


@settings(deadline=None)
@given(TERMS)
def test_encode_and_decode_are_inverse(terms):
    v = Vocabulary(tuple(terms))
    ids = v.encode(terms)
    assert ids.dtype == np.int32
    assert ids.tolist() == list(range(len(terms)))
    assert v.decode(ids) == terms


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"))), st.integers(1, 4), st.integers(2, 9))
def test_build_against_brute_force(sequences, min_count, max_size):
    v = Vocabulary.build(sequences, min_count=min_count, max_size=max_size)
    counts = Counter(t for s in sequences for t in s)
    kept = sorted((t for t in counts if counts[t] >= min_count), key=lambda t: (-counts[t], t))
    assert v.terms == ("<pad>", "<unk>", *kept[: max_size - 2])
    assert (v.padding_id, v.unknown_id) == (0, 1)
    for t in "abcdefgh":
        assert v.id(t) == (v.terms.index(t) if t in kept[: max_size - 2] else 1)


def test_specials_come_once_and_first():
    v = Vocabulary.from_counts({"<unk>": 9, "x": 1, "[SEP]": 3}, specials=("[SEP]",))
    assert v.terms == ("<pad>", "<unk>", "[SEP]", "x")


def test_is_immutable_hashable_and_picklable():
    v = Vocabulary(("a", "b"), unknown="a")
    with pytest.raises(AttributeError):
        v.terms = ()  # pyright: ignore
    assert hash(v) == hash(Vocabulary(("a", "b"), unknown="a"))
    assert pickle.loads(pickle.dumps(v)) == v
    assert pickle.loads(pickle.dumps(v)).id("b") == 1


def test_empty_sequence_encodes_to_no_ids():
    assert Vocabulary(("a",)).encode([]).shape == (0,)
    assert Vocabulary(("a",), unknown="a").encode([]).dtype == np.int32


@pytest.mark.parametrize("name", ["v.json", "v.txt"])
def test_save_and_load(tmp_path, name):
    v = Vocabulary(("<pad>", "<unk>", "naïve", " ", "🙂"), unknown="<unk>", padding="<pad>")
    v.save(tmp_path / name)
    options = {} if name.endswith("json") else {"unknown": "<unk>", "padding": "<pad>"}
    assert Vocabulary.load(tmp_path / name, **options) == v
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_json_keeps_line_breaks_and_text_refuses_them(tmp_path):
    v = Vocabulary(("\n", "a"))
    v.save(tmp_path / "v.json")
    assert Vocabulary.load(tmp_path / "v.json") == v
    with pytest.raises(InputError, match=r"term 0 \('\\n'\) cannot be one line of a text file: save as .json"):
        v.save(tmp_path / "v.txt")
    assert not (tmp_path / "v.txt").exists()


def test_load_reads_crlf_text(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"a\r\nb\r\n")
    assert Vocabulary.load(tmp_path / "v.txt").terms == ("a", "b")


def messages():
    v = Vocabulary(("O", "B-PER"))
    yield lambda: v.id("B-PRE"), "'B-PRE' is not in the vocabulary of 2 terms; did you mean 'B-PER'?"
    yield lambda: v.encode(["O", "x"]), "'x' is not in the vocabulary of 2 terms; known: B-PER, O"
    yield lambda: v.term(2), "id 2 is not in the vocabulary: its 2 ids are 0 to 1"
    yield lambda: v.term(-1), "id -1 is not in the vocabulary: its 2 ids are 0 to 1"
    yield lambda: v.decode([0, 7]), "id 7 is not in the vocabulary: its 2 ids are 0 to 1"
    yield lambda: Vocabulary(("a", "b", "a")), "term 'a' occurs twice in the vocabulary, as id 0 and 2"
    yield lambda: Vocabulary("abc"), "terms is one string ('abc'), expected a sequence of terms: tuple(...)"  # pyright: ignore
    yield lambda: Vocabulary((1,)), "term 0 of the vocabulary is 1, expected a string"  # pyright: ignore
    yield (
        lambda: Vocabulary(("a",), unknown="<unk>"),
        "the unknown term '<unk>' is not in the vocabulary of 1 terms: add it to terms, or pass unknown=None",
    )
    yield lambda: Vocabulary.build([], min_count=0), "min_count is 0, expected 1 or more"
    yield (
        lambda: Vocabulary.build([], max_size=1),
        "max_size is 1, but the special terms alone are 2: ['<pad>', '<unk>']",
    )


@pytest.mark.parametrize(("call", "message"), list(messages()))
def test_messages(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.json", b"{", ":1: not JSON: Expecting property name enclosed in double quotes"),
        ("v.json", b"[]", ': not a vocabulary: expected {"format": "spago_jax/vocabulary/1", "terms": [...]}'),
        (
            "v.json",
            json.dumps({"format": "spago_jax/vocabulary/1", "terms": ["a", 2]}).encode(),
            ": term 1 of the vocabulary is 2, expected a string",
        ),
        ("v.txt", b"", ": the vocabulary is empty: expected one term per line"),
        ("v.txt", b"\xff\xfe", ": not UTF-8 text (invalid start byte at byte 0)"),
        ("v.txt", b"a\na\n", ": term 'a' occurs twice in the vocabulary, as id 0 and 1"),
        ("v.txt", None, ": cannot read the vocabulary: No such file or directory"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        Vocabulary.load(path)
    assert str(error.value) == f"{path}{message}"


def test_a_byte_order_mark_is_no_part_of_a_term(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeff[PAD]\r\nder\r\n".encode())
    assert Vocabulary.load(path).terms == ("[PAD]", "der")
    Vocabulary(("a",)).save(tmp_path / "v.json")
    (tmp_path / "v.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "v.json").read_bytes())
    assert Vocabulary.load(tmp_path / "v.json").terms == ("a",)
