# SPDX-License-Identifier: BSD-2-Clause
"""One run through the steps of a built flow: values in, memory in and out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from spago_jax.core.taps import retap, tap, with_taps
from spago_jax.flow.part import Context, Refs, call_part
from spago_jax.flow.simple_steps import Input, StateRead
from spago_jax.flow.step import Step

if TYPE_CHECKING:
    from spago_jax.flow.plan import Plan


class Frame:
    """What the steps of one run share.

    Attributes:
        layers: the modules of the flow.
        memory: what the call before left: outputs by tag, and ``step:part`` for flows inside.
        given: further inputs by name.
        context: randomness and lengths.
        after: what this call leaves.
    """

    def __init__(
        self, layers: Mapping[str, Any], memory: Mapping[str, Any], given: Mapping[str, Any], context: Context
    ):
        self.layers, self.memory, self.given, self.context = layers, memory, given, context
        self.after: dict[str, Any] = {}

    def run(self, step: Step, index: int, inputs: Sequence[Any], refs: Refs) -> Any:
        """The output of one part that is called once; its memory is kept, and what it taps is named after the step."""
        name = step.part_names()[index]
        key = f"{step.name}:{name}"

        def call() -> Any:
            return self.call(step, index, inputs, refs, self.memory.get(key), self.context)

        (y, memory), taps = with_taps(call)()
        retap(f"{step.name}/{name}" if name else step.name, taps)
        if memory is not None:
            self.after[key] = memory
        return y

    def call(
        self, step: Step, index: int, inputs: Sequence[Any], refs: Refs, memory: Any, context: Context
    ) -> tuple[Any, Any]:
        """The output of one part and its new memory, for steps that see to the memory themselves."""
        name = step.part_names()[index]
        context = context.child(step.name)
        return call_part(step.parts[index], self.layers, inputs, refs, context.child(name) if name else context, memory)


def run_step(step: Step, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
    """The output of one step; refs that are not there yet are zeros shaped like its stream."""
    filled = [(tag, jax.tree.map(jnp.zeros_like, inputs[0]) if value is None else value) for tag, value in refs]
    with jax.named_scope(step.name):
        y = step.execute(frame, inputs, filled)
    if step.tag is not None:
        tap(step.tag, y)
    return y


def run_steps(plan: "Plan", frame: Frame, x: Any) -> Any:
    """The output of a flow."""
    values: dict[int, Any] = {}
    for number in plan.order:
        step = plan.steps[number]
        inputs = [values[source] for source in step.sources] or [x]
        values[number] = run_step(step, frame, inputs, [(tag, values[node]) for tag, node in step.refs])
        if step.tag in plan.state and not isinstance(step, Input):
            frame.after[step.tag] = values[number]
    return values[plan.output]


def run_order(steps: Sequence[Step]) -> tuple[int, ...]:
    """Roots first: a forward reference is made after the step that reads it."""
    roots = [n for n, step in enumerate(steps) if isinstance(step, Input | StateRead)]
    return (*roots, *(n for n in range(len(steps)) if n not in roots))
