"""Tokenizers by name. Oracles: the text itself, and the graphemes of the regex package (Unicode's UAX 29)."""

import unicodedata

import pytest
from helpers import refuses
from hypothesis import example, given
from hypothesis import strategies as st

from spago_jax.text.tokenizers.tokenizer import TOKENIZERS, tokenizer_from
from spago_jax.text.words import tokenize

# Without "python", which leaves out comments and reads whole sources, and "subword", which needs files of its own.
NAMES = sorted(set(TOKENIZERS.names()) - {"python", "subword"})
# Characters of every kind that are hard to cut: marks, joiners, flags, emoji, apostrophes, letters of many scripts.
HARD = (
    "aEn't'\u2019.-@#:)8 \n\u0301\u0308\u20e3\ufe0f\u200d\u200c\u00ad\u0600\u06dd\u0d4e\U0001f1e9\U0001f1ea"
    "\U0001f468\U0001f4bb\u2764\U0001f3fd\u2139\u00a9\U000e0067\u0915\u0937\u093f\u0e01\u0e33\uac00\u1100\u1161"
    "\u4eca\u306f\u30ab\uff9e\u0627\u064b\u05d0\u05f4\u102b"
)
# Letters that the Unicode of this Python does not know are others to the oracle, and it joins a letter to a virama
# that follows no letter, against the rule (GB9c).
known = st.characters(codec="utf-8").filter(
    lambda char: unicodedata.category(char) != "Cn" and unicodedata.combining(char) != 9
)
texts = st.text(st.sampled_from(HARD) | known, max_size=25)


@pytest.mark.parametrize("name", NAMES)
@given(texts)
@example(text="\u2764\u200d\U0001f1e9\U0001f1ea\U0001f1e9")
@example("https://a.io/\u0301 8)\u0301 a@b.c\u0301 1\ufe0f\u20e3st")
def test_offsets_hold_and_only_white_space_is_lost(name, text):
    found = tokenizer_from({"kind": name}).encode(text)
    assert [text[start:end] for start, end in found.offsets] == found.tokens
    assert all(found.tokens)
    ends = [0, *(end for _, end in found.offsets)]
    starts = [*(start for start, _ in found.offsets), len(text)]
    assert all(text[a:b] == "" or text[a:b].isspace() for a, b in zip(ends, starts, strict=True))


@pytest.fixture(scope="module")
def regex():
    return pytest.importorskip("regex", reason="needs regex")


# spaGO's cuts within graphemes, and has to give what it gives.
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"spago"}))
@given(text=texts)
@example(text="\u0939\u093f\u0928\u094d\u0926\u0940 cafe\u0301's n\u0303't can\u0301not")
@example(text="\u2764\u200d\U0001f1e9\U0001f1ea\U0001f1e9 \U0001f468\U0001f3fd\u200d\U0001f4bb \u2139\u200d\u2764")
def test_graphemes_are_never_split(name, regex, text):
    edges = {edge for span in tokenizer_from({"kind": name}).encode(text).offsets for edge in span}
    for grapheme in regex.finditer(r"\X", text):
        if not any(char.isspace() for char in grapheme.group()):
            assert not edges & set(range(grapheme.start() + 1, grapheme.end())), grapheme


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("words", "nai\u0308ve cafe\u0301s", ["nai\u0308ve", "cafe\u0301s"]),
        ("words", "हिन्दी का", ["हिन्दी", "का"]),
        ("words", "مَرْحَبًا!", ["مَرْحَبًا", "!"]),
        ("words", "نمی\u200cخواهم", ["نمی\u200cخواهم"]),
        ("words", "👨\u200d👩ok❤\ufe0f👍🏽", ["👨\u200d👩", "ok", "❤\ufe0f", "👍🏽"]),
        ("words", "🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("general", "Don't stop: l'amico's x@y.org", ["Don't", "stop", ":", "l'amico's", "x@y.org"]),
        ("general", "東京に行く。カメラ", [*"東京に行く。", "カメラ"]),
        ("general", "١٫٥ 1'000 well-known col·lega", ["١٫٥", "1'000", "well-known", "col·lega"]),
        ("general", "สวัสดี 한국어", ["สวัสดี", "한국어"]),
        ("italian", "L’amico dell'èra, all'8!", ["L’", "amico", "dell'", "èra", ",", "all'", "8", "!"]),
        ("french", "J'ai dit qu'entr'acte: l'île", ["J'", "ai", "dit", "qu'", "entr'", "acte", ":", "l'", "île"]),
        ("whitespace", " l'amico,\u3000cafe\u0301 ", ["l'amico,", "cafe\u0301"]),
    ],
)  # fmt: skip
def test_cases(name, text, tokens):
    assert tokenizer_from({"kind": name}).encode(text).tokens == tokens


