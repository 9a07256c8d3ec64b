# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: files written by hand and by struct; the same vectors in three formats are the same."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.embeddings.formats import word2vec_binary
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.errors import InputError

GLOVE = "the 0.5 -1 2\nparis 1e-3 0 3\n, 4 5 6\n"


@pytest.fixture
def file(tmp_path):
    def write(data, name="a.txt"):
        path = tmp_path / name
        data = data.encode() if isinstance(data, str) else data
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def refused(path, *arguments, **settings):
    with pytest.raises(InputError) as caught:
        read_word_vectors(path, *arguments, **settings)
    return str(caught.value).removeprefix(str(path))


def binary(rows, size, end=b"\n", count=None):
    header = f"{len(rows) if count is None else count} {size}\n".encode()
    return header + b"".join(word.encode() + b" " + struct.pack(f"<{size}f", *v) + end for word, v in rows)


ROWS = [("the", [0.5, -1, 2]), ("paris", [1e-3, 0, 3]), (",", [4, 5, 6])]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (GLOVE, "a.txt"),
        ("\ufeff" + GLOVE.replace("\n", "\r\n"), "a.txt"),
        (GLOVE.rstrip(), "a.txt.gz"),
        (GLOVE.replace(" ", "\t"), "a.tsv"),
        ("3 3\n" + GLOVE.replace("\n", " \n"), "a.vec"),
        (binary(ROWS, 3), "a.bin"),
        (binary(ROWS, 3, b""), "a.bin.gz"),
        (binary(ROWS, 3), "without a suffix"),
    ],
    ids=["glove", "bom crlf", "gz", "tabs", "word2vec", "binary", "binary gz", "binary by its bytes"],
)
def test_every_format(file, data, name):
    path = file(data, name)
    vectors = read_word_vectors(path)
    assert vectors.words == ["the", "paris", ","]
    assert vectors.matrix.dtype == np.float32
    assert np.array_equal(vectors.matrix, np.array([row for _, row in ROWS], np.float32))
    some = read_word_vectors(path, {"paris", "the", "nothing"}, dtype=np.float64)
    assert some.words == ["the", "paris"]
    assert some.matrix.dtype == np.float64
    assert np.allclose(some.matrix, [ROWS[0][1], ROWS[1][1]], rtol=1e-7)
    assert read_word_vectors(path, ["nothing"]).matrix.shape == (0, 3)


def test_a_given_format(file):
    path = file("3 1\nx 5\n")
    assert read_word_vectors(path, format="glove").words == ["3", "x"]
    assert refused(path) == ": 1 vectors, the header says 3 (fewer than: the file is cut off)"
    assert refused(path, format="word2vec_binary") == (
        "format 'word2vec_binary' of word vectors is unknown: did you mean 'word2vec-binary'?"
    )
    assert refused(file("the 1 2\n"), format="word2vec") == (
        ":1: 'the 1 2', expected the two numbers of a header, words and dimensions"
    )


def test_words_with_blanks(file):
    path = file("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n\u00a0 7 8\n\u0085 9 10\n")
    vectors = read_word_vectors(path)
    assert vectors.words == ["the", ". . .", "at name@domain.com", "\u00a0", "\u0085"]
    assert vectors[". . ."].tolist() == [3, 4]
    assert read_word_vectors(path, [". . .", "at"]).words == [". . ."]
    first = read_word_vectors(file("New York 1 2\nthe 3 4\n"))
    assert first.words == ["New York", "the"]


def test_lower_cased(file):
    path = file("the 1\nThe 2\nparis 3\nlondon 4\nLONDON 5\n")
    vectors = read_word_vectors(path, ["The", "Paris", "LONDON", "London", "Rome"], lowercase=True)
    assert dict(zip(vectors.words, vectors.matrix[:, 0].tolist(), strict=True)) == {
        "The": 2,
        "LONDON": 5,
        "Paris": 3,
        "London": 4,
    }
    assert vectors.lowered == 2
    assert read_word_vectors(path, ["The", "Paris"]).words == ["The"]


@pytest.mark.parametrize("binary_format", [False, True])
def test_a_word_that_comes_again(file, binary_format):
    rows = [("a", [1]), ("b", [2]), ("a", [3]), ("b", [4]), ("c", [5])]
    path = file(binary(rows, 1), "a.bin") if binary_format else file("a 1\nb 2\na 3\nb 4\nc 5\n")
    vectors = read_word_vectors(path)
    assert vectors.words == ["a", "b", "c"]
    assert vectors.matrix[:, 0].tolist() == [1, 2, 5]
    assert vectors.duplicates == 2
    assert read_word_vectors(path, ["a", "c"]).duplicates == 1


def test_vectors_of_unequal_length(file):
    path = file("the 1 2 3\nparis 1 2\n")
    assert refused(path) == ":2: expected 3 values, found 2 (word 'paris')"
    assert refused(path, ["the"]) == ":2: expected 3 values, found 2 (word 'paris')"  # though it is not wanted
    path = file("the 1 2 3\nparis 1 2 3 4 5\n")
    assert refused(path) == ":2: expected 3 values, found 5 (word 'paris')"
    assert refused(path, ["the"]) == ":2: expected 3 values, found 5 (word 'paris')"
    assert refused(file("1 3\nthe 1 2\n")) == ":2: expected 3 values, found 2 (word 'the')"


