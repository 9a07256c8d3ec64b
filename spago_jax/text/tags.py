# SPDX-License-Identifier: BSD-2-Clause
"""Tag schemes for spans: reading, writing, converting and checking IOB1, IOB2 (BIO), BIOES, BILOU and IO tags.

| scheme | a span of one token | of three | B- |
|---|---|---|---|
| IOB1  | ``I-X`` | ``I-X I-X I-X`` | only if a span directly follows a span of the same label |
| IOB2  | ``B-X`` | ``B-X I-X I-X`` | at every start (also called BIO) |
| BIOES | ``S-X`` | ``B-X I-X E-X`` | at the start of two or more tokens |
| BILOU | ``U-X`` | ``B-X I-X L-X`` | at the start of two or more tokens |
| IO    | ``X``   | ``X X X``       | none: each run of one label is a span |
| plain | ``X``   | ``X X X``       | none: a tag is not part of a span (parts of speech) |

``O`` is outside in all of them. The label is everything after the first hyphen (``B-creative-work``).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from spago_jax.errors import InputError, did_you_mean

__all__ = [
    "Detected",
    "Scheme",
    "Span",
    "Violation",
    "allowed",
    "check",
    "convert",
    "detect_scheme",
    "labels_of",
    "parse_scheme",
    "spans",
    "split_tag",
    "tag_set",
    "tags_from_spans",
    "transition_mask",
]

Scheme = Literal["IOB1", "IOB2", "BIOES", "BILOU", "IO", "plain"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
OUTSIDE = "O"
UNKNOWN_TAG = "<unk>"
# The prefixes of each scheme, and the ones of BIOES that mean the same.
_PREFIXES = {"IOB1": {"B": "B", "I": "I"}, "IOB2": {"B": "B", "I": "I"}, "BIOES": {p: p for p in "BIES"}}
_PREFIXES["BILOU"] = {"B": "B", "I": "I", "L": "E", "U": "S"}
_UNPREFIXED = ("IO", "plain")


class Span(NamedTuple):
    """Tokens ``start`` to ``end`` (exclusive) carry one label."""

    start: int
    end: int
    label: str


class Violation(NamedTuple):
    """A tag that its scheme does not allow after the tag before it (position ``len(tags)``: at the end)."""

    position: int
    message: str


def parse_scheme(name: str) -> Scheme:
    """Returns the scheme of a name in any case; ``BIO`` is IOB2, ``IOBES`` is BIOES.

    >>> parse_scheme("bio")
    'IOB2'

    Raises:
        InputError: there is no such scheme.
    """
    known: dict[str, Scheme] = {s.lower(): s for s in SCHEMES}
    known |= {"bio": "IOB2", "iob": "IOB1", "iobes": "BIOES", "bilu": "BILOU", "bioul": "BILOU"}
    try:
        return known[name.lower()]
    except KeyError:
        hint = did_you_mean(name.upper(), SCHEMES)
        raise InputError(f"{name!r} is not a tag scheme; {hint}") from None


def split_tag(tag: str, scheme: str = "IOB2") -> tuple[str, str]:
    """Splits a tag into its prefix, as BIOES writes it, and its label; ``<unk>``, which old models have, is outside.

    >>> split_tag("B-creative-work"), split_tag("O"), split_tag("NOUN", "plain"), split_tag("U-LOC", "BILOU")
    (('B', 'creative-work'), ('O', ''), ('I', 'NOUN'), ('S', 'LOC'))

    Raises:
        InputError: the prefix is not one of the scheme's.
    """
    if tag in (OUTSIDE, UNKNOWN_TAG) and (tag == OUTSIDE or scheme != "plain"):
        return OUTSIDE, ""
    if scheme in _UNPREFIXED:
        return "I", tag
    prefix, _, label = tag.partition("-")
    known = _PREFIXES.get(scheme) or _PREFIXES["IOB2"]
    if prefix not in known:
        what = ", ".join(f"{p}-LABEL" for p in known)
        raise InputError(f"tag {tag!r} is not of the scheme {scheme}: expected O, {what}")
    return known[prefix], label


def _starts(before: tuple[str, str], prefix: str, label: str) -> bool:
    """Whether a tag other than O starts a span: conlleval's rule, which holds for all schemes at once."""
    return prefix in "BS" or before[0] in "OES" or before[1] != label


