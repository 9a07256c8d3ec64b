# SPDX-License-Identifier: BSD-2-Clause
"""Samples of what a model does: sentences, classified texts and images, generated text."""

from collections.abc import Mapping, Sequence
from typing import Any

from spago_jax.drawing.charts.label_colours import Colours
from spago_jax.drawing.charts.png import data_uri
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.table import Cell, Column, table
from spago_jax.report.tagged import labels_in, tagged_samples

MOST_ROWS, MOST_IMAGES, MOST_TEXTS = 60, 120, 12

Sample = Mapping[str, Any]


def samples_section(samples: Sequence[Sample], order: Sequence[str] = ()) -> Html:
    """The samples, each kind in its own way; `order` is of labels, the most frequent first."""
    kinds = {name: [s for s in samples if s.get("kind") == name] for name in ("tags", "image", "text", "generated")}
    parts = []
    if kinds["tags"]:
        parts.append(tagged_samples(kinds["tags"], Colours([*order, *labels_in(kinds["tags"])])))
    if kinds["image"]:
        parts.append(_images(kinds["image"][:MOST_IMAGES]))
    if kinds["text"]:
        parts.append(_classified(kinds["text"][:MOST_ROWS]))
    if kinds["generated"]:
        parts.append(_generated(kinds["generated"][:MOST_TEXTS]))
    return join(parts)


def _right(sample: Sample) -> bool:
    return sample.get("gold") == sample.get("predicted")


def _images(samples: Sequence[Sample]) -> Html:
    def one(sample: Sample) -> Html:
        rows, gold, predicted = sample["image"], sample.get("gold"), sample.get("predicted")
        says = f"predicted {predicted}, gold {gold}"
        picture = el("img", src=data_uri(rows), alt=says, width=64, height=round(64 * len(rows) / len(rows[0])))
        verdict = el("b", predicted) if _right(sample) else join(el("s", predicted), " ", el("b", gold))
        return el("figure", picture, el("figcaption", verdict), title=says, class_="" if _right(sample) else "bad")

    wrong = sum(not _right(s) for s in samples)
    note = f"{len(samples)} images, {wrong} of them mistaken: the predicted class struck through, then the gold one."
    return join(el("p", note, class_="note"), el("div", [one(s) for s in samples], class_="gallery"))


def _classified(samples: Sequence[Sample]) -> Html:
    def one(sample: Sample) -> tuple[Any, ...]:
        right = _right(sample)
        shown = el("span", sample.get("text", ""), class_="sample")
        mark = el("span", "right" if right else "wrong", class_="" if right else "bad")
        return shown, Cell(sample.get("predicted")), Cell(sample.get("gold")), mark

    wrong = sum(not _right(s) for s in samples)
    note = f"{len(samples)} examples, {wrong} of them mistaken."
    columns = [Column("text"), Column("predicted"), Column("gold"), Column("")]
    return join(el("p", note, class_="note"), table(columns, [one(s) for s in samples], class_="classified"))


def _generated(samples: Sequence[Sample]) -> Html:
    note = "Text that the model wrote; what it was given is in bold."
    texts = [el("pre", el("b", s.get("prompt", "")), s.get("text", ""), class_="generated") for s in samples]
    return join(el("p", note, class_="note"), texts)
