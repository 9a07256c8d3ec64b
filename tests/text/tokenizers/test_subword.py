"""Sub-word tokenizers: one interface. Oracles: the tokenizers package's own truncation and windows, and the texts."""

import json
from itertools import pairwise

import pytest
import tokenizers
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st
from subwords import WORDPIECES, wordpiece_folder

from spago_jax.errors import InputError
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.tokenizer import tokenizer_from

TEXT = "the cat sat on the mats, unbelievable!"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return wordpiece_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(folder)


def test_an_encoding_has_all_that_a_model_needs(tokenizer):
    found = tokenizer.encode("the mats", "sat")
    assert found.tokens == ["[CLS]", "the", "mat", "##s", "[SEP]", "sat", "[SEP]"]
    assert found.ids == [WORDPIECES.index(token) for token in found.tokens]
    assert found.offsets == [(0, 0), (0, 3), (4, 7), (7, 8), (0, 0), (0, 3), (0, 0)]
    assert found.word_ids == [None, 0, 1, 1, None, 0, None]
    assert found.special_mask == [True, False, False, False, True, False, True]
    assert found.type_ids == [0, 0, 0, 0, 0, 1, 1]
    assert found.sequence_ids == [None, 0, 0, 0, None, 1, None]
    assert found.dropped == 0
    bare = tokenizer.encode("the mats", "sat", special_tokens=False)
    assert (bare.tokens, bare.type_ids) == (["the", "mat", "##s", "sat"], [0, 0, 0, 1])
    assert tokenizer.encode("").tokens == ["[CLS]", "[SEP]"]


def test_tokens_and_ids(tokenizer):
    assert tokenizer.size == len(WORDPIECES)
    assert (tokenizer.id("cat"), tokenizer.id("dog")) == (WORDPIECES.index("cat"), None)
    assert tokenizer.token(tokenizer.id("cat")) == "cat"
    assert tokenizer.special_ids == {"unknown": 1, "pad": 0, "cls": 2, "sep": 3, "mask": 4, "begin": 2, "end": 3}
    for id in (-1, len(WORDPIECES)):
        with refuses(f"no token has the id {id}: expected one of 0 to {len(WORDPIECES) - 1}"):
            tokenizer.token(id)
    ids = tokenizer.encode(TEXT).ids
    assert tokenizer.decode(ids) == "the cat sat on the mats, unbelievable!"
    assert tokenizer.decode(ids[:2], skip_special=False) == "[CLS] the"
    assert tokenizer.decode([-1, 5, 999]) == "the"  # ids without a token, as rows that fill up a table have


@given(
    st.integers(0, 12), st.integers(0, 12), st.integers(4, 20),  # at 3 it empties both texts, whatever is asked
    st.sampled_from(["longest_first", "only_first", "only_second"]), st.sampled_from(["left", "right"]),
)  # fmt: skip
def test_truncation_is_that_of_the_tokenizers_package(tokenizer, oracle, first, second, length, truncation, side):
    a, b = " ".join(["the cat"] * first), " ".join(["sat"] * second)
    oracle.enable_truncation(length, strategy=truncation, direction=side)
    try:
        expected = oracle.encode(a, b)
    except Exception:
        with pytest.raises(InputError):
            tokenizer.encode(a, b, max_length=length, truncation=truncation, side=side)
        return
    found = tokenizer.encode(a, b, max_length=length, truncation=truncation, side=side)
    assert (found.ids, found.offsets, found.type_ids) == (expected.ids, expected.offsets, expected.type_ids)
    assert found.dropped == len(tokenizer.encode(a, b).ids) - len(found.ids)


@pytest.fixture(scope="module")
def oracle(folder):
    engine = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    engine.no_padding()
    return engine


def test_truncation_refuses_by_default(tokenizer):
    assert len(tokenizer.encode(TEXT, max_length=14).ids) == 14
    with refuses(
        "12 tokens, room for 11 beside the special tokens: shorten the text, or choose a truncation (longest_first,"
        " only_first, only_second) or windows"
    ):
        tokenizer.encode(TEXT, max_length=13)
    with refuses("unknown truncation 'longest': did you mean 'longest_first'?"):
        tokenizer.encode(TEXT, max_length=14, truncation="longest")
    with refuses("truncation 'only_second' needs a pair, and there is one text: choose 'only_first'"):
        tokenizer.encode(TEXT, max_length=14, truncation="only_second")
    with refuses("side 'rigth': expected 'left' or 'right', the end at which a text is cut"):
        tokenizer.encode(TEXT, side="rigth")
    with refuses("the special tokens alone are 1 more than the length allows: raise max_length"):
        tokenizer.encode(TEXT, max_length=1, truncation="longest_first")


def test_truncation_without_a_length_takes_the_tokenizers_own(tokenizer, folder):
    found = tokenizer.encode("the " * 100, truncation="longest_first")
    assert (tokenizer.max_length, len(found.ids), found.dropped) == (64, 64, 38)
    assert len(tokenizer.encode("the " * 100).ids) == 102  # no limit unless one is named
    unlimited = load_tokenizer(folder / "tokenizer.json")
    unlimited.max_length = None
    with refuses("truncation 'only_first' needs a max_length: this tokenizer's files name none"):
        unlimited.encode("the", truncation="only_first")


