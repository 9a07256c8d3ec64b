# SPDX-License-Identifier: BSD-2-Clause
"""Tables: columns with a kind, cells with a value to sort by."""

import dataclasses
from collections.abc import Iterable, Sequence

from spago_jax.drawing.html import Child, Html, el


@dataclasses.dataclass(frozen=True)
class Column:
    """A heading; `number` columns are set flush right in digits of one width."""

    name: str
    number: bool = False
    hint: str | None = None


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is shown, and the value to sort by."""

    shown: Child
    value: float | str | None = None


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Child]],
    *,
    foot: Sequence[Child] | None = None,
    sortable: bool = False,
    class_: str = "",
) -> Html:
    """A table in a box that scrolls sideways where it is wider than the page."""

    def line(cells: Sequence[Child]) -> Html:
        return el("tr", [_cell(c, column) for c, column in zip(cells, columns, strict=True)])

    head = [el("th", c.name, scope="col", class_="number" if c.number else None, title=c.hint) for c in columns]
    return el(
        "div",
        el(
            "table",
            el("thead", el("tr", head)),
            el("tbody", [line(row) for row in rows]),
            el("tfoot", line(foot)) if foot is not None else None,
            class_=f"{'sortable ' if sortable else ''}{class_}".strip() or None,
        ),
        class_="wide",
    )


def _cell(content: Child, column: Column) -> Html:
    cell = content if isinstance(content, Cell) else Cell(content)
    return el("td", cell.shown, class_="number" if column.number else None, data_v=cell.value)


def bar(value: float, shown: str, *, most: float = 1.0, colour: int = 0) -> Cell:
    """A number with a bar as long as its part of `most`, sorted by the number."""
    part = min(max(value / most, 0.0), 1.0) if most > 0 else 0.0
    length = el("i", class_=f"bar k{colour}", style=f"width:{100 * part:.1f}%")
    return Cell(el("span", el("span", length, class_="track"), el("span", shown), class_="barred"), value)
