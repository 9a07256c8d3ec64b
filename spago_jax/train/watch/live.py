# SPDX-License-Identifier: BSD-2-Clause
"""Live curves of a run: above the progress bar on a terminal, in a cell's output in a notebook."""

import math
import sys
import time
from types import TracebackType
from typing import IO, Any

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from spago_jax.core.show import score, title
from spago_jax.drawing.charts.line_chart import Series, line_chart
from spago_jax.drawing.colours import PAGE, SERIES
from spago_jax.drawing.html import Html, el
from spago_jax.train.console import TrainingConsole
from spago_jax.train.watch.braille import NOBODY, braille
from spago_jax.train.watch.watch import Watch

Point = tuple[float, float]


class Curves:
    """Points by chart and line; at most ``most`` per line, thinned evenly as more arrive.

    >>> curves = Curves()
    >>> for name, value in {"loss": 2.0, "dev.loss": 3.0, "dev.f1": 0.5, "hidden": 1.0}.items():
    ...     curves.add(name, 10, value)
    >>> {chart: list(lines) for chart, lines in curves.charts.items()}
    {'loss': ['train', 'dev'], 'f1': ['dev'], 'hidden': ['train']}
    """

    def __init__(self, most: int = 500):
        self.charts: dict[str, dict[str, list[Point]]] = {}
        self._most = most

    def add(self, name: str, step: int, value: float) -> None:
        """Adds a point; values that are not finite are left out."""
        if not math.isfinite(value):
            return
        part, dot, rest = name.partition(".")
        chart, line = (rest, "dev") if dot and part == "dev" else (name, "train")
        points = self.charts.setdefault(chart, {}).setdefault(line, [])
        points.append((float(step), float(value)))
        if len(points) > self._most:
            del points[1:-1:2]


COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
WIDE, HIGH, MOST_CHARTS = 36, 7, 6


class LiveConsole(TrainingConsole):
    """``spago-jax train --live``: the curves so far are drawn above the bar; plain lines if it is not a terminal."""

    def __init__(self, file: IO[str] | None = None, *, quiet: bool = False):
        super().__init__(file, quiet=quiet)
        self._curves = Curves()
        self._live: Live | None = None

    def __enter__(self) -> "LiveConsole":
        if self._console.is_terminal and not self._console.quiet:
            self._progress = self._bar()
            self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._console.print(charts(self._curves, self._console.width))  # the last state stays

    def value(self, name: str, step: int, value: float) -> None:
        """Adds a point to a curve."""
        self._curves.add(name, step, value)

    def __rich__(self) -> Group:
        bar = [self._progress] if self._progress is not None else []
        return Group(charts(self._curves, self._console.width), *bar)


def charts(curves: Curves, width: int) -> Table:
    """Lays the first charts side by side, as many per row as fit."""
    panels = [_panel(name, lines) for name, lines in list(curves.charts.items())[:MOST_CHARTS]]
    each = max(1, width // (WIDE + 4))
    grid = Table.grid()
    for begin in range(0, len(panels), each):
        grid.add_row(*panels[begin : begin + each])
    return grid


def _panel(name: str, lines: dict[str, list[tuple[float, float]]]) -> Panel:
    text = Text(no_wrap=True)
    for row in braille(list(lines.values()), WIDE, HIGH):
        for character, curve in row:
            text.append(character, style="" if curve == NOBODY else COLOURS[curve % len(COLOURS)])
        text.append("\n")
    values = [y for points in lines.values() for _, y in points]
    text.append(f"{score(min(values))} to {score(max(values))}", style="dim")
    heading = Text(f"{title(name)} ")
    for i, (line, points) in enumerate(lines.items()):
        heading.append(f" {line} {score(points[-1][1])}", style=COLOURS[i % len(COLOURS)])
    return Panel(text, title=heading, width=WIDE + 4)


class LivePlot(TrainingConsole):
    """Curves in a notebook, redrawn in one output as training proceeds.

    Hand it to ``fit(..., console=LivePlot())``; or, in a loop of your own, call ``update(watch)`` after each flush.
    Without a notebook it is a plain console.

    Args:
        names: the charts to draw, by name; the first six that come by default.
        every: seconds between redraws.
    """

    def __init__(self, *names: str, every: float = 0.5, file: IO[str] | None = None, quiet: bool = False):
        super().__init__(file, quiet=quiet)
        self._names = names
        self._curves = Curves()
        self._every, self._drawn = every, 0.0
        self._handle: Any = None
        self._counted = "step"

    def __enter__(self) -> "LivePlot":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.draw()

    def value(self, name: str, step: int, value: float) -> None:
        """Adds a point to a curve."""
        self._curves.add(name, step, value)
        if time.monotonic() - self._drawn >= self._every:
            self.draw()

    def update(self, watch: Watch) -> None:
        """Draws the history of a watch, one point per flush."""
        self._curves, self._counted = Curves(), "epoch"
        for name, trend in watch.trends().items():
            for epoch, value in enumerate(trend, 1):
                self._curves.add(name, epoch, value)
        self.draw()

    def draw(self) -> None:
        """Puts the charts into the cell's output; does nothing without a notebook."""
        self._drawn = time.monotonic()
        shell = sys.modules.get("IPython")  # loaded in a notebook; nobody else should pay for the import
        if shell is None or shell.get_ipython() is None or not self._curves.charts:
            return
        from IPython.display import HTML, display

        page = HTML(self.svg())
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def svg(self) -> Html:
        """Returns the charts as self-contained markup."""
        wanted = self._names or list(self._curves.charts)[:MOST_CHARTS]
        parts = []
        for name in wanted:
            lines = self._curves.charts.get(name, {})
            series = [Series(line, points, i, dots=len(points) < 30) for i, (line, points) in enumerate(lines.items())]
            chart = line_chart(series, title=name, x_label=self._counted, width=420)
            parts += [el("figure", el("figcaption", title(name)), chart)] if chart else []
        return el("div", el("style", Html(_STYLE)), parts, class_="spago-live")


_INK, _MUTED, _GRID, _GROUND = (PAGE[name][0] for name in ("ink", "muted", "line", "surface"))
_STYLE = (
    f".spago-live{{display:flex;flex-wrap:wrap;gap:12px;font:12px system-ui,sans-serif;color:{_INK}}}"
    f".spago-live figure{{margin:0;width:380px;background:{_GROUND};padding:8px;border-radius:8px}}"
    ".spago-live figcaption{font-weight:600}.spago-live svg{width:100%;height:auto;overflow:visible;font-size:12px}"
    f".spago-live text{{fill:{_MUTED}}}.spago-live .name{{fill:var(--k);font-weight:600}}"
    f".spago-live .grid{{stroke:{_GRID}}}.spago-live .axis{{stroke:{_MUTED}}}"
    ".spago-live .line{fill:none;stroke:var(--k);stroke-width:2}.spago-live .dot{fill:var(--k)}"
) + "".join(f".spago-live .k{i}{{--k:{light}}}" for i, (light, _) in enumerate(SERIES))
