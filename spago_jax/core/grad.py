# SPDX-License-Identifier: BSD-2-Clause
"""``value_and_grad``: the only JAX transform that is wrapped, because models hold arrays that are not trained."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core.partition import Where, chosen, combine, partition, trainable
from spago_jax.core.paths import flat
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError


def value_and_grad(
    loss: Callable[..., Any], wrt: "Where | str | Iterable[str]" = trainable, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Differentiates ``loss(model, ...)`` with respect to the chosen arrays of its first argument.

    ``jax.grad`` refuses integer arrays and would differentiate buffers; this one passes over both.

    Args:
        loss: returns a scalar, or ``(scalar, aux)`` with ``has_aux``.
        wrt: which arrays: ``trainable`` (default), ``freeze("words.*")``, or path patterns, which choose among the
            trainable ones. A function of the model that returns paths may choose buffers too.
        has_aux: as in ``jax.value_and_grad``.

    Returns:
        A function like ``loss`` that returns ``(value, gradients)``; the gradients are a copy of the model
        with ``None`` where nothing was differentiated.

    Raises:
        InputError: for a pattern that covers no array, or only arrays that are not trained.

    >>> import spago_jax as sj
    >>> class Line(sj.Module):
    ...     slope: sj.Array
    ...     steps: sj.Array = sj.buffer()
    >>> line = Line(jnp.array(3.0), jnp.array(7))
    >>> value, grads = value_and_grad(lambda line, x: line.slope * x)(line, 2.0)
    >>> float(value), float(grads.slope), grads.steps
    (6.0, 2.0, None)
    """

    @wraps(loss)
    def wrapped(model: PyTree, *args: Any, **kwargs: Any) -> Any:
        active, rest = partition(model, lambda model: _differentiable(model, wrt))

        def inner(active: PyTree) -> Any:
            return loss(combine(active, rest), *args, **kwargs)

        return jax.value_and_grad(inner, has_aux=has_aux)(active)

    return wrapped


def _differentiable(model: PyTree, wrt: "Where | str | Iterable[str]") -> set[str]:
    paths = chosen(model, wrt)
    if callable(wrt):
        return {path for path, leaf in flat(model).items() if path in paths and _is_float(leaf)}
    found = paths & trainable(model)
    if not found:
        names = ", ".join(sorted(paths))
        raise InputError(f"wrt {wrt!r}: nothing there is trained, only buffers and integers: {names}")
    return found


def _is_float(leaf: object) -> bool:
    return bool(jnp.issubdtype(jax.dtypes.result_type(leaf), jnp.inexact))
