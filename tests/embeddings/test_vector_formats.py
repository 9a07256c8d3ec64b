"""Word vectors of other programs. Oracle: what fastText, floret and gensim answer for the files that they wrote."""

import json
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spago_jax.embeddings.formats.ngrams import ngram_hashes
from spago_jax.embeddings.lookup import variants
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.errors import InputError

FILES = Path(__file__).resolve().parent.parent / "data" / "vectors"
EXPECTED = json.loads((FILES / "expected.json").read_text("utf-8"))


def refused(path, **settings):
    with pytest.raises(InputError) as caught:
        read_word_vectors(path, **settings)
    return str(caught.value).removeprefix(str(path))


def matches(vectors, expected, atol=1e-6):
    for word, values in expected.items():
        found = vectors.vector(word)
        found = np.zeros(vectors.dimensions) if found is None else found
        np.testing.assert_allclose(found, values, atol=atol, err_msg=repr(word))


@pytest.mark.parametrize("name", ["skipgram.bin", "classes.bin", "words-alone.bin"])
def test_fasttext_vectors_of_non_ascii_and_unknown_words_are_its_own(name: str):
    """Complaint 8: gensim's differed."""
    vectors = read_word_vectors(FILES / name)
    assert "</s>" in vectors
    assert "żółwie" not in vectors
    matches(vectors, EXPECTED[name])
    some = read_word_vectors(FILES / name, ["cat", "żółw", "żółwie"])
    assert sorted(some.words) == ["cat", "żółw"]
    matches(some, EXPECTED[name])


def test_words_with_broken_utf8_are_counted_and_found_as_bytes(tmp_path: Path):
    """Complaint 9: one of them made the whole file unreadable."""
    vectors = read_word_vectors(FILES / "skipgram.bin")
    assert vectors.broken == 2
    assert b"cut\xc3" in vectors
    np.testing.assert_array_equal(vectors[b"w\xff\xfeord"], vectors.vector(b"w\xff\xfeord"))
    path = tmp_path / "broken.vec"
    path.write_bytes(b"4 2\nthe 1 2\ncaf\xc3 3 4\ncaf\xff 5 6\ncaf\xc3 7 8\n")
    vectors = read_word_vectors(path)
    assert (len(vectors), vectors.broken, vectors.duplicates) == (3, 2, 1)
    assert vectors[b"caf\xc3"].tolist() == [3, 4]
    assert vectors[b"caf\xff"].tolist() == [5, 6]
    assert "caf" not in vectors


def test_a_word_that_is_a_blank_is_a_word(tmp_path: Path):
    """Complaint 10: "could not convert string to float: '.'"."""
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2\n. . . 3 4\n  5 6\na\u00a0b 7 8\n 9 10\n", "utf-8")
    vectors = read_word_vectors(path)
    assert vectors.words == ["the", ". . .", " ", "a\u00a0b"]
    assert vectors.empty == 1
    assert vectors[" "].tolist() == [5, 6]
    assert read_word_vectors(path, [" "]).words == [" "]


def test_a_header_is_never_a_word(tmp_path: Path):
    """Complaint 11: of a .vec it was read as data, which made the dimension 1."""
    path = tmp_path / "wiki.vec"
    path.write_text("\ufeff3 2\r\n</s> 0 0 \r\nthe 1 2 \r\ncat 3 4 \r\n", "utf-8")
    vectors = read_word_vectors(path)
    assert (vectors.words, vectors.dimensions) == (["</s>", "the", "cat"], 2)


def test_gensim_4_is_read_without_gensim():
    """Complaint 7: vectors that another gensim saved could not be loaded."""
    assert "gensim" not in sys.modules
    for name in ("small.kv", "apart.kv", "word2vec.model", "gensim.w2v.bin"):
        vectors = read_word_vectors(FILES / name)
        assert set(vectors.words) == set(EXPECTED["gensim"]), name
        matches(vectors, EXPECTED["gensim"])
    vectors = read_word_vectors(FILES / "fasttext.kv")
    assert "żółwie" not in vectors
    matches(vectors, EXPECTED["fasttext.kv"])


