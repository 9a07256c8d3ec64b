# SPDX-License-Identifier: BSD-2-Clause
"""Samples of what a model does: tagged sentences, classified texts and images."""

from collections.abc import Mapping, Sequence
from typing import Any

from spago_jax.core.show import count, finite
from spago_jax.drawing.charts.label_colours import Colours
from spago_jax.drawing.charts.png import data_uri
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.table import Cell, Column, table
from spago_jax.report.tagged import labels_in, tagged_samples

MOST_ROWS, MOST_IMAGES = 60, 120

Sample = Mapping[str, Any]


def samples_section(samples: Sequence[Sample], order: Sequence[str] = ()) -> Html:
    """The samples, each kind in its own way; `order` is of labels, the most frequent first."""
    kinds = {name: [s for s in samples if s.get("kind") == name] for name in ("tags", "image", "text")}
    parts = []
    if kinds["tags"]:
        parts.append(tagged_samples(kinds["tags"], Colours([*order, *labels_in(kinds["tags"])])))
    if kinds["image"]:
        parts.append(_images(kinds["image"][:MOST_IMAGES]))
    if kinds["text"]:
        parts.append(_classified(kinds["text"][:MOST_ROWS]))
    return join(parts)


def _sure(sample: Sample) -> str:
    """The probability of the predicted class in words, where the sample has it."""
    value = finite(sample.get("probability"))
    return "" if value is None else f"{100 * value:.0f}%"


def _right(sample: Sample) -> bool:
    return sample.get("gold") == sample.get("predicted")


def _images(samples: Sequence[Sample]) -> Html:
    def one(sample: Sample) -> Html:
        rows, gold, predicted = sample["image"], sample.get("gold"), sample.get("predicted")
        sure = _sure(sample)
        says = f"predicted {predicted}{f' ({sure})' if sure else ''}, gold {gold}"
        picture = el("img", src=data_uri(rows), alt=says, width=64, height=round(64 * len(rows) / len(rows[0])))
        verdict = el("b", predicted) if _right(sample) else join(el("s", predicted), " ", el("b", gold))
        return el("figure", picture, el("figcaption", verdict), title=says, class_="" if _right(sample) else "bad")

    wrong = sum(not _right(s) for s in samples)
    note = f"{len(samples)} images, {wrong} of them mistaken: the predicted class struck through, then the gold one."
    return join(el("p", note, class_="note"), el("div", [one(s) for s in samples], class_="gallery"))


def _classified(samples: Sequence[Sample]) -> Html:
    sure = any(_sure(sample) for sample in samples)
    lines = any(sample.get("line") is not None for sample in samples)

    def one(sample: Sample) -> tuple[Any, ...]:
        right = _right(sample)
        shown = el("span", sample.get("text", ""), class_="sample")
        mark = el("span", "right" if right else "wrong", class_="" if right else "bad")
        return (
            shown,
            Cell(sample.get("predicted")),
            *([Cell(_sure(sample), finite(sample.get("probability")))] if sure else []),
            Cell(sample.get("gold")),
            *([Cell(count(sample.get("line")), finite(sample.get("line")))] if lines else []),
            mark,
        )

    wrong = sum(not _right(s) for s in samples)
    note = f"{len(samples)} examples, {wrong} of them mistaken."
    columns = [
        Column("text"),
        Column("predicted"),
        *([Column("probability", number=True)] if sure else []),
        Column("gold"),
        *([Column("line", number=True)] if lines else []),
        Column(""),
    ]
    return join(el("p", note, class_="note"), table(columns, [one(s) for s in samples], class_="classified"))