def spans(tags: Sequence[str], scheme: str = "BIOES") -> list[Span]:
    """Returns the spans that tags mark, as conlleval reads them (CoNLL-2000 and 2003 shared tasks).

    A span starts at a ``B-`` or ``S-``, and at an ``I-`` or ``E-`` that does not continue: after ``O``, after
    ``E-`` or ``S-``, or after another label. It ends before the next start, before ``O``, and after ``E-`` or
    ``S-``. So a model's tags always have a meaning, even if their scheme would not allow them. The rule
    reads IOB1, IOB2 and BIOES alike, and ``BIOES``, the default, admits all their prefixes; ``IO`` and ``plain``
    read each run of one tag as a span.

    >>> spans(["B-PER", "I-PER", "O", "I-LOC", "I-ORG"])
    [Span(start=0, end=2, label='PER'), Span(start=3, end=4, label='LOC'), Span(start=4, end=5, label='ORG')]

    Raises:
        InputError: a tag has a prefix that is not one of the scheme's.
    """
    found: list[Span] = []
    start, before = -1, (OUTSIDE, "")
    for i, tag in enumerate(tags):
        prefix, label = split_tag(tag, scheme)
        if prefix == OUTSIDE:
            if start >= 0:
                found.append(Span(start, i, before[1]))
            start = -1
        elif start < 0 or _starts(before, prefix, label):
            if start >= 0:
                found.append(Span(start, i, before[1]))
            start = i
        before = (prefix, label)
    if start >= 0:
        found.append(Span(start, len(tags), before[1]))
    return found


def tags_from_spans(found: Iterable[Span | tuple[int, int, str]], length: int, scheme: str = "IOB2") -> list[str]:
    """Returns the tags of `length` tokens in which these spans are marked.

    >>> tags_from_spans([(0, 2, "PER"), (3, 4, "LOC")], 5, "BIOES")
    ['B-PER', 'E-PER', 'O', 'S-LOC', 'O']

    Raises:
        InputError: a span is empty, outside the tokens, or overlaps another.
    """
    scheme = parse_scheme(scheme)
    tags = [OUTSIDE] * length
    last: Span | None = None
    for span in sorted(Span(*s) for s in found):
        start, end, label = span
        if not 0 <= start < end <= length:
            raise InputError(f"{span} does not fit {length} tokens: expected 0 <= start < end <= {length}")
        if last is not None and start < last.end:
            raise InputError(f"{span} overlaps {last}: a token can carry one tag only")
        if scheme in _UNPREFIXED:
            tags[start:end] = [label] * (end - start)
        elif scheme in ("BIOES", "BILOU") and end - start == 1:
            tags[start] = f"{'S' if scheme == 'BIOES' else 'U'}-{label}"
        else:
            tags[start:end] = [f"I-{label}"] * (end - start)
            touches = last is not None and last.end == start and last.label == label
            if scheme != "IOB1" or touches:
                tags[start] = f"B-{label}"
            if scheme in ("BIOES", "BILOU"):
                tags[end - 1] = f"{'E' if scheme == 'BIOES' else 'L'}-{label}"
        last = span
    return tags


def convert(tags: Sequence[str], to: str, *, scheme: str = "BIOES") -> list[str]:
    """Writes the same spans in another scheme; `scheme` is the one to read, as in `spans`.

    >>> convert(["I-LOC", "I-LOC", "B-LOC", "O"], "BIOES")
    ['B-LOC', 'E-LOC', 'S-LOC', 'O']
    """
    return tags_from_spans(spans(tags, parse_scheme(scheme)), len(tags), to)


def allowed(before: str | None, tag: str | None, scheme: str) -> bool:
    """Whether a scheme lets `tag` follow `before`; None stands for the edge of the sentence.

    >>> allowed("O", "I-PER", "IOB2"), allowed("B-PER", None, "BIOES"), allowed(None, "I-PER", "IOB1")
    (False, False, True)
    """
    scheme = parse_scheme(scheme)
    if scheme in _UNPREFIXED:
        return True
    old = split_tag(before, scheme) if before is not None else (OUTSIDE, "")
    new = split_tag(tag, scheme) if tag is not None else (OUTSIDE, "")
    if scheme == "IOB2":
        return new[0] != "I" or (old[0] in "BI" and old[1] == new[1])
    if scheme == "IOB1":
        return new[0] != "B" or (old[0] in "BI" and old[1] == new[1])
    inside = old[0] in "BI"
    if inside:
        return new[0] in "IE" and old[1] == new[1]
    return new[0] in "OBS"


def check(tags: Sequence[str], scheme: str) -> list[Violation]:
    """Returns the violations of a scheme in the tags of one sentence; an empty list if there are none.

    >>> check(["O", "I-PER"], "IOB2")
    [Violation(position=1, message="tag 1: 'I-PER' cannot follow 'O' in IOB2")]
    >>> check(["B-PER"], "BIOES")
    [Violation(position=1, message="tag 1: the sentence cannot end after 'B-PER' in BIOES")]

    Raises:
        InputError: a tag has a prefix that is not one of the scheme's.
    """
    scheme = parse_scheme(scheme)
    problems: list[Violation] = []
    before: str | None = None
    for i, tag in enumerate(tags):
        if not allowed(before, tag, scheme):
            place = "start a sentence" if before is None else f"follow {before!r}"
            problems.append(Violation(i, f"tag {i}: {tag!r} cannot {place} in {scheme}"))
        before = tag
    if before is not None and not allowed(before, None, scheme):
        end = len(tags)
        problems.append(Violation(end, f"tag {end}: the sentence cannot end after {before!r} in {scheme}"))
    return problems