def gensim3(path: Path, words: dict[str, list[float]], **more):
    """Pickles vectors in the layout of gensim 3, whose classes are made up here."""
    names = ("gensim", "gensim.models", "gensim.models.keyedvectors")
    modules = {name: types.ModuleType(name) for name in names}
    kinds = {}
    for kind in ("Word2VecKeyedVectors", "Vocab"):
        kinds[kind] = type(kind, (), {"__module__": names[-1]})
        setattr(modules[names[-1]], kind, kinds[kind])
    value = kinds["Word2VecKeyedVectors"]()
    vocabulary = {}
    for row, word in enumerate(words):
        vocabulary[word] = kinds["Vocab"]()
        vocabulary[word].__dict__.update(index=row, count=np.int64(9), sample_int=1)
    value.__dict__.update({"vocab": vocabulary, "index2word": list(words), "vector_size": 2, **more})
    saved = dict(sys.modules)
    sys.modules.update(modules)
    try:
        path.write_bytes(pickle.dumps(value, 2))
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update({name: saved[name] for name in names if name in saved})
    return path


def test_gensim_3_is_read_without_gensim(tmp_path: Path):
    words = {"the": [1.0, 2.0], "Cat": [3.0, 4.0]}
    rows = np.array(list(words.values()), np.float32)
    vectors = read_word_vectors(gensim3(tmp_path / "a.gensim", words, vectors=rows, vectors_norm=None))
    assert vectors.words == ["the", "Cat"]
    np.testing.assert_array_equal(vectors.matrix, rows)
    vectors = read_word_vectors(gensim3(tmp_path / "old.gensim", words, syn0=rows))
    np.testing.assert_array_equal(vectors.matrix, rows)
    path = gensim3(tmp_path / "b.gensim", words, __numpys=["vectors"], __ignoreds=[])
    assert refused(path) == (": its vectors are in 'b.gensim.vectors.npy', which is missing beside it: copy both files")
    np.save(tmp_path / "b.gensim.vectors.npy", rows)
    np.testing.assert_array_equal(read_word_vectors(path).matrix, rows)


def test_the_partner_of_a_file_of_gensim_names_the_file(tmp_path: Path):
    assert refused(FILES / "apart.kv.vectors.npy") == (
        ": holds the numbers without their words; give the file beside it, 'apart.kv'"
    )
    lonely = tmp_path / "glove.gensim.vectors.npy"
    np.save(lonely, np.zeros((2, 2)))
    assert "the file that it belongs to ('glove.gensim', by its name) is missing here" in refused(lonely)


@pytest.mark.shared_data
def test_vectors_that_flair_downloads_are_read(shared_data: Path):
    folder = shared_data / "flair-fixtures"
    old = read_word_vectors(folder / "gensim3-layout-synthetic.gensim")
    new = read_word_vectors(folder / "flair-0.12.2" / "glove.gensim")
    assert old.matrix.shape == (5, 4)
    assert old.words == new.words
    np.testing.assert_array_equal(old.matrix, new.matrix)


def test_floret_gives_any_word_its_vector():
    vectors = read_word_vectors(FILES / "table.floret")
    assert len(vectors) == 0
    matches(vectors, EXPECTED["table.floret"], atol=1e-4)  # its text has five digits
    assert vectors.vector("") is None
    some = read_word_vectors(FILES / "table.floret", ["cat", "żółwie"])
    assert some.words == ["cat", "żółwie"]