def test_values_that_are_none(file):
    assert refused(file("the 1 2\na 1 x2\n")) == ":2: value 2 of 'a' is 'x2', expected a number"
    assert refused(file("the 1 2\na nan 1\n")) == ":2: value 1 of 'a' is nan, expected finite numbers"
    assert refused(file("the 1 2\na 1 -inf\n")) == ":2: value 2 of 'a' is -inf, expected finite numbers"
    assert refused(file("the 1 2\na 1 1e39\n")) == ":2: value 2 of 'a' is inf, expected finite numbers"  # in float32
    assert refused(file(binary([("a", [1]), ("b", [float("nan")])], 1), "a.bin")) == (
        ": vector 2: value 1 of 'b' is nan, expected finite numbers"
    )
    assert read_word_vectors(file("the 1 2\na nan 1\n"), ["the"]).words == ["the"]


def test_files_that_are_none(file, tmp_path):
    assert refused(file("")) == ":1: empty, or an empty first line; expected word vectors"
    assert refused(file("just words here\n")) == ":1: 'just words here', expected a word and its values"
    assert refused(file("3 2\n")) == ": no vectors below the header, which says 3"
    assert refused(file("1 1\na 1\nb 2\n")) == ": 2 vectors, the header says 1 (more than it says)"
    assert "did you mean 'a.txt'?" in refused(tmp_path / "b.txt")


def test_binary_files_that_are_cut_off(file):
    whole = binary(ROWS, 3)
    for cut in (5, 14, 30, len(whole) - 2):
        assert ": cut off within vector " in refused(file(whole[:cut], "a.bin"))
    assert refused(file(binary(ROWS, 3, count=4), "a.bin")) == ": cut off within vector 4 of 4"
    assert refused(file(binary(ROWS, 3, count=2), "a.bin")) == ": bytes beyond the 2 vectors that the header says"
    no_blank = b"2 3\n" + bytes(1 << 17)
    assert refused(file(no_blank, "a.bin")) == (
        ": vector 1 of 2 has no word: not the 3 dimensions that the header says?"
    )


words = st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\r\ufeff"), min_size=1, max_size=4)
floats = st.floats(-1e6, 1e6, width=32)


@given(st.dictionaries(words, st.lists(floats, min_size=3, max_size=3), min_size=1, max_size=8), st.data())
def test_the_formats_agree(tmp_path_factory, table, data):
    folder = tmp_path_factory.getbasetemp()
    lines = "".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in table.items())
    text, packed = folder / "v.vec", folder / "v.bin"
    text.write_bytes(f"{len(table)} 3\n{lines}".encode())
    packed.write_bytes(binary(list(table.items()), 3))
    wanted = data.draw(st.none() | st.lists(st.sampled_from(list(table))))
    kept = [word for word in table if wanted is None or word in wanted]
    for path, form in ((text, "word2vec"), (packed, "word2vec-binary")):
        vectors = read_word_vectors(path, wanted, format=form)
        assert vectors.words == kept
        assert vectors.matrix.tolist() == [table[word] for word in kept]


def test_binary_read_in_many_pieces(file, monkeypatch):
    rows = [(f"word{n}", [n, n / 2, -n]) for n in range(500)]
    path = file(binary(rows, 3), "a.bin")
    monkeypatch.setattr(word2vec_binary, "_BLOCK", 64)
    vectors = read_word_vectors(path)
    assert vectors.words == [word for word, _ in rows]
    assert vectors.matrix.tolist() == [row for _, row in rows]


@pytest.mark.shared_data
def test_published_files(shared_data):
    folder = shared_data / "emb-eval-gensim"
    glove = read_word_vectors(folder / "test_glove.txt")
    assert glove.matrix.shape == (76, 50)
    assert glove["the"][:3].tolist() == pytest.approx([0.418, 0.24968, -0.41242])
    packed = read_word_vectors(folder / "euclidean_vectors.bin", ["the", "of"])
    assert packed.words == ["the", "of"]
    assert packed["the"][:1].view(np.uint32)[0] == 0x3ED7C8B9  # the four bytes after "the " in the file
    text = read_word_vectors(folder / "EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt")
    assert text.matrix.shape == (20, 300)
    assert text["one"][0] == np.float32(-1.671300083398818970e-02)


@pytest.mark.parametrize("dimensions", ["9" * 12, "9" * 30, "9" * 5000])
def test_a_header_that_memory_cannot_hold_is_refused(file, dimensions):
    for name, settings in (("a.bin", {}), ("a.vec", {"format": "word2vec"}), ("b.bin", {"format": "word2vec-binary"})):
        refused(file(f"2 {dimensions}\na 1 2\n", name), **settings)
