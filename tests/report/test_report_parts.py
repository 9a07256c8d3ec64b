# SPDX-License-Identifier: BSD-2-Clause
"""The parts of the page: axes, label placing, thinning, PNG bytes, markup, comparing entities."""

import math
import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.drawing.charts.line_chart import Series, line_chart, spread, thin
from spago_jax.drawing.charts.png import png
from spago_jax.drawing.charts.ticks import Scale, log_ticks, nice_ticks, tick_texts
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.entities import compare
from spago_jax.text.tags import spans

numbers = st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-6)


@given(numbers, numbers)
def test_ticks_cover_the_range_evenly_and_are_few(a, b):
    low, high = min(a, b), max(a, b)
    if 0 < high - low < 1e-4 * max(abs(low), abs(high)):
        return
    ticks = nice_ticks(low, high)
    # The code lets a billionth of a step pass for rounding: of the range, not of the value at its end.
    slack = 1e-8 * (high - low) + 1e-12 + 1e-9 * max(abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 3 <= len(ticks) <= 8
    steps = [y - x for x, y in pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)


@given(st.floats(1e-8, 1e8), st.floats(1.0, 1e10))
def test_log_ticks_cover_the_range(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= low * 1.001
    assert ticks[-1] >= low * ratio * 0.999
    assert 2 <= len(ticks) <= 21


def test_tick_texts_differ():
    for ticks in (nice_ticks(0.91, 0.93), nice_ticks(0, 123456), log_ticks(1e-7, 20)):
        assert len(set(tick_texts(ticks))) == len(ticks)


def test_scales():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert Scale(1, 100, 0, 200, log=True)(10) == pytest.approx(100)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=6))
def test_labels_are_apart_inside_and_in_order(places):
    moved = spread(places, 15, 0, 200)
    order = sorted(range(len(places)), key=lambda i: places[i])
    assert all(0 <= place <= 200 for place in moved)
    assert all(moved[b] - moved[a] >= 15 - 1e-9 for a, b in pairwise(order))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=300), st.integers(2, 50))
def test_thinning_keeps_ends_and_extremes(values, most):
    points = [(float(i), v) for i, v in enumerate(values)]
    kept = thin(points, most)
    assert len(kept) <= max(most, 2) + 2
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert min(v for _, v in kept) == min(values)
    assert max(v for _, v in kept) == max(values)
    assert kept == sorted(kept)


def test_png_reads_back():
    rows = [[0, 10, 255], [-3, 128.7, 999]]
    data = png(rows)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (3, 2, 8, 0, 0, 0, 0)
    assert zlib.decompress(chunks[b"IDAT"]) == bytes([0, 0, 10, 255, 0, 0, 128, 255])


@pytest.mark.parametrize("rows", [[], [[]], [[1, 2], [3]]])
def test_png_refuses_what_is_no_image(rows):
    with pytest.raises(ValueError, match="an image needs rows of one length, with a pixel at least"):
        png(rows)


def test_markup_is_kept_and_text_is_escaped():
    assert join("<b>", Html("<b>"), None, ["&", 3]) == "&lt;b&gt;<b>&amp;3"
    assert el("a", title='"><script>') == '<a title="&quot;&gt;&lt;script&gt;"></a>'


tags = st.lists(st.sampled_from(["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "S-Y"]), min_size=1, max_size=12)


@given(tags, tags)
def test_comparison_accounts_for_every_entity(gold, predicted):
    n = min(len(gold), len(predicted))
    gold, predicted = gold[:n], predicted[:n]
    found = compare(gold, predicted, "BIOES")
    true, guessed = set(spans(gold)), set(spans(predicted))
    assert {f.span for f in found if f.kind != "missed"} == guessed
    assert {f.span for f in found if f.kind == "right"} == true & guessed
    ends = [(f.span.start, f.span.end) for f in found]
    assert all(a[1] <= b[0] for a, b in pairwise(ends))
    seen = {f.span for f in found if f.kind in ("right", "missed")} | {g for f in found for g in f.gold}
    assert seen >= true


def test_chart_of_nothing_is_nothing():
    assert line_chart([Series("a", [])], title="t", x_label="x") == ""
    assert line_chart([Series("a", [(1, -1.0)])], title="t", x_label="x", log=True) == ""


def test_chart_places_points_inside_its_axes():
    chart = line_chart(
        [Series("a", [(0, 1.0), (10, 3.0)]), Series("b", [(5, math.pi)], dots=True)], title="t", x_label="step"
    )
    assert chart.count("<path") == 2
    assert chart.count("<circle") == 1
    assert ">b</text>" in chart


def test_many_lines_get_a_legend():
    chart = line_chart([Series(f"s{i}", [(0, i), (1, i)]) for i in range(9)], title="t", x_label="step")
    assert chart.startswith('<div><p class="legend">')
    assert "s8</span>" in chart
