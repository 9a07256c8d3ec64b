# SPDX-License-Identifier: BSD-2-Clause
"""The table of scores by label, and which label was taken for which."""

from collections.abc import Mapping, Sequence
from typing import Any

from spago_jax.core.show import count, finite, score
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.table import Cell, Column, bar, table

MOST_LABELS = 20
MOST_PAIRS = 20
MOST_UPRIGHT = 3  # characters of a column heading that need no turning
REST = "(other)"


def label_table(rows: Sequence[Mapping[str, Any]]) -> Html:
    """Precision, recall and F1 of each label as bars, with its counts."""
    named = [("precision", 0), ("recall", 2), ("f1", 1)]
    counts = [name for name in ("gold", "predicted", "correct") if any(name in row for row in rows)]
    columns = [
        Column("label"),
        *[Column(name, number=True) for name in counts],
        *[Column("F1" if name == "f1" else name) for name, _ in named],
    ]

    def line(row: Mapping[str, Any]) -> list[Any]:
        cells: list[Any] = [Cell(el("b", row["label"]), str(row["label"]))]
        cells += [Cell(count(row.get(name)), finite(row.get(name))) for name in counts]
        for name, colour in named:
            value = finite(row.get(name))
            cells.append(Cell("n/a", -1) if value is None else bar(value, score(value), colour=colour))
        return cells

    ordered = sorted(rows, key=lambda row: -(finite(row.get("gold")) or 0))
    return el("div", table(columns, [line(row) for row in ordered], sortable=True), class_="tall")


def top_labels(
    labels: Sequence[str], matrix: Sequence[Sequence[float]], most: int = MOST_LABELS
) -> tuple[list[str], list[list[float]]]:
    """The labels of the largest counts, gold and predicted together, and the rest added up in one row and column.

    Where there are no more than `most`, they stay in the order given.

    >>> top_labels(["a", "b", "c"], [[5, 1, 0], [0, 3, 1], [0, 0, 1]], most=2)
    (['a', 'b', '(other)'], [[5, 1, 0], [0, 3, 1], [0, 0, 1]])
    """
    n = len(labels)
    size = [sum(matrix[i]) + sum(row[i] for row in matrix) for i in range(n)]
    # Of labels that are equally frequent, those with more mistakes are the more telling.
    order = sorted(range(n), key=lambda i: (-size[i], matrix[i][i], i)) if n > most else list(range(n))
    groups = [[i] for i in order[:most]] + ([order[most:]] if n > most else [])
    names = [str(labels[i]) for i in order[:most]] + ([REST] if n > most else [])
    folded = [[sum(matrix[i][j] for i in rows for j in columns) for columns in groups] for rows in groups]
    return names, folded


def confusion_map(labels: Sequence[str], matrix: Sequence[Sequence[float]]) -> Html:
    """The largest confusions as a list, and a heat map of shares by row, gold down and predicted across.

    Where there are more labels than the map can show, the list comes first and the map is folded up.
    """
    names, folded = top_labels(labels, matrix)
    head = el("tr", el("th"), [el("th", el("span", name), scope="col", title=name) for name in names])
    rows = []
    for i, (name, line) in enumerate(zip(names, folded, strict=True)):
        total = sum(line)
        cells = [_cell(value, total, name, names[j], i == j) for j, value in enumerate(line)]
        rows.append(el("tr", el("th", name, scope="row", title=name), cells, el("td", count(total), class_="total")))
    note = (
        "Rows are gold labels, columns predicted ones; a cell is the percentage of its row (the shade grows with the "
        "square root), the count shows under the pointer. Right answers are blue, mistakes orange; the last column is "
        "the row's count."
    )
    if REST in names:
        note += f" {len(labels) - MOST_LABELS} smaller labels are added up in {REST}, mistakes among them as right."
    pairs = _pairs(labels, matrix)
    shape = "heat" if max(map(len, names)) <= MOST_UPRIGHT else "heat tilted"
    explained = el("p", note, class_="note")
    heat = el("div", el("table", el("thead", head), el("tbody", rows), class_=shape), class_="wide")
    listed = el("div", el("h4", "Largest confusions"), pairs) if pairs else None
    if REST in names and listed:
        folded_map = el("details", el("summary", f"Map of the {MOST_LABELS} largest labels"), explained, heat)
        return join(listed, folded_map)
    return join(explained, el("div", heat, listed, class_="confusions"))


def _cell(value: float, total: float, gold: str, predicted: str, right: bool) -> Html:
    share = value / total if total > 0 else 0.0
    depth = share**0.5
    classes = ("hit" if right else "miss") + (" deep" if depth > 0.6 else "")
    shown = f"{100 * share:.0f}" if share >= 0.005 else ("·" if value else "")
    hint = f"gold {gold}, predicted {predicted}: {count(value)} of {count(total)}"
    return el("td", shown, class_=classes, style=f"--p:{100 * depth:.0f}%" if value else None, title=hint)


def _pairs(labels: Sequence[str], matrix: Sequence[Sequence[float]]) -> Html | None:
    found = [
        (matrix[i][j], str(labels[i]), str(labels[j]), sum(matrix[i]))
        for i in range(len(labels))
        for j in range(len(labels))
        if i != j and matrix[i][j]
    ]
    found.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    if not found:
        return None
    columns = [Column("gold"), Column("predicted"), Column("count"), Column("of the gold label", number=True)]
    most = found[0][0]
    rows = [
        (g, p, bar(c, count(c), most=most, colour=1), f"{100 * c / total:.0f}% of {count(total)}")
        for c, g, p, total in found[:MOST_PAIRS]
    ]
    return table(columns, rows, class_="pairs")
