# SPDX-License-Identifier: BSD-2-Clause
"""Differential evolution. Oracles: known minima, SciPy's own, the rules written out in NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.errors import InputError
from spago_jax.nn import Linear
from spago_jax.optim.differential_evolution import DifferentialEvolution, _cross, _distinct, _others


def rosenbrock(x):
    return jnp.sum(100.0 * jnp.square(x[1:] - jnp.square(x[:-1])) + jnp.square(1.0 - x[:-1]))


@pytest.mark.parametrize("mutation", ["random", "degl"])
@pytest.mark.parametrize("adaptive", [False, True])
def test_it_finds_the_minimum_of_rosenbrock(mutation, adaptive):
    # A factor of 0.5 shrinks a population along the narrow valley faster than it moves: known, and no defect.
    evolution = DifferentialEvolution(60, mutation, mutation_factor=0.9, adaptive=adaptive, bound=3.0)
    start = jnp.zeros(3)
    population = evolution.run(evolution.init(jax.random.key(0), start), rosenbrock, start, generations=600)
    np.testing.assert_allclose(evolution.best(population, start), np.ones(3), atol=0.02)
    assert float(population.best_loss) == pytest.approx(float(rosenbrock(population.best)), abs=1e-6)


def test_it_does_as_well_as_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    theirs = optimize.differential_evolution(
        lambda x: float(rosenbrock(np.asarray(x))), [(-3, 3)] * 3, maxiter=300, popsize=20, seed=0, polish=False, tol=0
    )
    evolution = DifferentialEvolution(population=60, bound=3.0, mutation_factor=0.7, crossover_rate=0.7)
    population = evolution.run(
        evolution.init(jax.random.key(1), jnp.zeros(3)), rosenbrock, jnp.zeros(3), generations=300
    )
    assert float(population.best_loss) < max(100 * theirs.fun, 1e-3)


def test_it_trains_a_module_and_leaves_the_rest_alone():
    layer = Linear.init(jax.random.key(0), 2, 1)
    x = jax.random.normal(jax.random.key(1), (64, 2))
    y = x @ jnp.array([[0.5], [-1.0]]) + 0.25

    def loss(model, x, y):
        return jnp.mean(jnp.square(model(x) - y))

    evolution = DifferentialEvolution(population=50, bound=2.0)
    where = sj.freeze("bias")
    population = evolution.init(jax.random.key(2), layer, where)
    population = evolution.run(population, loss, layer, x, y - 0.25, generations=150, where=where)
    best = evolution.best(population, layer, where)
    np.testing.assert_allclose(best.weight, [[0.5, -1.0]], atol=1e-2)
    np.testing.assert_array_equal(best.bias, layer.bias)


def test_the_loss_of_the_best_never_rises_and_members_stay_inside_the_bound():
    evolution = DifferentialEvolution(population=20, bound=1.0, mutation="degl", adaptive=True)
    population = evolution.init(jax.random.key(0), jnp.zeros(4))
    step = jax.jit(lambda p: evolution.step(p, lambda x: jnp.sum(jnp.square(x - 5.0)), jnp.zeros(4)))
    before = np.inf
    for _ in range(50):
        population = step(population)
        assert float(population.best_loss) <= before
        before = float(population.best_loss)
        assert float(jnp.abs(population.vectors).max()) <= 1.0
    np.testing.assert_allclose(population.best, np.ones(4), atol=1e-6)  # the corner nearest to 5


def test_the_random_mutation_by_hand():
    evolution = DifferentialEvolution(population=6)
    p = evolution.init(jax.random.key(3), jnp.zeros(3))
    key = jax.random.key(4)
    a, b, c = _others(jax.random.split(key)[0], jnp.arange(6), 6, 3)
    found = evolution._mutate(key, p, p.factors, p.weights)
    x = np.asarray(p.vectors)
    for i in range(6):
        assert len({i, int(a[i]), int(b[i]), int(c[i])}) == 4
        np.testing.assert_allclose(found[i], x[a[i]] + 0.5 * (x[b[i]] - x[c[i]]), rtol=1e-6)


def test_degl_goes_to_the_best_when_everything_else_is_equal():
    evolution = DifferentialEvolution(
        population=9, mutation="degl", mutation_factor=1.0, radius=0.2, weight_factor=0.25
    )
    p = evolution.init(jax.random.key(3), jnp.zeros(2))
    vectors = jnp.zeros((9, 2)).at[4].set(1.0)
    p = p._replace(vectors=vectors, losses=jnp.ones(9).at[4].set(0.0), best=vectors[4], best_loss=jnp.asarray(0.0))
    found = np.asarray(evolution._mutate(jax.random.key(5), p, p.factors, p.weights))
    # A member whose ring (one to each side) holds member 4 goes there by both parts; another by the global part alone,
    # unless it drew member 4 for a difference.
    assert any(np.allclose(found[i], 0.25) for i in (0, 1, 7, 8))


def test_distinct_numbers_are_all_alike():
    draws = _distinct(jax.random.key(0), (20_000,), 4, 2)
    pairs, counts = np.unique(np.stack(draws, axis=1), axis=0, return_counts=True)
    assert sorted(map(tuple, pairs.tolist())) == sorted(itertools.permutations((1, 2, 3, 4), 2))
    np.testing.assert_allclose(counts / 20_000, 1 / 12, atol=0.01)


def test_crossover_takes_one_number_from_the_donor_at_least():
    targets, donors = jnp.zeros((1000, 5)), jnp.ones((1000, 5))
    none = _cross(jax.random.key(0), targets, donors, jnp.zeros(1000))
    np.testing.assert_array_equal(none.sum(axis=1), np.ones(1000))
    most = _cross(jax.random.key(0), targets, donors, jnp.full(1000, 0.9))
    assert float(most.mean()) == pytest.approx(0.92, abs=0.01)


def test_a_stalled_population_starts_anew_and_keeps_the_best():
    evolution = DifferentialEvolution(population=8, reset_after=3)
    p = evolution.init(jax.random.key(0), jnp.zeros(2))
    step = jax.jit(lambda p: evolution.step(p, lambda x: jnp.zeros(()), jnp.zeros(2)))
    p = step(p)
    seen = [np.asarray(p.vectors)]
    for _ in range(3):
        p = step(p)
        seen.append(np.asarray(p.vectors))
    assert int(p.stalled) == 0
    np.testing.assert_array_equal(seen[-1][0], p.best)


def test_a_loss_that_is_no_number_is_the_worst():
    evolution = DifferentialEvolution(population=30, bound=2.0)
    p = evolution.run(
        evolution.init(jax.random.key(0), jnp.ones(1)), lambda x: jnp.log(x[0]) ** 2, jnp.ones(1), generations=40
    )
    assert float(p.best_loss) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 4}, "population = 4: a mutation needs 5 members"),
        ({"mutation": "best"}, "mutation = 'best': expected 'random' or 'degl'"),
        ({"crossover_rate": 1.5}, "crossover_rate = 1.5: expected 0 to 1"),
        ({"bound": 0.0}, "expected more than 0"),
        ({"reset_after": 0}, "reset_after = 0: expected 1 or more"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        DifferentialEvolution(**settings)
