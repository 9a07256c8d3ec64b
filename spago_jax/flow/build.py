# SPDX-License-Identifier: BSD-2-Clause
"""From a Flow to a Network: names, initial weights, and the shape of every step, inferred and checked."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import jax

from spago_jax.core import Array, Module
from spago_jax.core.call import signature_of
from spago_jax.core.taps import without_taps
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, SpagoError
from spago_jax.flow.layer import LayerSpec
from spago_jax.flow.network import Network
from spago_jax.flow.origin import FlowError, Origin
from spago_jax.flow.part import Context, FunctionPart, LayerPart, Part, Refs, Takes, Unbuilt, shown
from spago_jax.flow.plan import Plan, resolved, run_order
from spago_jax.flow.shapes import read_shapes, same_shape, shape_text
from spago_jax.flow.simple_steps import Input, StateRead
from spago_jax.flow.step import Frame, Step

if TYPE_CHECKING:
    from spago_jax.flow.builder import Flow


def build(
    flow: "Flow",
    key: Array,
    spec: PyTree,
    inputs: Mapping[str, Any],
    origin: Origin,
    owners: dict[int, Unbuilt] | None = None,
) -> Network:
    """``Flow.build``: see there. ``owners`` are the flows in which parts with weights were found so far."""
    flow.check_closed()
    try:
        shapes, sizes = read_shapes({"x": spec, **inputs})
    except SpagoError as error:
        raise origin.error(str(error)) from None
    x = shapes.pop("x")
    names = flow.input_names
    if set(names) != set(shapes):
        raise origin.error(
            f"expected specs of the inputs {sorted(names)}, got {sorted(shapes)}: .build(key, spec"
            + "".join(f", {name}=..." for name in names)
            + ")"
        )
    return _Build(flow, key, names, sizes, {} if owners is None else owners).network(x, shapes)


class _Build:
    """One ``build``."""

    def __init__(
        self, flow: "Flow", key: Array, inputs: tuple[str, ...], sizes: Mapping[str, int], owners: dict[int, Unbuilt]
    ):
        self.flow, self.key, self.inputs, self.sizes, self.owners = flow, key, inputs, sizes, owners
        self.order = run_order(flow.steps)
        self.names = _unique_names(flow.steps)
        tags = dict(flow.tags)
        reads = dict.fromkeys(step.reads for step in flow.steps if isinstance(step, StateRead))
        self.state = tuple(tag for tag in reads if not isinstance(flow.steps[tags[tag]], Input))

    def network(self, x: PyTree, given: Mapping[str, Any]) -> Network:
        """Goes through the steps until the shapes of what is carried from call to call stand still."""
        memory: Mapping[str, Any] = {}
        read: Mapping[str, Any] = {}
        after: Mapping[str, Any] = {}
        for _ in range(4):
            plan, layers, after = self.walk(x, given, memory)
            if not self.state or all(tag in memory and same_shape(memory[tag], after[tag]) for tag in self.state):
                plan = dataclasses.replace(plan, stateful=bool(after))
                return Network.assembled(layers, plan)
            read, memory = memory, {tag: after[tag] for tag in self.state}
        tag = self.state[0]
        writer = self.flow.steps[dict(self.flow.tags)[tag]]
        raise writer.origin.error(
            f"forward reference {tag!r}: its shape changes from call to call; the step that writes it makes "
            f"{shape_text(after[tag])} where {shape_text(read[tag])} was read"
        )

    def walk(self, x: PyTree, given: Mapping[str, Any], memory: Mapping[str, Any]) -> tuple[Plan, dict, dict]:
        """Initialises and runs every step on shapes."""
        layers: dict[str, Any] = {}
        places: dict[int, Part] = {}  # shared parts, by identity
        after: dict[str, Any] = {}
        values: dict[int, Any] = {}
        steps = list(self.flow.steps)

        def run(
            step: Step, tags: list[str], layers: PyTree, memory: PyTree, given: PyTree, inputs: PyTree, shapes: PyTree
        ) -> PyTree:
            frame, refs = Frame(layers, memory, given, Context()), list(zip(tags, shapes, strict=True))
            step.check(frame, inputs, refs)
            return step.run(frame, inputs, refs), frame.after

        for number in self.order:
            step, name = steps[number], self.names[number]
            inputs = [values[source] for source in step.sources] or [x]
            # A memory whose shape is not known yet is read as the stream of whoever reads it.
            refs = [(tag, inputs[0] if values[node] is None else values[node]) for tag, node in step.refs]
            with _Explained(step, name, inputs, refs, self.sizes):
                parts = {}
                for i in range(len(step.parts)):
                    key = jax.random.fold_in(jax.random.fold_in(self.key, number), i)
                    parts[i] = self.part(step, name, i, inputs, refs, layers, places, key)
                step = steps[number] = resolved(step, parts, name)
                if isinstance(step, StateRead) and step.reads not in {**given, **memory}:
                    values[number] = None
                    continue
                traced = without_taps(functools.partial(run, step, [tag for tag, _ in refs]))
                shapes = [shape for _, shape in refs]
                values[number], kept = jax.eval_shape(
                    traced, jax.eval_shape(lambda: layers), dict(memory), dict(given), inputs, shapes
                )
                after |= kept
            if step.tag in self.state:
                after[step.tag] = values[number]
        plan = Plan(tuple(steps), self.flow.streams[0], self.inputs, self.state, self.flow.groups)
        return plan, layers, after

    def part(
        self,
        step: Step,
        name: str,
        index: int,
        sources: Sequence[Any],
        refs: Refs,
        layers: dict[str, Any],
        places: dict[int, Part],
        key: Array,
    ) -> Part:
        """Initialises a part, puts its module into ``layers``, and says where it is."""
        given = step.parts[index]
        inside = step.part_names()[index]
        inputs, handed = step.part_inputs(index, sources, refs)
        if id(given) in places:
            return places[id(given)]
        made = given
        if isinstance(given, LayerSpec):
            made = given.init(key, *inputs)
        elif isinstance(given, Unbuilt):
            specs = Plan((), 0, given.input_names).inputs_from(handed)
            made = given.built_inside(key, inputs[0], specs, step.origin, self.owners)
        if (
            made is not given
            and jax.tree.leaves(made)
            and self.owners.setdefault(id(given), self.flow) is not self.flow
        ):
            raise InputError(
                f"{shown(given)} is a part of two flows, and weights can be shared only within one; "
                f"give each flow its own: flow.copies(part, 2)"
            )
        takes = Takes.of(made)
        _check_call(made, takes, len(inputs), handed, f"{step.kind} {name!r}{f' {inside}' if inside else ''}")
        if isinstance(made, Module):
            path = (name, inside) if inside else (name,)
            if inside:
                layers.setdefault(name, {})[inside] = made
            else:
                layers[name] = made
            places[id(given)] = LayerPart(takes, shown(given), path, is_flow=isinstance(made, Network))
        else:
            places[id(given)] = FunctionPart(takes, shown(made), made)
        return places[id(given)]


def _check_call(part: Any, takes: Takes, inputs: int, refs: Refs, where: str) -> None:
    """Whether a part takes what ``using`` hands to it.

    Raises:
        InputError: naming the part, what it expects, and what it would get.
    """
    if isinstance(part, Network):
        part.plan.inputs_from(refs)
        return
    signature = signature_of(part)
    if signature is None:
        return
    named = [name for name, _ in refs if name in takes.named]
    try:
        signature.bind(*[None] * (inputs + len(refs) - len(named)), **dict.fromkeys(named))
    except TypeError as error:
        wired = [name for name, _ in refs]
        parameters = [str(p) for p in signature.parameters.values() if p.name not in ("rng", "lengths")]
        raise InputError(
            f"{where}: {shown(part)}({', '.join(parameters)}) does not take {inputs} input(s) and the tags {wired}: "
            f"{error}; hand it what it expects with .using(...)"
        ) from None


class _Explained:
    """Puts the step, the shapes and the user's line before whatever went wrong in it."""

    def __init__(self, step: Step, name: str, inputs: Sequence[Any], refs: Refs, sizes: Mapping[str, int]):
        self.step, self.name, self.inputs, self.refs, self.sizes = step, name, inputs, refs, sizes

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not isinstance(error, Exception):
            return
        step = dataclasses.replace(self.step, name=self.name)
        took = ", ".join(
            [shape_text(value) for value in self.inputs] + [f"{tag} {shape_text(value)}" for tag, value in self.refs]
        )
        if self.sizes:
            took += f" ({', '.join(f'{name} = {size}' for name, size in self.sizes.items())})"
        message = str(error) if isinstance(error, SpagoError) else _first_lines(error)
        if isinstance(error, FlowError) and (error.path, error.line) == (step.origin.path, step.origin.line):
            message = message.removeprefix(f"{error.path}:{error.line}: ")
        raise step.origin.error(f"{step} given {took}: {message}") from (
            None if isinstance(error, SpagoError) else error
        )


def _first_lines(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("---")]
    return " ".join(lines[:2]) or type(error).__name__


def _unique_names(steps: Sequence[Step]) -> list[str]:
    """Tags as they are; other steps after what they are, with a number from the second on."""
    taken = {step.tag for step in steps if step.tag}
    names = []
    for step in steps:
        name = base = step.tag or step.base_name()
        number = 2
        while step.tag is None and name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names
