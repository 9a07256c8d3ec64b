# SPDX-License-Identifier: BSD-2-Clause
"""When a loop halts: above 0 means yes."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.errors import InputError
from spago_jax.flow.layer import LayerSpec, layer


@dataclasses.dataclass(frozen=True)
class Threshold:
    """``max(state) - limit``: halts once a number of the state is above the limit; goDl's ThresholdHalt.

    >>> Threshold(2.0)(jnp.array([[1.0, 5.0]]))
    Array(3., dtype=float32)
    """

    limit: float
    per: Literal["batch", "example"] = "batch"

    def __call__(self, state: Array) -> Array:
        """[rows, features] -> [], or [rows] with ``per="example"``."""
        return state.max(None if self.per == "batch" else -1) - self.limit


def threshold(limit: float, *, per: Literal["batch", "example"] = "batch") -> Threshold:
    """``Threshold(limit)``; with ``per="example"`` each row has its own maximum, over the last axis.

    Raises:
        InputError: for another ``per``.
    """
    if per not in ("batch", "example"):
        raise InputError(f"threshold: per is {per!r}, expected 'batch' or 'example'")
    return Threshold(float(limit), per)


def learned_halt(**options: Any) -> LayerSpec:
    """``w . state + b``, [..., features] -> [..., 1]; goDl's LearnedHalt.

    In ``while_`` and ``until`` it gets no gradient; in ``adaptive`` it learns how long to think.
    """
    return layer("Linear", 1, **options)


@dataclasses.dataclass(frozen=True)
class Norm:
    """``limit - |new state|``: halts once the state is shorter than the limit, for iterations to a fixed point.

    >>> Norm(6.0)(jnp.array([[3.0, 4.0]]))
    Array([1.], dtype=float32)
    """

    limit: float

    def __call__(self, state: Array) -> Array:
        """[rows, features] -> [rows]."""
        return self.limit - jnp.sqrt(jnp.square(state).sum(-1))
