# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: hand-made cases, and the property that nothing but white space is lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.text import normalise, tokenize, word_shape, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n\t", []),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("I can't, won't; they'll", ["I", "ca", "n't", ",", "wo", "n't", ";", "they", "'ll"]),
        ("cannot", ["can", "not"]),
        ("John's dogs' tails", ["John", "'s", "dogs", "'", "tails"]),
        ("isn’t it", ["is", "n’t", "it"]),
        ("see http://a.com/b?c=1.", ["see", "http://a.com/b?c=1", "."]),
        ("(www.x.org)", ["(", "www.x.org", ")"]),
        ("mail a.b@c.de now", ["mail", "a.b@c.de", "now"]),
        ("@you_1 #Tag2 C#", ["@you_1", "#Tag2", "C", "#"]),
        ("in the U.S. at 10:30, 1,000.50$", ["in", "the", "U.S.", "at", "10:30", ",", "1,000.50", "$"]),
        ("well-known -- no...", ["well-known", "--", "no", "..."]),
        ("ok :-) fine :D", ["ok", ":-)", "fine", ":D"]),
        ("naïve café 東京", ["naïve", "café", "東京"]),
        ("🙂🙃", ["🙂", "🙃"]),
    ],
)
def test_cases(text, expected):
    assert [t.text for t in tokenize(text)] == expected
    assert words(text, lower=False) == expected


@settings(deadline=None)
@given(st.text() | st.text(alphabet="ab'n’t.-:)(#@0 _/http<>"))
def test_offsets_hold_and_only_white_space_is_lost(text):
    tokens = tokenize(text)
    assert all(text[t.start : t.end] == t.text and t.text for t in tokens)
    ends = [0, *(t.end for t in tokens)]
    starts = [*(t.start for t in tokens), len(text)]
    gaps = [text[a:b] for a, b in zip(ends, starts, strict=True)]
    assert all(re.fullmatch(r"\s*", gap) for gap in gaps)
    assert words(text, lower=False) == [t.text for t in tokens]


def test_long_text_is_linear():
    # A pattern that backtracks would not come back from this.
    assert len(tokenize("a" * 50_000 + "'" * 50_000)) == 50_001
    for piece in (":", "+", "<", "@", "#", "a.", "a-", "www.", "1,", "f@", "_@", "'s", "<a", "http://"):
        text = piece * 50_000
        assert "".join(words(text, lower=False)) == text


def test_normalise():
    assert normalise("ABC-123") == "abc-000"
    assert normalise("ABC-123", lower=False, digits="#") == "ABC-###"
    assert normalise("٣") == "0"  # any decimal digit


def test_word_shape_cuts_runs():
    assert word_shape("aaaaaaaa") == "xxxx"
    assert word_shape("aaaaaaaa", run=2) == "xx"
    assert word_shape("aB1-") == "xXd-"
    assert word_shape("") == ""
