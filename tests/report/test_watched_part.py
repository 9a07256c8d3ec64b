"""The part of the page about what was watched, from a made-up run."""

import base64
import re
import zlib

import numpy as np
import pytest

from spago_jax.drawing.charts.strips import spread_over
from spago_jax.report import read_run, render
from spago_jax.train.run_folder import RunFolder

DRAW = np.random.default_rng(0)


def counted(values, bins=8):
    counts, edges = np.histogram(values, bins=bins)
    return {"low": float(edges[0]), "high": float(edges[-1]), "counts": counts.tolist(), "not_finite": 0}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path)
    run.write("config.yaml", "name: watched\nseed: 1\n")
    for epoch in range(1, 7):
        about = {"step": 10 * epoch, "epoch": epoch}
        run.append("metrics.jsonl", {**about, "kind": "train", "loss": 1 / epoch, "gradient_norm": 1.0})
        values = {"loss": 1 / epoch, "learning_rate": 0.1, "hidden<b>": 0.5 * epoch, "update/out.weight": 1e-3}
        values |= {f"activation/out/{what}": 0.25 for what in ("mean", "rms", "zeros", "dead")}
        run.append("metrics.jsonl", {**about, "kind": "watch", **values})
        weights = {"out.weight": counted(DRAW.normal(size=99) * epoch)}
        run.append("histograms.jsonl", {**about, "weights": weights, "gradients": {}, "activations": {}})
    about = {"step": 30, "epoch": 3, "kind": "action", "action": 0}
    run.append("metrics.jsonl", {**about, "when": "loss stalled over 3 epochs", "did": "learning rate times 0.5"})
    return run


def test_the_page_has_charts_trends_activations_and_actions(run):
    page = render(read_run(run))
    assert "could not be drawn" not in page
    assert "hidden&lt;b&gt;" in page
    assert "hidden<b>" not in page
    for words in ("Taps", "Update to weight", "Learning rate", "first action", "loss stalled over 3 epochs"):
        assert words in page
    # hidden rises by 0.5 an epoch: least squares of the last five
    assert re.search(r"hidden&lt;b&gt;</code></td>.*?\+0\.5<.*?rising", page)
    assert page.count(">25.0%<") == 2


def test_histograms_are_pictures_a_column_an_epoch(run):
    page = render(read_run(run))
    (picture,) = re.findall(r'class="strips"><figure><img src="data:image/png;base64,([^"]*)"', page)
    data = base64.b64decode(picture)
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (6, 32)
    rows = zlib.decompress(data[41:-16])
    columns = np.frombuffer(rows, np.uint8).reshape(32, 7)[:, 1:]
    assert (columns.min(0) == 0).all()  # the fullest part of each epoch is black
    assert (columns[0, :2] == 255).all()  # the first epochs do not reach as far as the last


@pytest.mark.parametrize("bins", [3, 8, 50])
def test_spreading_is_that_of_the_mass_below_each_edge(bins):
    values = DRAW.normal(size=500) + 1
    found = counted(values, bins)
    low, high = found["low"] - 2, found["high"] + 1
    parts = np.array(spread_over(found, low, high, rows=64))
    # The mass below an edge is linear within a bin: NumPy's interpolation of it.
    below = np.interp(
        np.linspace(low, high, 65), np.linspace(found["low"], found["high"], bins + 1), np.cumsum([0, *found["counts"]])
    )
    np.testing.assert_allclose(parts, np.diff(below) / np.diff(below).max(), atol=1e-9)


def test_one_value_alone_is_one_line():
    same = {"low": 2.0, "high": 2.0, "counts": [5, 0]}
    assert spread_over(same, 2.0, 2.0, rows=4) == [0, 0, 1, 0]
    assert spread_over(same, 0.0, 4.0, rows=4) == [0, 0, 1, 0]


def test_a_run_that_was_not_watched_has_no_such_part(tmp_path):
    run = RunFolder(tmp_path)
    run.write("config.yaml", "name: plain\n")
    run.append("metrics.jsonl", {"step": 1, "kind": "train", "loss": 1.0})
    page = render(read_run(run))
    assert 'id="watched"' not in page
    assert "histograms.jsonl" not in page
