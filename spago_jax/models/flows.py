# SPDX-License-Identifier: BSD-2-Clause
"""Flows inside models: the ``flow`` key of a `model` section, and the auxiliary losses of what it builds."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import jax
from pydantic import AfterValidator, Field

from spago_jax.core import Array
from spago_jax.core.taps import LOSS, collect_taps
from spago_jax.errors import InputError
from spago_jax.flow import Network, from_config
from spago_jax.flow.shapes import read_shapes, shape_text
from spago_jax.train.recipe import Loss

KEY = "model.flow"


def _checked(steps: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    if steps is not None and from_config(steps, KEY).needs_inputs:
        raise InputError("further inputs and forward references have no place in a model that reads one batch a step")
    return steps


FlowSteps = Annotated[
    tuple[Any, ...] | None,
    AfterValidator(_checked),
    Field(description="the steps of a flow that takes the place of the layers between input and output"),
]


def build_flow(steps: tuple[Any, ...], key: Array, spec: str) -> tuple[Network, int]:
    """The network of a ``flow`` key, and the number of features that it puts out.

    Raises:
        InputError: for shapes that do not fit, naming the step; for an output that has lost axes of the input.
    """
    net = from_config(steps, KEY).build(key, spec)
    shapes, _ = read_shapes({"x": spec})
    given, out = shapes["x"], jax.eval_shape(net, shapes["x"])
    if out.shape[:-1] != given.shape[:-1]:
        raise InputError(f"{KEY}: turns {shape_text(given)} into {shape_text(out)}; only the last axis may change")
    return net, out.shape[-1]


@contextlib.contextmanager
def auxiliary_losses(*parts: Any) -> Iterator[list[Any]]:
    """Gathers the auxiliary losses of the flows among the parts of a model, while it is called.

    Yields a list that holds their sum after the block, one scalar, for ``plus_auxiliary``.
    """
    found: list[Any] = []
    if not any(isinstance(part, Network) for part in parts):
        yield found
        return
    with collect_taps() as taps:
        yield found
    losses = [value for name, value in taps.items() if name.startswith(LOSS)]
    if losses:
        found.append(sum(losses))


def plus_auxiliary(loss: Loss, extra: list[Any]) -> Loss:
    """The loss with what ``auxiliary_losses`` gathered; the very same where there was nothing."""
    return dataclasses.replace(loss, total=loss.total + extra[0] * loss.weight) if extra else loss
