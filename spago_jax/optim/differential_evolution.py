# SPDX-License-Identifier: BSD-2-Clause
"""Differential evolution: optimizes any loss of a Module without its gradient, a whole population at once."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from spago_jax.core import Array, combine, partition
from spago_jax.core.partition import Where, trainable
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError


class Population(NamedTuple):
    """The state of an evolution; a pytree.

    Attributes:
        vectors: [population, numbers]: the trained numbers of each member, one after the other.
        losses: [population]; infinite before the first generation.
        factors: [population]: each member's F, the length of a mutation.
        rates: [population]: each member's CR, the share of numbers taken from a donor.
        weights: [population]: each member's w, the weight of the global part in DEGL.
        best: [numbers], the best vector ever seen.
        best_loss: its loss.
        stalled: generations since it was found.
        generation: how many there were.
        key: the randomness, as key data.
    """

    vectors: Array
    losses: Array
    factors: Array
    rates: Array
    weights: Array
    best: Array
    best_loss: Array
    stalled: Array
    generation: Array
    key: Array


@dataclasses.dataclass(frozen=True)
class DifferentialEvolution:
    """Mutates, crosses and selects (Storn and Price, 1997).

    For each member x_i, with a, b, c others drawn at random:

        random: v = x_a + F (x_b - x_c)
        degl:   v = w (x_i + F (best - x_i) + F (x_a - x_b)) + (1 - w) (x_i + F (near - x_i) + F (x_c - x_d))
                with near the best of, and c, d among, the 2 radius neighbours of i on a ring (Das et al., 2009)
        u_j = v_j with probability CR, and for one j always; else x_ij;  u replaces x_i if its loss is not larger

    ``adaptive`` draws F, CR and w anew with probability 0.1 for a trial, and keeps them if it succeeds (Brest et al.,
    2006). After ``reset_after`` generations without a better loss all but the best start anew.

    Source: spaGO 0.7 ``optimizers/de``, whose crossover forces one number from the target instead of the donor, and
    whose reset test is inverted.

    >>> evolution = DifferentialEvolution(population=40, bound=3.0)
    >>> goal = jnp.array([1.0, -2.0])
    >>> loss = lambda x: jnp.sum(jnp.square(x - goal))
    >>> population = evolution.init(jax.random.key(0), jnp.zeros(2))
    >>> population = evolution.run(population, loss, jnp.zeros(2), generations=100)
    >>> evolution.best(population, jnp.zeros(2)).round(2)
    Array([ 1., -2.], dtype=float32)
    """

    population: int = 100
    mutation: Literal["random", "degl"] = "random"
    mutation_factor: float = 0.5
    crossover_rate: float = 0.9
    weight_factor: float = 0.5
    radius: float = 0.1
    bound: float = 5.0
    adaptive: bool = False
    reset_after: int | None = None

    def __post_init__(self) -> None:
        if self.population < 5:
            raise InputError(f"population = {self.population}: a mutation needs 5 members or more")
        if self.mutation not in ("random", "degl"):
            raise InputError(f"mutation = {self.mutation!r}: expected 'random' or 'degl'")
        for name in ("crossover_rate", "weight_factor", "radius"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} = {getattr(self, name)}: expected 0 to 1")
        if self.bound <= 0 or self.mutation_factor <= 0:
            raise InputError(f"bound = {self.bound}, mutation_factor = {self.mutation_factor}: expected more than 0")
        if self.reset_after is not None and self.reset_after < 1:
            raise InputError(f"reset_after = {self.reset_after}: expected 1 or more, or None")

    def init(self, key: Array, model: PyTree, where: Where = trainable) -> Population:
        """A fresh population: Xavier-uniform around zero, inside the bound; the model itself is a member.

        Args:
            key: the randomness.
            model: a Module, or any pytree of arrays.
            where: which of its arrays evolve.
        """
        start, _ = ravel_pytree(partition(model, where)[0])
        key, inside = jax.random.split(key)
        vectors = self._fresh(inside, start.shape[0]).at[0].set(jnp.clip(start, -self.bound, self.bound))
        full = (self.population,)
        return Population(
            vectors=vectors,
            losses=jnp.full(full, jnp.inf),
            factors=jnp.full(full, self.mutation_factor),
            rates=jnp.full(full, self.crossover_rate),
            weights=jnp.full(full, self.weight_factor),
            best=vectors[0],
            best_loss=jnp.asarray(jnp.inf),
            stalled=jnp.zeros((), jnp.int32),
            generation=jnp.zeros((), jnp.int32),
            key=jax.random.key_data(key),
        )

    def step(
        self, population: Population, loss: Callable[..., Array], model: PyTree, *args: Any, where: Where = trainable
    ) -> Population:
        """One generation; pure, so that it can be compiled or scanned.

        Args:
            population: from ``init`` or the step before.
            loss: ``loss(model, *args)``, a scalar; a NaN counts as infinitely bad.
            model: gives the shapes, and the arrays that do not evolve.
            args: data for the loss, the same for all members.
            where: as for ``init``.
        """
        params, rest = partition(model, where)
        unravel = ravel_pytree(params)[1]

        def of_vector(vector: Array) -> Array:
            value = loss(combine(unravel(vector), rest), *args)
            return jnp.where(jnp.isnan(value), jnp.inf, value)

        score = jax.vmap(of_vector)
        # The data may be another batch than before: the members are scored anew.
        p = population._replace(losses=score(population.vectors))
        keys = jax.random.split(jax.random.wrap_key_data(p.key), 6)
        factors, rates, weights = self._settings(keys[1], p)
        donors = jnp.clip(self._mutate(keys[2], p, factors, weights), -self.bound, self.bound)
        trials = _cross(keys[3], p.vectors, donors, rates)
        losses = score(trials)
        better = losses <= p.losses
        p = p._replace(
            vectors=jnp.where(better[:, None], trials, p.vectors),
            losses=jnp.where(better, losses, p.losses),
            factors=jnp.where(better, factors, p.factors),
            rates=jnp.where(better, rates, p.rates),
            weights=jnp.where(better, weights, p.weights),
        )
        first = jnp.argmin(p.losses)
        improved = p.losses[first] < p.best_loss
        p = p._replace(
            best=jnp.where(improved, p.vectors[first], p.best),
            best_loss=jnp.where(improved, p.losses[first], p.best_loss),
            stalled=jnp.where(improved, 0, p.stalled + 1),
            generation=p.generation + 1,
            key=jax.random.key_data(keys[0]),
        )
        return p if self.reset_after is None else self._reset(keys[4], p, self.reset_after)

    def run(
        self,
        population: Population,
        loss: Callable[..., Array],
        model: PyTree,
        *args: Any,
        generations: int,
        where: Where = trainable,
    ) -> Population:
        """Many generations on the same data, in one compiled loop."""

        @jax.jit
        def loop(population: Population, model: PyTree, args: Any) -> Population:
            def body(_: Array, p: Population) -> Population:
                return self.step(p, loss, model, *args, where=where)

            return jax.lax.fori_loop(0, generations, body, population)

        return loop(population, model, args)

    def best(self, population: Population, model: PyTree, where: Where = trainable) -> PyTree:
        """The model with the best numbers that were seen."""
        params, rest = partition(model, where)
        return combine(ravel_pytree(params)[1](population.best), rest)

    def _fresh(self, key: Array, numbers: int) -> Array:
        limit = min(self.bound, (6.0 / (numbers + 1)) ** 0.5)
        return jax.random.uniform(key, (self.population, numbers), minval=-limit, maxval=limit)

    def _settings(self, key: Array, p: Population) -> tuple[Array, Array, Array]:
        if not self.adaptive:
            return p.factors, p.rates, p.weights
        keys = jax.random.split(key, 6)
        change = [jax.random.bernoulli(k, 0.1, (self.population,)) for k in keys[:3]]
        drawn = [jax.random.uniform(k, (self.population,)) for k in keys[3:]]
        return (
            jnp.where(change[0], 0.1 + 0.9 * drawn[0], p.factors),
            jnp.where(change[1], drawn[1], p.rates),
            jnp.where(change[2], 0.1 + 0.9 * drawn[2], p.weights),
        )

    def _mutate(self, key: Array, p: Population, factors: Array, weights: Array) -> Array:
        members = jnp.arange(self.population)
        x, f = p.vectors, factors[:, None]
        first, second = jax.random.split(key)
        a, b, c = _others(first, members, self.population, 3)
        if self.mutation == "random":
            return x[a] + f * (x[b] - x[c])
        reach = max(1, min(int(self.population * self.radius), (self.population - 1) // 2))
        ring = (members[:, None] + jnp.arange(-reach, reach + 1)[None, :]) % self.population
        near = jnp.take_along_axis(ring, jnp.argmin(p.losses[ring], axis=1)[:, None], axis=1)[:, 0]
        steps = _distinct(second, (self.population,), 2 * reach, 2)  # 1 .. 2 reach, without the member itself
        c, d = ((members + jnp.where(s <= reach, s, s - 2 * reach - 1)) % self.population for s in steps)
        w = weights[:, None]
        best = jnp.where(jnp.min(p.losses) < p.best_loss, x[jnp.argmin(p.losses)], p.best)
        whole = x + f * (best[None, :] - x) + f * (x[a] - x[b])
        local = x + f * (x[near] - x) + f * (x[c] - x[d])
        return w * whole + (1.0 - w) * local

    def _reset(self, key: Array, p: Population, after: int) -> Population:
        again = p.stalled >= after
        fresh = self._fresh(key, p.vectors.shape[1]).at[0].set(p.best)
        return p._replace(vectors=jnp.where(again, fresh, p.vectors), stalled=jnp.where(again, 0, p.stalled))


def _distinct(key: Array, shape: tuple[int, ...], largest: int, count: int) -> list[Array]:
    """``count`` different whole numbers from 1 to ``largest``, each set of them as likely as any other."""
    chosen: list[Array] = []
    for taken, one in enumerate(jax.random.split(key, count)):
        number = jax.random.randint(one, shape, 1, largest - taken + 1)
        # The number counts among those that are left: it steps over each smaller one that is taken.
        for other in jnp.sort(jnp.stack(chosen), axis=0) if chosen else ():
            number = number + (number >= other)
        chosen.append(number)
    return chosen


def _others(key: Array, members: Array, population: int, count: int) -> list[Array]:
    """For each member ``count`` different members, none of them itself."""
    return [(members + step) % population for step in _distinct(key, members.shape, population - 1, count)]


def _cross(key: Array, targets: Array, donors: Array, rates: Array) -> Array:
    """Binomial crossover: each number from the donor with the member's rate, one of them always."""
    first, second = jax.random.split(key)
    taken = jax.random.uniform(first, targets.shape) < rates[:, None]
    always = jax.random.randint(second, (targets.shape[0],), 0, targets.shape[1])
    taken = taken | (jnp.arange(targets.shape[1])[None, :] == always[:, None])
    return jnp.where(taken, donors, targets)