class Detected(NamedTuple):
    """A scheme, and the tags that do not fit it, though nearly all others do.

    Attributes:
        scheme: the scheme.
        odd: the first of the odd tags, or None.
        sentence: the number of the sentence that holds it, from 0.
        position: its place in that sentence.
        times: how many odd tags there are.
    """

    scheme: Scheme
    odd: str | None = None
    sentence: int = 0
    position: int = 0
    times: int = 0


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Detected:
    """Detects the scheme of sentences of tags.

    Tags with prefixes are BIOES if there is an ``E-`` or ``S-``, BILOU if there is an ``L-`` or ``U-``, otherwise IOB1
    or IOB2, whichever has fewer violations, and IOB2 if they have as many. Tags without prefixes are IO if most of
    them are ``O``, otherwise plain. Where some tags have a prefix and some not, the few (at most one in ten of the
    tags other than ``O``) are reported as odd.

    >>> detect_scheme([["I-PER", "I-PER", "O"], ["O", "I-LOC", "B-LOC"]]).scheme
    'IOB1'
    >>> detect_scheme([["B-PER", "I-PER", "O"]] * 9 + [["O", "o"]])
    Detected(scheme='IOB2', odd='o', sentence=9, position=1, times=1)
    """
    violations = {"IOB1": 0, "IOB2": 0}
    prefixes: Counter[str] = Counter()
    outside = odd_count = 0
    odd: tuple[str, int, int] | None = None
    prefix_of: dict[str, str] = {OUTSIDE: OUTSIDE}
    for number, tags in enumerate(sentences):
        before = (OUTSIDE, "")
        for position, tag in enumerate(tags):
            prefix = prefix_of.get(tag)
            if prefix is None:
                prefix = prefix_of[tag] = tag[0] if len(tag) > 2 and tag[0] in "BIESLU" and tag[1] == "-" else ""
            if prefix == OUTSIDE:
                outside += 1
            elif not prefix:
                odd_count += 1
                odd = odd or (tag, number, position)
            else:
                prefixes[prefix] += 1
                continues = before[0] in "BI" and before[1] == tag[2:]
                violations["IOB1"] += prefix == "B" and not continues
                violations["IOB2"] += prefix == "I" and not continues
            before = (prefix or OUTSIDE, tag[2:])
    spanning = prefixes.total()
    if odd_count and odd_count > (spanning + odd_count) / 10:
        return Detected("IO" if outside > spanning + odd_count else "plain")
    if prefixes.keys() & {"L", "U"}:
        scheme = "BILOU"
    elif prefixes.keys() & {"E", "S"}:
        scheme = "BIOES"
    else:
        scheme = "IOB1" if violations["IOB1"] < violations["IOB2"] else "IOB2"
    return Detected(scheme) if odd is None else Detected(scheme, *odd, odd_count)


def labels_of(tags: Iterable[str], scheme: str = "BIOES") -> list[str]:
    """Returns the labels that occur in tags, sorted, without prefixes and ``O``.

    >>> labels_of(["O", "B-PER", "I-PER", "B-LOC"])
    ['LOC', 'PER']
    """
    return sorted({split_tag(tag, scheme)[1] for tag in set(tags) if tag != OUTSIDE})


def tag_set(labels: Iterable[str], scheme: str) -> list[str]:
    """Returns every tag of a scheme for these labels, ``O`` first: the classes of a tagger.

    >>> tag_set(["LOC", "PER"], "IOB2")
    ['O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER']
    """
    scheme = parse_scheme(scheme)
    if scheme in _UNPREFIXED:
        return [OUTSIDE, *(x for x in labels if x != OUTSIDE)]
    prefixes = _PREFIXES[scheme]
    return [OUTSIDE, *(f"{p}-{label}" for label in labels for p in prefixes)]


def transition_mask(tag_names: Sequence[str], scheme: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns which tags may start a sentence, follow each other and end it, to ban impossible tags in a CRF.

    >>> start, follow, end = transition_mask(["O", "B-X", "I-X"], "IOB2")
    >>> start.tolist(), follow[0].tolist(), end.tolist()
    ([True, True, False], [True, True, False], [True, True, True])

    Args:
        tag_names: the n tags, in the order of their ids.
        scheme: one of the schemes; ``IO`` and ``plain`` allow everything.

    Returns:
        ``start`` bool[n], ``transitions`` bool[n, n] (row: the tag before, column: the tag after) and ``end``
        bool[n]; True is allowed.

    Raises:
        InputError: a tag has a prefix that is not one of the scheme's, or the scheme is unknown.
    """
    scheme = parse_scheme(scheme)
    start = np.array([allowed(None, tag, scheme) for tag in tag_names], bool)
    end = np.array([allowed(tag, None, scheme) for tag in tag_names], bool)
    follow = np.array([[allowed(a, b, scheme) for b in tag_names] for a in tag_names], bool)
    return start, follow.reshape(len(tag_names), len(tag_names)), end