@given(
    st.lists(st.sampled_from(["the", "cats", "sat", "unbelievable", "on", "😀", "mats"]), max_size=30),
    st.integers(4, 12), st.integers(0, 12), st.booleans(),
)  # fmt: skip
def test_windows_cover_every_token(tokenizer, words, length, stride, pair):
    text, other = " ".join(words), "the cat" if pair else None
    arguments = (other, text) if pair else (text, None)
    whole = tokenizer.encode(text, special_tokens=False)
    room = length - (5 if pair else 2)
    options = {"max_length": length, "stride": stride, "cut": "second" if pair else "first"}
    if room < 0 or (len(whole.ids) > room and stride >= room):
        with pytest.raises(InputError, match="raise max_length"):
            tokenizer.windows(*arguments, **options)
        return
    windows = tokenizer.windows(*arguments, **options)
    at = int(pair)
    parts = [[i for i, side in enumerate(window.sequence_ids) if side == at] for window in windows]
    for field in ("ids", "tokens", "offsets", "word_ids"):
        lists = [[getattr(window, field)[i] for i in part] for window, part in zip(windows, parts, strict=True)]
        assert lists[0] + [item for part in lists[1:] for item in part[stride:]] == getattr(whole, field)
        assert all(before[-stride:] == after[:stride] for before, after in pairwise(lists) if stride)
    assert all(len(window.ids) <= length for window in windows)
    assert all(len(part) > stride for part in parts[1:])
    if pair:
        assert all(window.ids[:4] == tokenizer.encode(other).ids for window in windows)
    with_words = tokenizer.windows_of_words(*[None if text is None else text.split() for text in arguments], **options)
    assert [window.ids for window in with_words] == [window.ids for window in windows]


def test_windows_are_those_of_the_tokenizers_package(tokenizer, oracle):
    for length in range(5, 25):
        for stride in range(length - 4):
            oracle.enable_truncation(length, stride=stride, strategy="only_second")
            expected = oracle.encode("the", TEXT)
            found = tokenizer.windows("the", TEXT, max_length=length, stride=stride, cut="second")
            assert [window.ids for window in found] == [item.ids for item in [expected, *expected.overflowing]]


def test_windows_that_do_not_fit_are_refused(tokenizer):
    with refuses(
        "windows that share 3 tokens (stride) need room for more than 3, and there is room for 2 beside the special"
        " tokens and the other text: lower the stride, or raise max_length"
    ):
        tokenizer.windows("the cat", TEXT, max_length=7, stride=3, cut="second")
    with refuses(
        "no room for windows: 4 tokens (max_length) are 1 fewer than the special tokens and the other text; raise"
        " max_length, or shorten the other text"
    ):
        tokenizer.windows("the cat", TEXT, max_length=4, stride=0, cut="second")
    with refuses("stride -1: expected the tokens that windows share, 0 or more"):
        tokenizer.windows(TEXT, max_length=8, stride=-1)
    with refuses("cut 'second': expected 'first', since there is one text"):
        tokenizer.windows(TEXT, max_length=8, stride=0, cut="second")


def test_every_word_has_an_id(tokenizer):
    words = ["the", "", "😀", "\u200b", "mats", "un the"]
    found = tokenizer.encode_words(words, ["sat"])
    assert found.word_ids == [None, 0, 1, 2, 3, 4, 4, 5, 5, None, 0, None]
    assert found.tokens[1:9] == ["the", "[UNK]", "[UNK]", "[UNK]", "mat", "##s", "un", "the"]
    assert found.offsets[1:9] == [(0, 3), (0, 0), (0, 1), (0, 1), (0, 3), (3, 4), (0, 2), (3, 6)]
    with refuses("words: 'the cat' is a text, expected a list of words; use encode for a text"):
        tokenizer.encode_words("the cat")


def test_offsets_are_code_points_after_emoji_and_combining_marks(tokenizer):
    text = "😀 cafe\u0301 👩\u200d👩 the mats"
    found = tokenizer.encode(text)
    assert [text[start:end] for start, end in found.offsets[-4:-1]] == ["the", "mat", "s"]


@given(st.lists(st.text(st.sampled_from("the cats😀,\u0301 un"), max_size=20), max_size=5))
def test_a_batch_equals_its_texts(tokenizer, texts):
    pairs = [*texts, *pairwise(texts)]
    singles = [tokenizer.encode(*([item] if isinstance(item, str) else item)) for item in pairs]
    assert tokenizer.encode_batch(pairs) == singles
    cut = {"max_length": 5, "truncation": "longest_first", "side": "left"}
    assert tokenizer.encode_batch(texts, **cut) == [tokenizer.encode(text, **cut) for text in texts]


def test_saved_and_restored(tokenizer, folder, tmp_path):
    tokenizer.save(tmp_path / "tokenizer")
    for path in (tmp_path / "tokenizer").iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()
    saved = json.loads(json.dumps(tokenizer.saved()))
    again = tokenizer_from(saved, tmp_path)
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert (again.special_ids, again.max_length, again.saved()) == (tokenizer.special_ids, 64, saved)
    config = tmp_path / "tokenizer" / "tokenizer_config.json"
    config.write_text(config.read_text().replace("64", "65"))
    with refuses(
        f"{tmp_path / 'tokenizer'}: these are not the files that the tokenizer was saved with: restore the folder of"
        " the run"
    ):
        tokenizer_from(saved, tmp_path)


def test_texts_that_are_not_unicode_are_refused(tokenizer):
    with pytest.raises(InputError, match=r"text: character 2 is half of a surrogate pair"):
        tokenizer.encode("a \ud83d")
    with pytest.raises(InputError, match=r"words: character 0 is half of a surrogate pair"):
        tokenizer.encode_words(["a", "\ud83d"])
    with refuses("a text of type int, expected a string"):
        tokenizer.encode(3)
