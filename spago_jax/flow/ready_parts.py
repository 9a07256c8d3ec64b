# SPDX-License-Identifier: BSD-2-Clause
"""Ready parts: merges, halting conditions, selectors, shapes, and layers of ``nn`` for the stream's features."""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.layer import LayerSpec, layer
from spago_jax.nn import (
    ArgmaxSelector,
    Glimpse,
    MixtureOfExperts,
    SigmoidRouter,
    SoftmaxRouter,
    TopKRouter,
)


class ReadyPart(abc.ABC):
    """A part without arrays that YAML has a name for."""

    @abc.abstractmethod
    def to_config(self) -> Any:
        """The part as plain data."""


# -- how streams become one --------------------------------------------------------------------------------------------


def add(*streams: Any) -> Any:
    """``y = x_1 + ... + x_k``, and ``state_add`` under a name that says what for: a stream plus its memory.

    >>> add(jnp.array([1.0]), jnp.array([2.0]), jnp.array([3.0]))
    Array([6.], dtype=float32)
    """
    return jax.tree.map(lambda *xs: functools.reduce(jnp.add, xs), *streams)


def state_add(stream: PyTree, *memories: Any) -> Any:
    """``y = x + memories``; a memory that is not there yet is zero.

    >>> state_add(jnp.array([1.0]), jnp.array([2.0]))
    Array([3.], dtype=float32)
    """
    return add(stream, *memories)


def mean(*streams: Any) -> Any:
    """``y = (x_1 + ... + x_k) / k``.

    >>> mean(jnp.array([1.0]), jnp.array([3.0]))
    Array([2.], dtype=float32)
    """
    return jax.tree.map(lambda total: total / len(streams), add(*streams))


def cat(*streams: Any, axis: int = -1) -> Any:
    """``y = [x_1, ..., x_k]`` along the last axis; ``functools.partial(cat, axis=0)`` along another.

    >>> cat(jnp.array([1.0]), jnp.array([3.0]))
    Array([1., 3.], dtype=float32)
    """
    return jnp.concatenate(streams, axis=axis)


MERGES: dict[str, Callable[..., Any]] = {"add": add, "mean": mean, "cat": cat}


def merge_function(given: object) -> Any:
    """A merge by name; anything else as it is.

    Raises:
        InputError: for an unknown name.
    """
    if not isinstance(given, str):
        return given
    if given not in MERGES:
        raise InputError(f"merge {given!r}: {did_you_mean(given, MERGES)}")
    return MERGES[given]


# -- halting conditions: above 0 means that the loop halts -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Threshold(ReadyPart):
    """``max(state) - limit``: halts once a number of the state is above the limit; goDl's ThresholdHalt.

    >>> Threshold(2.0)(jnp.array([[1.0, 5.0]]))
    Array(3., dtype=float32)
    """

    limit: float
    per: Literal["batch", "example"] = "batch"

    def __call__(self, state: Array) -> Array:
        """[rows, features] -> [], or [rows] with ``per="example"``."""
        return state.max(None if self.per == "batch" else -1) - self.limit

    def to_config(self) -> Any:
        """``{threshold: {limit, per}}``."""
        return {"threshold": dataclasses.asdict(self)}


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
class Norm(ReadyPart):
    """``limit - |new state|``: halts once the state is shorter than the limit, for iterations to a fixed point.

    >>> Norm(6.0)(jnp.array([[3.0, 4.0]]))
    Array([1.], dtype=float32)
    """

    limit: float

    def __call__(self, state: Array) -> Array:
        """[rows, features] -> [rows]."""
        return self.limit - jnp.sqrt(jnp.square(state).sum(-1))

    def to_config(self) -> Any:
        """``{norm: {limit}}``."""
        return {"norm": dataclasses.asdict(self)}


# -- experts and branches ----------------------------------------------------------------------------------------------


def mixture_of_experts(hidden: int, *, experts: int, **options: Any) -> LayerSpec:
    """``nn.MixtureOfExperts`` for the stream's features."""
    return layer(MixtureOfExperts, hidden, experts=experts, **options)


def softmax_router(experts: int) -> LayerSpec:
    """``nn.SoftmaxRouter`` for the stream's features."""
    return layer(SoftmaxRouter, experts)


def sigmoid_router(experts: int) -> LayerSpec:
    """``nn.SigmoidRouter`` for the stream's features."""
    return layer(SigmoidRouter, experts)


def top_k_router(experts: int, k: int = 2, *, balance: float = 0.01) -> LayerSpec:
    """``nn.TopKRouter`` for the stream's features."""
    return layer(TopKRouter, experts, k, balance=balance)


def argmax_selector(branches: int) -> LayerSpec:
    """``nn.ArgmaxSelector`` for the stream's features."""
    return layer(ArgmaxSelector, branches)


@dataclasses.dataclass(frozen=True)
class FixedSelector(ReadyPart):
    """Always the same branch, for whole batches and for rows.

    >>> FixedSelector(1)(jnp.ones((2, 3)))
    Array([1, 1], dtype=int32)
    """

    index: int

    def __call__(self, x: Array, *refs: Array) -> Array:
        """[rows, features] -> int[rows]."""
        return jnp.full(x.shape[:1] or (1,), self.index, jnp.int32)

    def to_config(self) -> Any:
        """``{fixed_selector: index}``."""
        return {"fixed_selector": self.index}


def fixed_selector(index: int) -> FixedSelector:
    """``FixedSelector(index)``."""
    return FixedSelector(index)


# -- pictures and shapes -----------------------------------------------------------------------------------------------


def glimpse(*, channels: int, size: int = 8, scales: int = 1, width: float = 0.25) -> LayerSpec:
    """``nn.Glimpse`` for the stream's features."""
    return layer(Glimpse, channels=channels, size=size, scales=scales, width=width)


@dataclasses.dataclass(frozen=True)
class Reshape(ReadyPart):
    """The stream in another shape; one size may be -1.

    >>> Reshape((4, -1))(jnp.arange(8.0)).shape
    (4, 2)
    """

    shape: tuple[int, ...]

    def __call__(self, x: Array) -> Array:
        """[...] -> ``shape``."""
        return x.reshape(self.shape)

    def to_config(self) -> Any:
        """``{reshape: shape}``."""
        return {"reshape": list(self.shape)}


def reshape(*shape: int) -> Reshape:
    """``Reshape(shape)``.

    Raises:
        InputError: for a size below 1 that is not -1, or more than one -1.
    """
    if not shape or any(size < 1 and size != -1 for size in shape) or shape.count(-1) > 1:
        raise InputError(f"reshape{shape}: expected sizes of at least 1, of which one may be -1")
    return Reshape(shape)