@pytest.mark.parametrize("name", NAMES)
def test_long_texts_take_linear_time(name):
    # A pattern that backtracks would not come back from these.
    tokenizer = tokenizer_from({"kind": name})
    for piece in ("a", "'", "\u0301", "a\u0301.", "\u4eca", "\U0001f1e9", "\U0001f468\u200d", "l'", "f@", "1,", "a-"):
        assert "".join(tokenizer.encode(piece * 20_000).tokens) == piece * 20_000


def test_names_and_settings():
    assert {"general", "words", "whitespace", "italian", "french"} <= set(TOKENIZERS.names())
    for name in NAMES:
        tokenizer = tokenizer_from({"kind": name, "lowercase": True})
        assert tokenizer.saved() == {"kind": name, "lowercase": True}
        assert tokenizer.encode("ANN").tokens == ["ann"]
    with refuses("unknown tokenizer 'generl': did you mean 'general'?"):
        tokenizer_from({"kind": "generl"})
    with refuses("the tokenizer 'python' has no setting 'lowercase'; known: window"):
        tokenizer_from({"kind": "python", "lowercase": True})
    with refuses("the tokenizer 'subword' needs the setting 'path'"):
        tokenizer_from({"kind": "subword"})
    with refuses("the tokenizer 'words' has no setting 'lowercas'; did you mean 'lowercase'?"):
        tokenizer_from({"kind": "words", "lowercas": True})


@given(st.text(st.characters(max_codepoint=127)))
def test_english_is_cut_by_the_words_of_text(text):
    assert tokenizer_from({"kind": "words"}).encode(text).tokens == [token.text for token in tokenize(text)]


def test_spagos_words_and_pieces():
    """What the golden cases do not hold. Oracle: its rules, by hand."""
    cut = tokenizer_from({"kind": "spago", "special": ["[X]"]})
    assert cut.saved() == {"kind": "spago", "lowercase": False, "special": ["[X]"]}
    assert cut.encode("[X] [X]. a\u2028b a\u3000b <$5>").tokens == [
        "[X]", "[", "X", "]", ".", "a\u2028b", "a", "b", "<", "$", "5", ">",
    ]  # fmt: skip
    pieces = {"kind": "spago", "lowercase": True, "vocabulary": ["[UNK]", "[CLS]", "un", "##do", "a", "##a"]}
    cut = tokenizer_from(pieces)
    assert cut.saved() == pieces
    found = cut.encode("[CLS] UNDO it " + "a" * 100 + " " + "a" * 101)
    assert found.tokens == ["[CLS]", "un", "##do", "[UNK]", "a", *["##a"] * 99, "[UNK]"]
    assert found.ids[:4] == [1, 2, 3, 0]
    assert found.word_ids[:5] == [0, 1, 1, 2, 3]
    assert found.offsets[:4] == [(0, 5), (6, 8), (8, 10), (11, 13)]
    with refuses("the vocabulary has no '[UNK]', which stands for words that cannot be cut into its pieces"):
        tokenizer_from({"kind": "spago", "vocabulary": ["a"]})
