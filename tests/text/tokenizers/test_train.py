"""Vocabularies that are learned. Oracles: transformers, which reads the files, and the texts themselves."""

import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st
from subwords import TEXTS, at_letters

from spago_jax.errors import InputError
from spago_jax.text.tokenizers import load_tokenizer, train_tokenizer
from spago_jax.text.tokenizers.train import KINDS

SIZES = {"wordpiece": 120, "bpe": 300, "unigram": 150, "characters": 150, "words": 120}


@pytest.fixture(scope="module", params=KINDS)
def learned(request):
    return train_tokenizer(TEXTS * 3, kind=request.param, size=SIZES[request.param], max_length=64)


def test_it_is_read_again_as_it_was(learned, tmp_path):
    learned.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.special_ids, again.max_length, again.size) == (learned.special_ids, 64, learned.size)
    assert again.settings() == learned.settings()
    for text in TEXTS:
        assert again.encode(text, "the cats") == learned.encode(text, "the cats")
    assert {"unknown", "pad", "begin", "end", "cls", "sep", "mask"} == set(again.special_ids)


@pytest.mark.oracle
def test_transformers_reads_it(learned, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    learned.save(tmp_path)
    oracle = transformers.AutoTokenizer.from_pretrained(tmp_path)
    unigram = learned.encode("a").tokens[1].startswith("▁")
    wanted = {"return_offsets_mapping": True, "return_token_type_ids": True}
    for text in TEXTS:
        expected, found = oracle(text, "the", **wanted), learned.encode(text, "the")
        assert found.ids == expected["input_ids"]
        if unigram:
            first = expected.sequence_ids().index(1)  # of the second text
            assert found.offsets[:first] == at_letters(text, expected["offset_mapping"][:first])
        else:
            assert found.offsets == expected["offset_mapping"]
        assert found.type_ids == expected["token_type_ids"]
    assert (oracle.mask_token_id, oracle.pad_token_id) == (learned.special_ids["mask"], learned.special_ids["pad"])
    assert oracle.model_max_length == 64


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_kept_to_and_the_same_texts_give_the_same_vocabulary(kind):
    runs = [train_tokenizer(iter(TEXTS * 3), kind=kind, size=SIZES[kind]) for _ in range(3)]
    assert runs[0].size <= SIZES[kind]
    assert runs[0].files == runs[1].files == runs[2].files


def test_lower_case():
    for kind in KINDS:
        tokenizer = train_tokenizer(TEXTS * 3, kind=kind, size=SIZES[kind], lowercase=True)
        assert tokenizer.encode("The CATS").ids == tokenizer.encode("the cats").ids
        other = train_tokenizer(TEXTS * 3, kind=kind, size=SIZES[kind])
        assert other.encode("The CATS").ids != other.encode("the cats").ids


@given(text=st.text(max_size=30))
def test_no_text_is_unknown_to_bytes(text):
    tokenizer = _bytes()
    ids = tokenizer.encode(text).ids
    if not any(token in text for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")):
        assert tokenizer.special_ids["unknown"] not in ids
        assert tokenizer.decode(ids) == text


_known = []


def _bytes():
    if not _known:
        _known.append(train_tokenizer(TEXTS, kind="bpe", size=280))
    return _known[0]


def test_a_mask_takes_the_space_before_it():
    tokenizer = _bytes()
    assert tokenizer.encode("a <mask>").ids == [0, tokenizer.id("a"), 4, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "wordpieces", "size": 99}, "unknown kind of vocabulary 'wordpieces': did you mean 'wordpiece'?"),
        ({"kind": "bpe", "size": 260}, "size: 260, expected 261 or more, which the special tokens and all bytes take"),
        ({"kind": "unigram", "size": 5}, "size: 5, expected 6 or more, which the special tokens and a letter take"),
        ({"kind": "bpe", "size": 300, "min_count": 0}, "min_count: 0, expected 1 or more"),
        ({"kind": "bpe", "size": 300, "max_length": 0}, "max_length: 0, expected 1 or more"),
    ],
)
def test_what_cannot_be_asked_for(options, message):
    with refuses(message):
        train_tokenizer(["a"], **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], ["", " \n"]])
def test_no_texts_are_refused(kind, texts):
    with refuses("no text to learn from: the files have no letters"):
        train_tokenizer(texts, kind=kind, size=300)


def test_a_bad_text_is_named():
    with pytest.raises(InputError, match="text 2: character 0 is half of a surrogate pair"):
        train_tokenizer(["a", "\ud83d", "b"], kind="bpe", size=300)


@pytest.mark.parametrize(("kind", "text"), [("characters", "a  b\n你好"), ("words", "the cat , sat")])
def test_whole_characters_and_words_are_read_back(kind, text, tmp_path):
    """As transformers reads the files; blanks between characters are characters, those between words are not kept."""
    learned = train_tokenizer([text, text], kind=kind, size=40, marks="end")
    found = learned.encode(text)
    parts = list(text) if kind == "characters" else text.split()
    assert found.tokens == [*parts, "</s>"]
    assert [text[start:end] for start, end in found.offsets[:-1]] == parts
    assert learned.decode(found.ids) == text
    learned.save(tmp_path)
    assert load_tokenizer(tmp_path).encode(text).ids == found.ids
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(text)["input_ids"] == found.ids
    assert theirs.decode(found.ids, skip_special_tokens=True) == text


def test_the_most_frequent_ones_are_kept_and_ties_are_alphabetical():
    learned = train_tokenizer(["b a b c c A"], kind="words", size=7, lowercase=True, min_count=2)
    assert [learned.token(id) for id in range(5, learned.size)] == ["a", "b"]
    assert learned.encode("c").tokens == ["<s>", "<unk>", "</s>"]
    with pytest.raises(InputError, match="min_count: 9, and nothing in these texts occurs as often"):
        train_tokenizer(["a b"], kind="words", size=9, min_count=9)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_marks_may_stand_at_the_end_alone(kind):
    learned = train_tokenizer(["the cat sat"] * 3, kind=kind, size=300, marks="end")
    ids = learned.encode("the cat").ids
    assert ids[-1] == learned.special_ids["end"]
    assert not {learned.special_ids["begin"], learned.special_ids["end"]} & set(ids[:-1])
    assert learned.encode("the", "cat").special_mask.count(True) == 2
