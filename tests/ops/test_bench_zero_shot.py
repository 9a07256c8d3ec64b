"""The rows of ``scripts/bench.py`` that classify by labels: what takes turns there gives the same scores."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


def test_a_long_text_with_five_labels_has_the_scores_of_the_peer_before_it_is_timed(monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "scripts")
    from bench.zero_shot_rows import ZERO_SHOT_ROWS, zero_shot

    assert set(ZERO_SHOT_ROWS) == {"zero-shot-short", "zero-shot-long"}
    ways = zero_shot(22, hidden=64, layers=1)
    assert list(ways) == ["PyTorch, a label at a time", "PyTorch, all labels at once", "ours"]
    assert sum(ways["ours"]().values()) == pytest.approx(1.0)
