# SPDX-License-Identifier: BSD-2-Clause
"""Plan: what a built flow does, without its arrays; the static half of a Network."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.part import LayerPart, Refs
from spago_jax.flow.step import Frame, Step


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The steps of a built flow. Two plans are equal where their steps are; the hash is computed once.

    Attributes:
        steps: every step, with resolved parts and unique names.
        output: the number of the step whose output is the flow's.
        inputs: names of the further inputs, in order.
        state: tags that are read before they are written: they are carried from call to call.
        groups: tag groups with their tags.
        stateful: whether a call takes and returns memory.
    """

    steps: tuple[Step, ...]
    output: int
    inputs: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    stateful: bool = False

    @functools.cached_property
    def order(self) -> tuple[int, ...]:
        """The order in which the steps run."""
        return run_order(self.steps)

    @functools.cached_property
    def tags(self) -> dict[str, int]:
        """Every tag with the number of its step."""
        return {step.tag: number for number, step in enumerate(self.steps) if step.tag is not None}

    @functools.cached_property
    def _key(self) -> tuple:
        return (self.steps, self.output, self.inputs, self.state, self.groups, self.stateful)

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Plan) and self._hash == other._hash and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Plan({', '.join(step.name for step in self.steps)})"

    def inputs_from(self, refs: Refs) -> dict[str, Any]:
        """Refs as inputs of a flow inside: by name where the tags are the inputs' names, else in their order.

        Raises:
            InputError: where there are more or fewer than inputs.
        """
        if len(refs) != len(self.inputs):
            raise InputError(
                f"the flow inside has the inputs {list(self.inputs)}, but .using(...) hands it {[n for n, _ in refs]}"
            )
        if {name for name, _ in refs} == set(self.inputs):
            return dict(refs)
        return {name: value for name, (_, value) in zip(self.inputs, refs, strict=True)}

    def tagged(self, name: str) -> tuple[str, ...]:
        """A tag, or the tags of a group.

        Raises:
            InputError: for neither.
        """
        groups = dict(self.groups)
        if name in groups:
            return groups[name]
        if name not in self.tags:
            raise InputError(f"no tag {name!r} in this flow: {did_you_mean(name, [*self.tags, *groups])}")
        return (name,)

    def paths(self, step: Step) -> tuple[str, ...]:
        """Where the modules of a step are in the network: ``layers.encoded``."""
        found = [part for part in step.parts if isinstance(part, LayerPart)]
        return tuple(dict.fromkeys(".".join(map(str, ("layers", *part.path))) for part in found))

    def run(self, frame: Frame, x: PyTree) -> PyTree:
        """The output for a stream."""
        values: dict[int, Any] = {}
        for number in self.order:
            step = self.steps[number]
            inputs = [values[source] for source in step.sources] or [x]
            values[number] = step.run(frame, inputs, [(tag, values[node]) for tag, node in step.refs])
            if step.tag in self.state:
                frame.after[step.tag] = values[number]
        return values[self.output]


def run_order(steps: Sequence[Step]) -> tuple[int, ...]:
    """Roots first: a forward reference is made after the step that reads it."""
    roots = [n for n, step in enumerate(steps) if step.is_root]
    return (*roots, *(n for n in range(len(steps)) if n not in roots))


def resolved(step: Step, parts: Mapping[int, Any], name: str) -> Step:
    """A step with its parts in their final form and its name."""
    return dataclasses.replace(step, parts=tuple(parts[i] for i in range(len(step.parts))), name=name)
