# SPDX-License-Identifier: BSD-2-Clause
"""Sample sentences of a tagger: entities as boxes, or one tag a token, with the mistakes marked and named."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spago_jax.drawing.charts.label_colours import OUTSIDE, Colours
from spago_jax.drawing.html import Html, el, join
from spago_jax.errors import InputError
from spago_jax.report.entities import WORDS, Found, compare
from spago_jax.text.tags import split_tag

MOST_SENTENCES = 60
MOST_TOKENS = 200

NOTES = {  # by whether the sentences have plain tags
    False: "Boxes are predicted entities. A mistake has a red frame (dashed where missed, double where the boundary is "
    "wrong) and says what it is; a dotted underline is the gold entity of a wrong box.",
    True: "A coloured token has the colour of its predicted tag; a wrong one is underlined, with both tags beneath it.",
}


def tagged_samples(samples: Sequence[Mapping[str, Any]], colours: Colours) -> Html:
    """Sentences with their predicted tags, those with mistakes told apart."""
    used: Counter[str] = Counter()
    lines = [_sentence(sample, colours, used) for sample in samples[:MOST_SENTENCES]]
    wrong = sum(not fine for _, fine, _ in lines)
    kinds = {is_plain for _, _, is_plain in lines}
    plain = True in kinds
    notes = [f"{len(lines)} sentences, {wrong} with a mistake.", *(NOTES[kind] for kind in sorted(kinds))]
    note = " ".join(notes)
    return el(
        "div",
        el("p", note, class_="note"),
        _switch("only", "only sentences with a mistake") if 0 < wrong < len(lines) else None,
        _switch("every", "write every tag") if plain else None,
        colours.legend(used),
        el("div", [markup for markup, _, _ in lines], class_="sentences"),
        class_="samples",
    )


def _switch(name: str, label: str) -> Html:
    """A check box that the style sheet reads, so that it works without a script."""
    return el("label", el("input", type="checkbox", class_=name), label, class_="switch")


def _sentence(sample: Mapping[str, Any], colours: Colours, used: Counter[str]) -> tuple[Html, bool, bool]:
    tokens = [str(token) for token in sample["tokens"]][:MOST_TOKENS]
    predicted = [str(tag) for tag in sample["predicted"]][: len(tokens)]
    gold = [str(tag) for tag in sample.get("gold") or predicted][: len(tokens)]
    cut = " …" if len(sample["tokens"]) > MOST_TOKENS else None
    try:
        scheme = str(sample.get("scheme", "plain"))
        if scheme != "plain":
            found = compare(gold, predicted, scheme)
            used.update(f.span.label for f in found)
            used.update(g.label for f in found for g in f.gold)
            fine = all(f.kind == "right" for f in found)
            return _line(join(_entities(tokens, found, colours), cut), fine), fine, False
    except InputError:  # tags outside their scheme are shown as they are
        pass
    fine = list(gold) == list(predicted)
    used.update(tag for tag in (*gold, *predicted) if tag != OUTSIDE)
    body = [join(_token(*line, colours), " ") for line in zip(tokens, gold, predicted, strict=True)]
    return _line(join(body, cut), fine), fine, True


def _line(body: Html, fine: bool) -> Html:
    return el("p", body, class_="fine" if fine else "flawed")


def _token(token: str, gold: str, predicted: str, colours: Colours) -> Html:
    if gold == predicted:
        return el("span", token, el("small", predicted), class_=f"t {colours.of(predicted)}", title=predicted)
    words = join(el("s", predicted), " ", el("b", gold))
    hint = f"predicted {predicted}, gold {gold}"
    return el("span", el("u", token), el("small", words), class_=f"t bad {colours.of(predicted)}", title=hint)


def _entities(tokens: Sequence[str], found: Sequence[Found], colours: Colours) -> Iterator[Html]:
    underlined = {i for f in found if f.kind == "boundary" for g in f.gold for i in range(g.start, g.end)}

    def words(start: int, end: int) -> Html:
        return join(
            [
                (" " if i > start else "", el("span", tokens[i], class_="gold") if i in underlined else tokens[i])
                for i in range(start, end)
            ]
        )

    place = 0
    for f in found:
        yield join(words(place, f.span.start), " ")
        yield el(
            "span",
            words(f.span.start, f.span.end),
            el("small", _says(f, tokens)),
            class_=f"entity {f.kind} {colours.of(f.span.label)}",
            title=None if f.kind == "right" else WORDS[f.kind],
        )
        yield Html(" ")
        place = f.span.end
    yield words(place, len(tokens))


def _says(found: Found, tokens: Sequence[str]) -> Html:
    """The label, and of a mistake what is wrong and what would have been right."""
    label = el("b", found.span.label)
    if found.kind == "right":
        return label
    if found.kind == "missed":
        return join("missed ", label)
    if found.kind == "type":
        return join(label, " wrong type, gold ", [g.label for g in found.gold])
    if found.kind == "spurious":
        return join(label, f" {WORDS['spurious']}")
    true = "; ".join(f"{' '.join(tokens[g.start : g.end])} {g.label}" for g in found.gold)
    return join(label, f" {WORDS['boundary']}, gold: {true}")


def labels_in(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """The labels of the samples' gold tags, the most frequent first, for the order of the colours."""
    counts: Counter[str] = Counter()
    for sample in samples:
        scheme = str(sample.get("scheme", "plain"))
        for tag in sample.get("gold") or ():
            try:
                counts[split_tag(str(tag), scheme)[1]] += 1
            except InputError:
                counts[str(tag)] += 1
    del counts[""]
    return [label for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
