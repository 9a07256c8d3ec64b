"""The host halves of token embeddings. Oracle: what each form looks like, by hand."""

import jax
import numpy as np
import pytest

from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.embeddings.character_index import CharacterIndexer
from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.coverage import coverage
from spago_jax.embeddings.memory import WordMemory
from spago_jax.embeddings.shape_index import ShapeIndexer
from spago_jax.embeddings.stacked import fit, names_of
from spago_jax.embeddings.store_index import StoreIndexer
from spago_jax.embeddings.transformer_index import TransformerIndexer
from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.embeddings.words import Words
from spago_jax.errors import InputError
from spago_jax.text.vocabulary import Vocabulary


def lexicon(*tokens: str):
    builder = LexiconBuilder()
    builder.encode(tokens)
    return builder.build()


def test_words_are_found_as_they_stand_then_lower_cased_then_with_zeros_for_digits():
    words = WordIndexer.fit("words", lexicon("The", "the", "cat", "0000", "Rome"))
    forms = ("The", "CAT", "1984", "Rome", "ROME", "dog")
    assert {form: words.vocabulary.terms[words.id(form)] for form in forms} == {
        "The": "The", "CAT": "cat", "1984": "0000", "Rome": "Rome", "ROME": "<unk>", "dog": "<unk>",
    }  # fmt: skip


def test_words_with_a_vector_are_known_whatever_their_count():
    vectors = WordVectors(["b", "c"], np.zeros((2, 1), np.float32))
    words = WordIndexer.fit("words", lexicon("a", "a", "b"), min_count=2, vectors=vectors)
    assert [word in words.vocabulary for word in "abcd"] == [True, True, True, False]


def table_of(config: Words, forms, name: str = "words") -> tuple[WordIndexer, np.ndarray]:
    """The host half of an embedding, and the vectors that training starts from."""
    (indexer,) = fit([config], forms)
    module = config.from_data(config.init(jax.random.key(0), indexer), indexer, forms)
    return indexer, np.asarray(module.table.weight)


@pytest.mark.parametrize("trainable", [True, False])
def test_uncased_vectors_are_those_of_words_with_capitals_too(tmp_path, trainable):
    (tmp_path / "v.txt").write_text("the 1 2\nrome 3 4\nsix 5 6\n")
    forms = lexicon("The", "the", "Rome", "ROME", "Cat")
    config = Words(kind="words", size=2, vectors=str(tmp_path / "v.txt"), trainable=trainable)
    indexer, table = table_of(config, forms)
    found = {form: table[indexer.id(form)].tolist() for form in ("The", "the", "Rome", "ROME", "SIX")}
    assert found == {"The": [1, 2], "the": [1, 2], "Rome": [3, 4], "ROME": [3, 4], "SIX": [5, 6]}
    assert indexer.id("The") != indexer.id("the")  # each is trained by itself
    assert table[indexer.id("Cat")].tolist() not in table[[indexer.id(form) for form in found]].tolist()
    for cased in (config.model_copy(update={"lookup": "exact"}), config):
        if cased is config:
            (tmp_path / "v.txt").write_text("the 1 2\nrome 3 4\nI 5 6\n")  # one capital: the file knows cases
        indexer, table = table_of(cased, forms)
        assert table[indexer.id("the")].tolist() == [1, 2]
        assert table[indexer.id("Rome")].tolist() != [3, 4]


def test_coverage_against_looking_each_word_up_by_hand(tmp_path):
    given = ["the", "rome", "in", "0000", "it's"]
    (tmp_path / "v.txt").write_text("".join(f"{word} {n} 1\n" for n, word in enumerate(given)))
    config = Words(kind="words", size=2, vectors=str(tmp_path / "v.txt"), min_count=2)
    indexer, _ = table_of(config, lexicon("The", "The", "the", "Rome", "cat", "cat"))
    text = ["The", "the", "IN", "1984", "1984", "Cats", "cat", "Rome", "Rome", "It's", "0000", "66"]
    by_hand: dict[str, list[str]] = {"exact": [], "lower": [], "digits": [], "none": []}
    for word in text:
        zeros = "".join("0" if char.isdigit() else char for char in word)
        forms = {"exact": word, "lower": word.lower(), "digits": zeros}
        by_hand[next((how for how, form in forms.items() if form in given), "none")].append(word)
    tokens, forms = coverage(indexer, lexicon(*text)) or ()
    assert tokens.to_json() == {how: len(words) for how, words in by_hand.items()}
    assert forms.to_json() == {how: len(set(words)) for how, words in by_hand.items()}
    assert (tokens.total, forms.total) == (12, 10)


