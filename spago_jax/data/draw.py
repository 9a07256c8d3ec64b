# SPDX-License-Identifier: BSD-2-Clause
"""Draws dev and test from a training set: at random by a seed, in the proportions of the labels."""

from collections.abc import Sequence

import numpy as np

from spago_jax.errors import InputError

__all__ = ["draw_parts"]


def draw_parts(
    count: int,
    *,
    dev: float = 0.0,
    test: float = 0.0,
    seed: int = 1,
    strata: Sequence[str] | None = None,
    fold: tuple[int, int] | None = None,
) -> dict[str, np.ndarray]:
    """Draws which of ``count`` examples are train, dev and test; each part ascends.

    Examples are put in a random order, sorted by stratum, and dealt out at even distances, so that every part has each
    stratum in proportion, give or take one.

    Args:
        count: the number of examples.
        dev: the share that becomes dev, 0 to 1; 0 for no dev.
        test: the share that becomes test; not with ``fold``.
        seed: the seed of the order.
        strata: the label of each example, whose proportions are kept; None for one stratum.
        fold: ``(i, k)``: test is the i-th of k folds, counted from 0 (cross-validation).

    Raises:
        InputError: where nothing is left to train on, or a part that is asked for would be empty.

    >>> parts = draw_parts(8, dev=0.25, strata=["a", "b"] * 4)
    >>> {name: part.tolist() for name, part in parts.items()}
    {'train': [0, 1, 2, 3, 4, 5], 'dev': [6, 7]}
    """
    if dev + test >= 1:
        raise InputError(f"data.dev_fraction + data.test_fraction = {dev + test:g} leaves nothing to train on")
    order = np.random.default_rng(seed).permutation(count)
    if strata is not None:
        names = {name: number for number, name in enumerate(sorted(set(strata)))}
        ids = np.array([names[name] for name in strata], np.int64)
        order = order[np.argsort(ids[order], kind="stable")]
    parts: dict[str, np.ndarray] = {}
    if fold is not None:
        index, of = fold
        chosen = np.arange(count) % of == index
        parts["test"], order = np.sort(order[chosen]), order[~chosen]
    elif test:
        parts["test"], order = _deal(order, round(count * test))
    if dev:
        parts["dev"], order = _deal(order, round(count * dev) if fold is None else round(len(order) * dev))
    parts["train"] = np.sort(order)
    for name in ("train", *parts):
        if not len(parts[name]):
            raise InputError(f"{count} training examples are too few: none is left for {name}")
    return {name: parts[name] for name in ("train", "dev", "test") if name in parts}


def _deal(order: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes so many at even distances; returns the taken ones, ascending, and the rest in order."""
    marks = (np.arange(len(order) + 1) * wanted) // max(len(order), 1)
    chosen = np.diff(marks) > 0
    return np.sort(order[chosen]), order[~chosen]
