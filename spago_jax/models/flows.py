# SPDX-License-Identifier: BSD-2-Clause
"""Flows inside models: an encoder whose steps are written in the config."""

from typing import Annotated, Any, Literal

import jax
from pydantic import AfterValidator, Field

from spago_jax.core import Array
from spago_jax.core.section import Section
from spago_jax.errors import InputError
from spago_jax.flow import Network, from_config
from spago_jax.flow.shapes import read_shapes, shape_text

KEY = "model.encoder.steps"


def _checked(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    if from_config(steps, KEY).needs_inputs:
        raise InputError("further inputs and forward references have no place in a model that reads one batch per step")
    return steps


class FlowEncoder(Section):
    """The steps of a flow, in the place of the layers between input and output."""

    kind: Literal["flow"]
    steps: Annotated[tuple[Any, ...], AfterValidator(_checked)] = Field(description="see docs/flows.md")

    def init(self, key: Array, spec: str) -> tuple[Network, int]:
        """The network of the steps for inputs of a spec, and the number of features that it puts out.

        Raises:
            InputError: for shapes that do not fit, naming the step; for an output that has lost axes of the input.
        """
        net = from_config(self.steps, KEY).build(key, spec)
        shapes, _ = read_shapes({"x": spec})
        given, out = shapes["x"], jax.eval_shape(net, shapes["x"])
        if out.shape[:-1] != given.shape[:-1]:
            raise InputError(f"{KEY}: turns {shape_text(given)} into {shape_text(out)}; only the last axis may change")
        return net, out.shape[-1]
