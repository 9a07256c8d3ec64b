# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: conlleval's published start and end rules, written out here one by one; enumeration of all tags."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.errors import InputError
from spago_jax.text.tags import (
    Span,
    allowed,
    check,
    convert,
    detect_scheme,
    parse_scheme,
    spans,
    split_tag,
    tag_set,
    tags_from_spans,
    transition_mask,
)

SPANNING = ["IOB1", "IOB2", "BIOES", "BILOU"]
ALL = ["O", *(f"{p}-{x}" for p in "BIES" for x in "XY")]


def conlleval(tags):
    """Chunks by the rule lists of the conlleval script (endOfChunk, startOfChunk), including its E and S forms."""
    found, start = [], None
    before_tag, before_type = "O", ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        pair = before_tag + prefix
        ends = pair in ("BB", "BS", "BO", "IB", "IS", "IO") or before_tag in "ES"
        ends = ends or (before_tag != "O" and before_type != kind)
        starts = prefix in "BS" or pair in ("EE", "EI", "SE", "SI", "OE", "OI")
        starts = starts or (prefix != "O" and before_type != kind)
        if ends and start is not None:
            found.append((start, i, before_type))
            start = None
        if starts:
            start = i
        before_tag, before_type = prefix, kind
    return found


def test_spans_are_conllevals_for_every_sequence_of_four_tags():
    for length in range(5):
        for tags in itertools.product(ALL, repeat=length):
            assert spans(tags) == conlleval(tags), tags


@st.composite
def some_spans(draw):
    length = draw(st.integers(1, 12))
    found, at = [], 0
    while at < length:
        at += draw(st.integers(0, 2))
        end = at + draw(st.integers(1, 3))
        if end <= length:
            found.append(Span(at, end, draw(st.sampled_from(["A", "B-b", "C"]))))
        at = end
    return found, length


@settings(deadline=None)
@given(some_spans(), st.sampled_from(SPANNING), st.sampled_from(SPANNING))
def test_round_trips_and_conversions_keep_the_spans(case, one, other):
    found, length = case
    tags = tags_from_spans(found, length, one)
    assert spans(tags, one) == found
    assert check(tags, one) == []
    assert convert(tags, other, scheme=one) == tags_from_spans(found, length, other)


def test_known_conversions():
    iob1 = ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC", "I-ORG"]
    assert convert(iob1, "IOB2") == ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC", "B-ORG"]
    assert convert(iob1, "BIOES") == ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC", "S-ORG"]
    assert convert(iob1, "IOB1") == iob1
    assert convert(iob1, "plain") == ["PER", "PER", "O", "LOC", "LOC", "LOC", "ORG"]
    assert convert(["PER", "PER", "O"], "BIO", scheme="plain") == ["B-PER", "I-PER", "O"]


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "BIOES"])
def test_allowed_is_exactly_what_writing_spans_can_give(scheme):
    tags = tag_set(["X", "Y"], scheme)
    for length in range(1, 5):
        legal = {t for t in itertools.product(tags, repeat=length) if not check(t, scheme)}
        # Every legal sequence is how its own spans are written, and every way to write spans is legal.
        assert legal == {tuple(convert(t, scheme)) for t in itertools.product(tags, repeat=length)}


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "BIOES", "BILOU", "IO", "plain"])
def test_transition_mask_agrees_with_check(scheme):
    tags = tag_set(["X", "Y"], scheme)
    start, follow, end = transition_mask(tags, scheme)
    assert (start.dtype, follow.shape) == (bool, (len(tags), len(tags)))
    for ids in itertools.product(range(len(tags)), repeat=3):
        legal = start[ids[0]] and follow[ids[0], ids[1]] and follow[ids[1], ids[2]] and end[ids[2]]
        assert legal == (not check([tags[i] for i in ids], scheme))


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([["B-X", "I-X"], ["O", "B-Y", "B-Y"]], "IOB2"),
        ([["I-X", "I-X"], ["O", "I-Y", "B-Y"]], "IOB1"),
        ([["B-X", "E-X"], ["O"]], "BIOES"),
        ([["S-X"]], "BIOES"),
        ([["B-X", "L-X"], ["O"]], "BILOU"),
        ([["U-X"]], "BILOU"),
        ([["PER", "PER", "O", "O", "O", "LOC"], ["O"]], "IO"),
        ([["NOUN", "VERB"]], "plain"),
        ([["-LRB-"]], "plain"),
        ([["O", "O"]], "IOB2"),
        ([["B-X"], ["B-X"], ["I-X"]], "IOB2"),
        ([], "IOB2"),
    ],
)
def test_detect_scheme(sentences, scheme):
    assert detect_scheme(sentences) == (scheme, None, 0, 0, 0)


@settings(deadline=None)
@given(some_spans(), st.sampled_from(SPANNING))
def test_detected_scheme_is_one_the_tags_obey(case, scheme):
    found, length = case
    tags = tags_from_spans(found, length, scheme)
    detected = detect_scheme([tags])
    assert check(tags, detected.scheme) == []
    assert spans(tags, detected.scheme) == found


def test_names():
    assert [parse_scheme(n) for n in ("BIO", "iob1", "IOBES", "Plain")] == ["IOB2", "IOB1", "BIOES", "plain"]
    assert allowed(None, None, "BIOES")


def messages():
    yield lambda: parse_scheme("BIEOS"), "'BIEOS' is not a tag scheme; did you mean 'BIOES'?"
    yield lambda: split_tag("E-X"), "tag 'E-X' is not of the scheme IOB2: expected O, B-LABEL, I-LABEL"
    yield (
        lambda: spans(["O", "NOUN"]),
        "tag 'NOUN' is not of the scheme BIOES: expected O, B-LABEL, I-LABEL, E-LABEL, S-LABEL",
    )
    yield (
        lambda: tags_from_spans([(0, 2, "X"), (1, 3, "Y")], 3),
        "Span(start=1, end=3, label='Y') overlaps Span(start=0, end=2, label='X'): a token can carry one tag only",
    )
    yield (
        lambda: tags_from_spans([(1, 4, "X")], 3),
        "Span(start=1, end=4, label='X') does not fit 3 tokens: expected 0 <= start < end <= 3",
    )


@pytest.mark.parametrize(("call", "message"), list(messages()))
def test_messages(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message


def test_check_says_where():
    assert [v.message for v in check(["I-X", "O", "I-Y"], "IOB2")] == [
        "tag 0: 'I-X' cannot start a sentence in IOB2",
        "tag 2: 'I-Y' cannot follow 'O' in IOB2",
    ]


def test_the_unknown_tag_of_old_models_is_outside():
    """Flair's taggers of 0.4 have ``<unk>`` among their tags; among tags that are no spans it is one like any other."""
    assert spans(["S-LOC", "<unk>", "B-PER"]) == [Span(0, 1, "LOC"), Span(2, 3, "PER")]
    assert split_tag("<unk>", "plain") == ("I", "<unk>")