def test_coverage_is_of_given_vectors():
    forms = lexicon("a")
    assert coverage(WordIndexer.fit("words", forms), forms) is None
    assert coverage(ShapeIndexer.fit("shapes", forms), forms) is None


def test_long_words_keep_their_beginning_and_their_end():
    characters = CharacterIndexer.fit("characters", lexicon("abcdefghij"), max_length=6)
    found = characters.tables(lexicon("abcdefghij", "abc"))
    text = ["".join(characters.alphabet.terms[i] for i in row if i) for row in found["characters"]]
    assert text == ["abcdij", "abc", ""]
    assert found["characters_lengths"].tolist() == [6, 3, 0]


def test_unknown_probability_falls_with_the_count():
    forms = lexicon("a", "a", "a", "b")
    words = WordIndexer.fit("words", forms)
    chance = words.unknown_probability(forms, 0.25)
    assert chance[words.vocabulary.id("a")] == pytest.approx(0.25 / 3.25)
    assert chance[words.vocabulary.id("b")] == pytest.approx(0.25 / 1.25)
    assert chance[:2].tolist() == [0, 0]
    assert not words.unknown_probability(forms, 0.0).any()


@pytest.mark.parametrize(
    "indexer",
    [
        WordIndexer.fit("words2", lexicon("The", "na\u00efve", "\u2615", "x y"), lowercase=True),
        CharacterIndexer.fit("characters", lexicon("The", "\u2615"), max_length=3),
        ShapeIndexer.fit("shapes", lexicon(*["Ab"] * 5, "x1")),
    ],
    ids=lambda indexer: indexer.kind,
)
def test_indexers_are_saved_and_read_back(indexer, tmp_path):
    indexer.save(tmp_path)
    again = type(indexer).load(tmp_path, indexer.name)
    forms = lexicon("The", "Ab", "new", "\u2615")
    mine, other = indexer.tables(forms), again.tables(forms)
    assert mine.keys() == other.keys() == indexer.specs().keys() == again.specs().keys()
    for name, table in mine.items():
        np.testing.assert_array_equal(other[name], table)
        assert len(table) == len(forms) + 1
        assert not table[-1].any()  # padding


def test_damaged_settings(tmp_path):
    WordIndexer.fit("words", lexicon("a")).save(tmp_path)
    (tmp_path / "words.settings.json").write_text("{")
    with pytest.raises(InputError, match="the assets cannot be read"):
        WordIndexer.load(tmp_path, "words")


def test_two_embeddings_of_one_kind_have_arrays_of_their_own():
    configs = [Words(kind="words", size=3), Words(kind="words", size=2, lowercase=True)]
    assert names_of(configs) == ["words", "words2"]
    first, second = fit(configs, lexicon("A", "a", "a"))
    assert first.tables(lexicon("A")).keys() == {"words"}
    assert second.tables(lexicon("A")).keys() == {"words2"}
    assert (first.size, second.size) == (4, 3)


def test_vectors_of_another_length(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2 3\n")
    with pytest.raises(InputError, match=r"model.embeddings.words.size = 4, but these vectors have 3 numbers each"):
        Words(kind="words", size=4, vectors=str(tmp_path / "v.txt")).fit("words", lexicon("a"))


@pytest.mark.parametrize(
    "text",
    [
        '{"max_length": "20"}',
        '{"max_length": true}',
        '{"max_length": 0}',
        '{"max_length": 99999999999}',
        "{}",
        '{"x": 1}',
        "[]",
    ],
)
def test_damaged_settings_are_refused(tmp_path, text):
    made = CharacterIndexer("chars", Vocabulary(("<pad>", "<unk>"), "<unk>", "<pad>"), 5)
    made.save(tmp_path)
    assert CharacterIndexer.load(tmp_path, "chars").max_length == 5
    (tmp_path / "chars.settings.json").write_text(text)
    with pytest.raises(InputError, match=r"chars\.settings\.json: "):
        CharacterIndexer.load(tmp_path, "chars")


@pytest.mark.parametrize(("loaded", "file"), [
    (StoreIndexer, "x.store.json"), (TransformerIndexer, "x.config.json"), (ContextualIndexer, "x.json"),
    (WordMemory, "x.memory.json"),
])  # fmt: skip
def test_damaged_settings_are_named_with_what_they_lack(loaded, file, tmp_path):
    said = {"{}": "'.*' is missing", "[]": "a list, expected an object", "{": "Expecting", "[" * 200_000: "recursion"}
    for text, why in said.items():
        (tmp_path / file).write_text(text)
        with pytest.raises(InputError, match=rf"{file}: the assets cannot be read: .*{why}"):
            loaded.load(tmp_path, "x")
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=f"{file}: the assets cannot be read: .*No such file"):
        loaded.load(tmp_path, "x")
