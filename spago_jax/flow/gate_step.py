# SPDX-License-Identifier: BSD-2-Clause
"""Gate: all experts run, and a router weighs what they put out."""

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import jax

from spago_jax.errors import InputError
from spago_jax.flow.part import Refs
from spago_jax.flow.shapes import same_shape, shape_text
from spago_jax.flow.step import Step

if TYPE_CHECKING:
    from spago_jax.flow.frame import Frame


@dataclasses.dataclass(frozen=True)
class Gate(Step):
    """``y = sum_i w[..., i] expert_i(x)`` with ``w = router(x, refs)`` [..., experts], used as it is returned.

    Source: Jacobs et al., "Adaptive mixtures of local experts" (1991); goDl's Gate.
    """

    kind: ClassVar[str] = "gate"

    def part_names(self) -> tuple[str, ...]:
        """The router, then the experts."""
        return ("router", *(f"expert_{i}" for i in range(len(self.parts) - 1)))

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """Refs go to the router."""
        return tuple(inputs), refs if index == 0 else ()

    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """The weighted sum."""
        weights = frame.run(self, 0, inputs, refs)
        total: Any = None
        for i in range(len(self.parts) - 1):
            weigh = functools.partial(operator.mul, weights[..., i : i + 1])
            weighed = jax.tree.map(weigh, frame.run(self, i + 1, inputs, ()))
            total = weighed if total is None else jax.tree.map(operator.add, total, weighed)
        return total

    def check(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> None:
        """A weight for each expert, and experts of one shape."""
        weights = frame.run(self, 0, inputs, refs)
        experts = len(self.parts) - 1
        if not weights.shape or weights.shape[-1] != experts:
            raise InputError(
                f"the router gives {shape_text(weights)}, expected {experts} weights along the last axis, one an expert"
            )
        same_outputs(self, frame, inputs, range(1, experts + 1), "experts")


def same_outputs(step: Step, frame: "Frame", inputs: Sequence[Any], indices: Sequence[int], what: str) -> None:
    """Refuses parts whose outputs differ in shape or dtype. Raises InputError."""
    shapes = [frame.run(step, i, inputs, ()) for i in indices]
    for place, shape in enumerate(shapes):
        if not same_shape(shape, shapes[0]):
            raise InputError(
                f"the {what} must give one shape, but number 0 gives {shape_text(shapes[0])} and number {place} "
                f"{shape_text(shape)}"
            )
