"""Curves in a terminal and in a notebook."""

import io
import sys
import types

import pytest
from rich.console import Console

from spago_jax.train.watch import Watch
from spago_jax.train.watch.braille import NOBODY, braille
from spago_jax.train.watch.live import Curves, LiveConsole, LivePlot, charts


def dots(lines):
    """The dots of a braille picture as (column, row) from the upper left, by the definition of the code points."""
    order = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    found = set()
    for y, line in enumerate(lines):
        for x, (character, _) in enumerate(line):
            bits = ord(character) - 0x2800
            found |= {(2 * x + dx, 4 * y + dy) for i, (dx, dy) in enumerate(order) if bits >> i & 1}
    return found


def test_a_rising_line_is_a_diagonal():
    assert dots(braille([[(0, 0.0), (3, 3.0)]], 2, 1)) == {(0, 3), (1, 2), (2, 1), (3, 0)}


def test_the_ends_of_the_curves_are_the_corners_of_the_picture():
    found = dots(braille([[(0, 5.0), (10, 1.0)], [(0, 1.0), (10, 3.0)]], 10, 4))
    assert {(0, 0), (19, 15), (0, 15)} <= found
    assert max(x for x, _ in found) == 19


def test_cells_know_their_curve():
    lines = braille([[(0, 1.0), (1, 1.0)], [(0, 0.0), (1, 0.0)]], 3, 2)
    assert [[curve for _, curve in line] for line in lines] == [[0, 0, 0], [1, 1, 1]]
    assert {curve for line in braille([], 3, 2) for _, curve in line} == {NOBODY}


def test_one_point_and_a_level_line_are_drawn():
    assert len(dots(braille([[(0, 2.0)]], 4, 2))) == 1
    assert len({y for _, y in dots(braille([[(0, 2.0), (9, 2.0)]], 4, 2))}) == 1


def test_curves_leave_out_what_is_not_finite_and_stay_few():
    curves = Curves(most=10)
    curves.add("loss", 0, float("nan"))
    assert curves.charts == {}
    for step in range(1000):
        curves.add("loss", step, step)
    points = curves.charts["loss"]["train"]
    assert len(points) <= 10
    assert (points[0], points[-1]) == ((0, 0), (999, 999))


def shown(console_class, terminal):
    file = io.StringIO()
    console = console_class(file)
    console._console = Console(file=file, force_terminal=terminal, width=90, highlight=False)
    with console:
        console.begin("epoch 1/2", total=10)
        for step in range(5):
            console.value("loss", step, 1.0 / (1 + step))
            console.value("dev.f1", step, 0.1 * step)
            console.advance(2, "5 tokens/s")
        console.line("epoch 1/2: dev f1 0.4")
    return file.getvalue()


def test_on_a_terminal_the_curves_are_drawn_and_stay():
    text = shown(LiveConsole, terminal=True)
    assert "epoch 1/2: dev f1 0.4" in text
    assert "loss" in text
    assert "dev 0.4000" in text
    assert any(0x2800 < ord(character) <= 0x28FF for character in text)


@pytest.mark.parametrize("console", [LiveConsole, LivePlot])
def test_elsewhere_there_are_plain_lines(console):
    assert shown(console, terminal=False) == "epoch 1/2: dev f1 0.4\n"


def test_charts_fit_the_width():
    curves = Curves()
    for name in ("loss", "dev.f1", "hidden"):
        curves.add(name, 1, 0.5)
    for width, rows in ((40, 3), (85, 2), (200, 1)):
        assert charts(curves, width).row_count == rows


def test_in_a_notebook_one_output_is_redrawn(monkeypatch):
    drawn = []
    handle = types.SimpleNamespace(update=lambda page: drawn.append(("again", page)))
    shell = types.ModuleType("IPython")
    shell.get_ipython = object
    pages = types.ModuleType("IPython.display")
    pages.HTML = lambda markup: markup
    pages.display = lambda page, display_id: drawn.append(("first", page)) or handle
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", pages)
    watch, plot = Watch(), LivePlot("loss")
    plot.update(watch)
    assert drawn == []  # there is nothing to draw yet
    for value in (1.0, 0.5):
        watch.record("loss", value)
        watch.record("other", value)
        watch.flush()
        plot.update(watch)
    assert [when for when, _ in drawn] == ["first", "again"]
    assert drawn[1][1].count("<svg") == 1
    assert drawn[1][1].startswith('<div class="spago-live"><style>')
