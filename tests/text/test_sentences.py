"""Where sentences end, and how texts are joined."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.text.sentences import joined, sentence_spans


def sentences(text):
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He met Dr. Smith at 3.15 p.m. and left.", ["He met Dr. Smith at 3.15 p.m. and left."]),
        ("See Fig. 2 and No. 5. No. I won't.", ["See Fig. 2 and No. 5.", "No.", "I won't."]),
        ("J. R. R. Tolkien wrote. So it is.", ["J. R. R. Tolkien wrote.", "So it is."]),
        ('"Stop!" She ran. (Really.) Yes…', ['"Stop!"', "She ran.", "(Really.)", "Yes…"]),
        ("a line\n\nanother line\n", ["a line", "another line"]),
        ("他走了。「好！」她说。", ["他走了。", "「好！」", "她说。"]),
        ("", []),
        (" \n ", []),
        ("...", ["..."]),
    ],
)
def test_sentences_of_texts(text, expected):
    assert sentences(text) == expected


@given(st.text(st.sampled_from("aB .!?。\n\u3000'\"…)"), max_size=40))
def test_nothing_but_blanks_is_lost(text):
    spans = sentence_spans(text)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(a < b <= c for (a, b), (c, _) in itertools.pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)


def test_texts_are_joined_as_their_script_is_written():
    assert joined(["One.", "", " Two. "]) == "One. Two."
    assert joined(["他走了。", "她笑。"]) == "他走了。她笑。"
    assert joined(["他说", "OK."]) == "他说 OK."
    assert joined([]) == ""
