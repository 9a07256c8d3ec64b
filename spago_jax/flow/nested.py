# SPDX-License-Identifier: BSD-2-Clause
"""Taps inside the body of a loop: recorded within, handed out of the loop with its results, and tapped again there."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core.taps import collect_taps, listening, tap

LOSS = "loss:"
"""Taps of this prefix are auxiliary losses: over a loop they are added up, where others keep their last value."""


def harvested(function: Callable[..., Any]) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """The function with its taps as a second result; an empty dict where nobody listens."""
    if not listening():
        return lambda *arguments: (function(*arguments), {})

    def with_taps(*arguments: Any) -> tuple[Any, dict[str, Any]]:
        with collect_taps(alone=True) as found:
            out = function(*arguments)
        return out, dict(found)

    return with_taps


def no_taps(function: Callable[..., tuple[Any, dict[str, Any]]], *arguments: Any) -> dict[str, Any]:
    """Zeros in the form of the taps that a harvested function will record."""
    shapes = jax.eval_shape(function, *arguments)[1]
    return {name: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape) for name, shape in shapes.items()}


def joined(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The taps of a loop after one more iteration."""
    return {name: before[name] + value if name.startswith(LOSS) else value for name, value in now.items()}


def retap(prefix: str, taps: dict[str, Any]) -> None:
    """Taps again, outside of the loop, under the name of the step."""
    for name, value in taps.items():
        if name.startswith(LOSS):
            tap(f"{LOSS}{prefix}/{name.removeprefix(LOSS)}", value)
        else:
            tap(f"{prefix}/{name}", value)