def test_pieces_of_bpemb_make_words_as_flair_does(tmp_path: Path):
    sentencepiece = pytest.importorskip("sentencepiece")
    model = tmp_path / "en.wiki.bpe.vs60.model"
    text = "the cat sleeps in the sun and the dog runs in the yard with 0 00\n" * 20
    (tmp_path / "text.txt").write_text(text)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"), model_prefix=str(model.with_suffix("")), vocab_size=40, model_type="bpe",
        minloglevel=2,
    )  # fmt: skip
    engine = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = [engine.id_to_piece(number) for number in range(engine.get_piece_size())]
    rows = np.random.default_rng(0).normal(size=(len(pieces), 3)).astype(np.float32)
    packed = tmp_path / "en.wiki.bpe.vs60.d3.w2v.bin"
    packed.write_bytes(
        f"{len(pieces)} 3\n".encode()
        + b"".join(p.encode() + b" " + r.tobytes() + b"\n" for p, r in zip(pieces, rows, strict=True))
    )
    vectors = read_word_vectors(packed, ["Cats", "1 2"])
    for word, read_as in (("Cats", "cats"), ("1 2", "0 0"), ("dog", "dog")):
        ids = engine.encode(read_as)
        np.testing.assert_array_equal(vectors.vector(word), np.concatenate([rows[ids[0]], rows[ids[-1]]]))
    assert vectors.dimensions == 6
    assert vectors.vector(" ") is None
    model.unlink()
    assert refused(packed, format="bpemb") == (
        ": its SentencePiece model 'en.wiki.bpe.vs60.model' is missing beside it: copy both files"
    )


def test_damaged_models_of_fasttext_are_refused(tmp_path: Path):
    whole = (FILES / "skipgram.bin").read_bytes()
    path = tmp_path / "a.bin"
    for size in (6, 50, 120, 400, 1500):
        path.write_bytes(whole[:size])
        assert "cut off" in refused(path), size
    path.write_bytes(whole[:4] + struct.pack("<i", 9) + whole[8:])
    assert refused(path) == ": version 9 of fastText's format, expected 11 or 12"
    path.write_bytes(whole[:4] + struct.pack("<i", 11) + whole[8:])  # the same layout, for a model of words
    matches(read_word_vectors(path), EXPECTED["skipgram.bin"])
    words = len(read_word_vectors(FILES / "skipgram.bin"))
    at = whole.index(struct.pack("<2q", words + 97, 6)) - 1
    path.write_bytes(whole[:at] + b"\1" + whole[at + 1 :])
    assert "a quantised model (.ftz)" in refused(path)


def test_one_file_of_an_archive_is_read(tmp_path: Path):
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.txt", "the 1 2\ncat 3 4\n")
    assert read_word_vectors(path).words == ["the", "cat"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.txt", "a 1 2\n")
    assert refused(path) == ": holds 2 files (glove.txt, more.txt), expected one: unpack the one you mean"
    path.write_bytes(b"PK\3\4 damaged")
    assert "not a zip archive that can be read" in refused(path)


def test_rules_find_words_as_their_programs_do():
    assert list(variants("Route66", "exact")) == ["Route66"]
    assert list(variants("Route66", "lower")) == ["Route66", "route66"]
    assert list(variants("Route66", "digits")) == ["Route66", "route66", "route##", "route00"]
    assert list(variants("cat", "digits")) == ["cat"]


def test_hashes_of_ngrams_are_those_of_a_plain_loop():
    def plain(word: bytes, shortest: int, longest: int):
        marked, found = b"<" + word + b">", []
        for i in range(len(marked)):
            if marked[i] & 0xC0 == 0x80:
                continue
            j, n, part = i, 1, b""
            while j < len(marked) and n <= longest:
                part += marked[j : j + 1]
                j += 1
                while j < len(marked) and marked[j] & 0xC0 == 0x80:
                    part += marked[j : j + 1]
                    j += 1
                if n >= shortest and not (n == 1 and (i == 0 or j == len(marked))):
                    h = 2166136261
                    for byte in part:
                        h = ((h ^ ((byte - 256 if byte > 127 else byte) & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
                    found.append(h)
                n += 1
        return found

    words = ["żółw".encode(), b"", b"a", "고양이들".encode(), b"cut\xc3", b"\x80\x80x", "𝔘b".encode()]
    for lengths in ((1, 3), (2, 4), (3, 6), (0, 0)):
        hashes, owners = ngram_hashes(words, *lengths)
        for number, word in enumerate(words):
            assert hashes[owners == number].tolist() == plain(word, *lengths), (word, lengths)
