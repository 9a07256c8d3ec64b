"""How rows are put into calls: the least padding of all ways to cut the sorted rows."""

import itertools

import numpy as np
import pytest

from spago_jax.data.processor import padded_length
from spago_jax.tasks.predictor import CALL, FINE_LENGTHS, LENGTHS, BatchPredictor, plan

RAGGED = np.random.default_rng(0).permutation(np.linspace(8, 128, 32).astype(int)).tolist()


class Lengths:
    longest = 512

    def specs(self):
        return {"ids": "i32[batch, time]"}


def predictor(*, fine: bool) -> BatchPredictor:
    return BatchPredictor("plan", Lengths(), lambda batch: {}, fine=fine)


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 17, 300])
def test_each_row_is_in_one_call_that_holds_it(fine, count):
    lengths = np.random.default_rng(count).integers(1, 700, count).tolist()
    made = predictor(fine=fine)
    calls = made.plan_of(lengths)
    assert sorted(row for rows, _ in calls for row in rows) == list(range(count))
    assert all(0 < len(rows) <= shape[0] and max(lengths[row] for row in rows) <= shape[1] for rows, shape in calls)
    if fine is False:
        assert {shape for _, shape in calls if shape[1] <= 512} <= set(made.shapes())


@pytest.mark.parametrize("seed", range(5))
def test_no_way_to_cut_the_rows_has_less_padding(seed):
    lengths = np.random.default_rng(seed).integers(1, 130, 7).tolist()
    sizes = [1, 2, 4]
    padded = [padded_length(length, LENGTHS) for length in lengths]
    found = sum(n * length + CALL for _, (n, length) in plan(lengths, padded, lambda _: sizes))

    def cost(cuts):
        ends = [*cuts, len(lengths)]
        ordered, total, start = sorted(padded), 0, 0
        for end in ends:
            size = next((n for n in sizes if n >= end - start), None)
            if size is None:
                return float("inf")
            total, start = total + size * ordered[end - 1] + CALL, end
        return total

    ways = (c for n in range(len(lengths)) for c in itertools.combinations(range(1, len(lengths)), n))
    assert found == min(map(cost, ways))


def test_ragged_rows_are_padded_little():
    places = lambda calls: sum(rows * length for _, (rows, length) in calls)  # noqa: E731
    assert places(predictor(fine=True).plan_of(RAGGED)) < 1.2 * sum(RAGGED)
    assert places(predictor(fine=False).plan_of(RAGGED)) < 1.5 * sum(RAGGED)
    assert set(LENGTHS) <= set(FINE_LENGTHS)


def test_a_warm_up_leaves_the_few_shapes(monkeypatch):
    made = predictor(fine=True)
    many = len(made.shapes())
    made.processor.encode = lambda examples: None
    made.processor.batch = lambda rows, indices, length: {}
    made.warm_up()
    assert len(made.shapes()) < many / 2
    assert {shape for _, shape in made.plan_of(RAGGED)} <= set(made.shapes())
