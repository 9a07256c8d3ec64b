"""Word vectors as an embedding: files of every format, and what users of other libraries complained about."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from spago_jax.core import flat
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.notes import Notes
from spago_jax.embeddings.coverage import coverage, say_coverage
from spago_jax.embeddings.words import Words
from spago_jax.errors import InputError, InputWarning

FILES = Path(__file__).resolve().parent.parent / "data" / "vectors"
EXPECTED = json.loads((FILES / "expected.json").read_text("utf-8"))


def lexicon(*forms):
    builder = LexiconBuilder()
    builder.encode(list(forms))
    return builder.build()


def made(config, *forms):
    """The host half of an embedding, and its table."""
    found = lexicon(*forms)
    indexer = config.fit("words", found)
    module = config.from_data(config.init(jax.random.key(0), indexer), indexer, found)
    return indexer, flat(module)["table.weight"]


def words(name, size, **more):
    return Words(kind="words", size=size, vectors=str(FILES / name), **more)


def test_unknown_words_get_the_vectors_of_their_parts():
    indexer, table = made(words("skipgram.bin", 6), "cat", "żółwie", "강아지와", "Cats")
    for word in ("cat", "żółwie", "강아지와", "żółw"):
        np.testing.assert_allclose(table[indexer.id(word)], EXPECTED["skipgram.bin"][word], atol=1e-6)
    tokens, _ = coverage(indexer, lexicon("cat", "cat", "żółwie", "never seen"))
    assert tokens.to_json() == {"exact": 2, "lower": 0, "digits": 0, "none": 1, "parts": 1}
    assert "by their parts 25.0 %" in str(tokens)


def test_a_model_holds_the_rows_of_its_words_only():
    """Complaint 6: the whole table of fastText, n-grams and all, was saved with the model."""
    indexer, table = made(words("skipgram.bin", 6, max_words=10), "cat", "żółwie")
    assert len(table) == indexer.size <= 12
    assert indexer.vectors is None
    indexer, table = made(words("table.floret", 6), "cat", "żółwie")
    assert len(table) == 4


def test_words_that_only_dev_has_are_known_when_predicting(tmp_path: Path):
    """Complaint 12: vectors were loaded for words of the training set alone."""
    (tmp_path / "v.txt").write_text("the 1 2\nunseen 3 4\n")
    config = Words(kind="words", size=2, vectors=str(tmp_path / "v.txt"))
    indexer, table = made(config, "the", "cat")
    assert table[indexer.id("unseen")].tolist() == [3, 4]
    assert len({indexer.id(word) for word in ("the", "cat", "unseen", "never")}) == 4
    dev, _ = coverage(indexer, lexicon("unseen", "never"))
    assert (dev.exact, dev.none) == (1, 1)


def test_little_coverage_is_said_with_examples(tmp_path: Path):
    """Complaint 11: nearly all words were unknown, and training went on without a word."""
    (tmp_path / "v.txt").write_text("der 1 2\ndie 3 4\n")
    indexer = Words(kind="words", size=2, vectors=str(tmp_path / "v.txt")).fit("words", lexicon("der", "the"))
    notes = Notes()
    with pytest.warns(InputWarning, match=r"only 20.0% of 5 tokens have a given vector, not 'the', 'cat'; is the file"):
        say_coverage(notes, [indexer], lexicon("the", "the", "the", "cat", "der"))
    assert len(notes.lines()) == 1
    say_coverage(notes, [indexer], lexicon("der", "die", "cat"))


def test_a_rule_finds_given_vectors_as_other_programs_do(tmp_path: Path):
    (tmp_path / "v.txt").write_text("the 1 2\nroute## 3 4\nI 5 6\n")
    for rule, known in (("exact", {"the"}), ("lower", {"the", "The"}), ("digits", {"the", "The", "Route66"})):
        config = Words(kind="words", size=2, vectors=str(tmp_path / "v.txt"), lookup=rule)
        indexer, _ = made(config, "the", "The", "Route66", "cat")
        assert {word for word in ("the", "The", "Route66", "cat") if indexer.given_word(word)} == known
    assert Words.model_validate({"kind": "words", "case_fallback": False}).lookup == "exact"
    assert Words.model_validate({"kind": "words", "case_fallback": None}).lookup is None


def test_words_that_are_not_utf8_stay_out_of_the_vocabulary(tmp_path: Path):
    indexer, _ = made(words("skipgram.bin", 6), "cat")
    indexer.save(tmp_path)
    assert type(indexer).load(tmp_path, "words").size == indexer.size
    with pytest.raises(InputError, match="these vectors have 6 numbers each"):
        made(words("skipgram.bin", 5), "cat")
