# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the definitions in NumPy float64."""

import json
import math

import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.train.metrics import Mean, Metric, Perplexity


def test_perplexity_of_known_probabilities():
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    metric = Perplexity()
    state = metric.init()
    for part in np.split(p, [7, 30]):
        state = metric.update(state, nll=-np.log(part).sum(), tokens=len(part), characters=3 * len(part))
    scores = metric.compute(json.loads(json.dumps(state)))
    assert scores["nll"] == pytest.approx(-np.log(p).mean())
    assert scores["perplexity"] == pytest.approx(1 / np.exp(np.log(p).mean()))
    assert scores["bits_per_character"] == pytest.approx(-np.log2(p).sum() / 150)


def test_perplexity_merge_and_overflow():
    metric = Perplexity()
    a = metric.update(metric.init(), nll=3.0, tokens=2)
    b = metric.update(metric.init(), nll=5.0, tokens=6, characters=12)
    assert metric.merge(a, b) == {"nll": 8.0, "tokens": 8, "characters": 14}
    assert metric.compute(metric.update(metric.init(), nll=1e6, tokens=1))["perplexity"] == math.inf


def test_mean_is_numpys_weighted_average():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=40), rng.uniform(size=40)
    metric = Mean("loss")
    a = metric.update(metric.init(), x[:13], weight=w[:13])
    b = metric.update(metric.init(), x[13:], weight=w[13:])
    expected = np.average(x, weights=w)
    assert metric.compute(json.loads(json.dumps(metric.merge(a, b))))["loss"] == pytest.approx(expected)
    assert metric.compute(metric.update(metric.update(metric.init(), 1.0), 4.0, weight=2))["loss"] == 3.0


def test_all_are_metrics():
    metrics: list[Metric] = [Perplexity(), Mean()]
    assert all(metric.merge(metric.init(), metric.init()) == metric.init() for metric in metrics)


def test_messages():
    with pytest.raises(InputError) as error:
        Perplexity().compute(Perplexity().init())
    assert str(error.value) == "perplexity is not defined without text: the data to score have no token to predict"
    with pytest.raises(InputError) as error:
        Mean("loss").compute(Mean("loss").init())
    assert str(error.value) == "the mean 'loss' of nothing is not defined: no value was added"
