# SPDX-License-Identifier: BSD-2-Clause
"""Flow: a network as it is being written down, one step a call. A value: every method returns a new flow."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from spago_jax.core import Array
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.build import build
from spago_jax.flow.choice_steps import Gate, Switch
from spago_jax.flow.layer import LayerSpec
from spago_jax.flow.loop_steps import LoopOptions
from spago_jax.flow.network import Network
from spago_jax.flow.origin import FlowError, Origin, user_origin
from spago_jax.flow.part import Given, Unbuilt, check_part
from spago_jax.flow.ready_parts import merge_function
from spago_jax.flow.simple_steps import Also, Branch, Input, Merge, StateRead, Through
from spago_jax.flow.step import Step
from spago_jax.flow.unfinished import UnfinishedLoop, UnfinishedMap
from spago_jax.ops.activations import identity


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Flow(Unbuilt):
    """A network being written down; ``start`` makes one and ``build`` makes a ``Network`` of it.

    What is called in a step may be a Module, ``flow.layer(...)``, a function of arrays, or another flow. The same
    object in two places is one part with shared weights; ``flow.copies(part, n)`` makes others. Shapes are inferred
    and checked by ``build``; every other mistake is an error where it is written.

    >>> from spago_jax import flow
    >>> written = flow.start(flow.linear(4)).through(jax.nn.relu).also(flow.linear(4))
    >>> net = written.build(jax.random.key(0), "f32[batch, 2]")
    >>> net(jnp.ones((3, 2))).shape
    (3, 4)
    """

    steps: tuple[Step, ...] = ()
    streams: tuple[int, ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    targets: tuple[int, ...] = ()

    # -- steps -----------------------------------------------------------------------------------------------------

    def through(self, part: Given) -> "Flow":
        """``y = part(x)``.

        Raises:
            FlowError: with several streams open, or for a part that cannot be called.
        """
        return self._add(Through, (part,), "through")

    def also(self, part: Given) -> "Flow":
        """``y = x + part(x)``, the residual form; ``using`` after it goes to the part.

        Raises:
            FlowError: with several streams open, or for a part that cannot be called.
        """
        return self._add(Also, (part,), "also")

    def split(self, *parts: Any) -> "Flow":
        """Each part gets the stream; as many streams follow, until ``merge``. ``using`` after it goes to all parts.

        Raises:
            FlowError: for fewer than 2 parts, with several streams open, or for a part that cannot be called.
        """
        source = self._single("split")
        if len(parts) < 2:
            raise _here(f"split requires at least 2 branches (got {len(parts)}); use through for one")
        flow, origin = self, user_origin()
        for part in parts:
            step = Branch((self._part(part, "split"),), (source,), origin=origin)
            flow = dataclasses.replace(flow, steps=(*flow.steps, step))
        added = tuple(range(len(self.steps), len(flow.steps)))
        return dataclasses.replace(flow, streams=added, targets=added)

    def merge(self, part: "Callable[..., Any] | Any" = "add") -> "Flow":
        """``y = part(branch_1, ..., branch_k)``: a function, or ``"add"``, ``"mean"``, ``"cat"`` (the last axis).

        Raises:
            FlowError: with one stream, or for an unknown name.
        """
        if len(self.streams) < 2:
            raise _here(f"merge requires multiple streams (got {len(self.streams)}); use through for one")
        try:
            part = merge_function(part)
        except InputError as error:
            raise _here(str(error)) from None
        return self._append(Merge((self._part(part, "merge"),), self.streams, origin=user_origin()))

    def gate(self, router: Given, experts: Iterable[Any]) -> "Flow":
        """``y = sum_i router(x)[..., i] experts_i(x)``; ``using`` after it goes to the router.

        Raises:
            FlowError: for fewer than 2 experts, with several streams open, or for a part that cannot be called.
        """
        experts = tuple(experts)
        if len(experts) < 2:
            raise _here(f"gate requires at least 2 experts (got {len(experts)})")
        return self._add(Gate, (router, *experts), "gate")

    def switch(self, selector: Given, branches: Iterable[Any], *, per: Literal["batch", "example"] = "batch") -> "Flow":
        """``y = branches[int(selector(x))](x)``; ``using`` after it goes to the selector.

        Args:
            selector: gives an index in its first element; with ``per="example"`` one for each row.
            branches: of which one runs (``per="batch"``), or those that some row chose.
            per: whether the batch takes one branch, or each row its own.

        Raises:
            FlowError: for fewer than 2 branches, with several streams open, or for a part that cannot be called.
        """
        branches = tuple(branches)
        if len(branches) < 2:
            raise _here(f"switch requires at least 2 branches (got {len(branches)})")
        if per not in ("batch", "example"):
            raise _here(f"switch: per is {per!r}, expected 'batch' or 'example'")
        return self._add(Switch, (selector, *branches), "switch", per=per)

    def loop(
        self,
        body: Given,
        *,
        unroll: int = 1,
        remat: bool = False,
        truncate: int | None = None,
        fresh: bool = False,
        trace: bool | str | Callable[[Any], Any] = False,
    ) -> UnfinishedLoop:
        """``state = body(state)`` as often as ``.times(n)``, ``.while_``, ``.until`` or ``.adaptive`` say.

        ``using`` after that goes to the body, which gets the same refs at each iteration.

        Args:
            body: gives back the shape that it takes.
            unroll: iterations in one step of the compiled loop.
            remat: compute the body anew in the backward pass: less memory, more time. Loops that may halt always do.
            truncate: no gradient flows back through more than this many iterations.
            fresh: a body with memory starts from zeros at each call.
            trace: record the state of each iteration: True, a function of the state, or a tag of the body's memory.

        Raises:
            FlowError: with several streams open, or for a body that cannot be called.
        """
        self._single("loop")
        for name, value in (("unroll", unroll), ("truncate", truncate)):
            if value is not None and value < 1:
                raise _here(f"loop: {name} is {value}, expected at least 1")
        options = LoopOptions(unroll=unroll, remat=remat, truncate=truncate, fresh=fresh, trace=trace)
        return UnfinishedLoop(self, self._part(body, "loop"), options, user_origin())

    def map(self, body: Given) -> UnfinishedMap:
        """The body on every element, as ``.each()``, ``.over(tag)`` or ``.slices(n)`` says next.

        Raises:
            FlowError: with several streams open, or for a body that cannot be called.
        """
        self._single("map")
        return UnfinishedMap(self, self._part(body, "map"), user_origin())

    def input(self, *names: str) -> "Flow":
        """Further inputs of the network, ``net(x, name=...)``, each a tag that ``using`` may name.

        Raises:
            FlowError: for a name that is a tag already, or that calls have for something else: ``state``, ``rng``.
        """
        flow = self
        for name in names:
            flow._new_name(name, "input", conflict=f"input {name!r} conflicts with an existing tag")
            if name in _RESERVED:
                raise _here(f"input: {name!r} is reserved; choose a name other than {list(_RESERVED)}")
            step = Input(tag=name, origin=user_origin())
            flow = dataclasses.replace(flow, steps=(*flow.steps, step), tags=(*flow.tags, (name, len(flow.steps))))
        return flow

    # -- names -----------------------------------------------------------------------------------------------------

    def tag(self, name: str) -> "Flow":
        """Names the output of the current step, for ``using``, ``observe``, ``freeze`` and pictures.

        A forward reference of this name is thereby written by this step.

        Raises:
            FlowError: for a name that is taken, or with several streams open.
        """
        number = self._single("tag", instead="tag_group")
        self._new_name(name, "tag", conflict=f"duplicate tag name {name!r}")
        if name in dict(self.groups):
            raise _here(f"tag {name!r} conflicts with the tag group of that name; use a different name")
        return self._tagged(name, number)

    def tag_group(self, name: str) -> "Flow":
        """Names the open streams ``name_0``, ``name_1``, ..., and all of them together ``name``.

        Raises:
            FlowError: with one stream, or for a name that is taken.
        """
        if len(self.streams) < 2:
            raise _here("tag_group requires multiple streams; use tag for one")
        if name in dict(self.groups):
            raise _here(f"duplicate tag group name {name!r}")
        if name in dict(self.tags):
            raise _here(f"tag group {name!r} conflicts with the existing tag of that name; use a different group name")
        names = tuple(f"{name}_{i}" for i in range(len(self.streams)))
        flow = self
        for each, number in zip(names, self.streams, strict=True):
            flow._new_name(each, "tag_group", conflict=f"suffixed name {each!r} conflicts with an existing tag")
            flow = flow._tagged(each, number)
        return dataclasses.replace(flow, groups=(*flow.groups, (name, names)))

    def using(self, *names: str) -> "Flow":
        """Hands tagged values to the step before, after the stream and in this order, or by name to keyword arguments.

        A tag that comes later in the flow is a forward reference: the step gets what that tag was in the call before,
        and zeros at first; the network then is ``net(x, state) -> (y, state)``.

        Raises:
            FlowError: with nothing to hand them to, or for a step that would read itself.
        """
        if not self.targets:
            raise _here("using requires a preceding through, also, gate, switch, split, merge, loop or map")
        flow = self
        for name in names:
            number = dict(flow.tags).get(name)
            if number is None:
                number, flow = flow._state_read(name)
            elif any(number >= target for target in self.targets) and not flow.steps[number].is_root:
                raise _here(f"cycle detected: {flow.steps[number].kind} {name!r} would read its own output")
            steps = list(flow.steps)
            for target in self.targets:
                steps[target] = dataclasses.replace(steps[target], refs=(*steps[target].refs, (name, number)))
            flow = dataclasses.replace(flow, steps=tuple(steps))
        return flow

    # -- building --------------------------------------------------------------------------------------------------

    def build(self, key: Array, spec: PyTree, **inputs: Any) -> Network:
        """Initialises every layer, with shapes inferred step by step, and gives the network.

        Args:
            key: randomness of the initial weights.
            spec: of the stream: ``"f32[batch, 2]"``, an array, a ``ShapeDtypeStruct``, or a tree of them.
            inputs: specs of the further inputs, by name.

        Raises:
            FlowError: for several open streams, a forward reference that no tag resolves, parts that do not take what
                they are handed, and shapes that do not fit, naming the step, the tag, both shapes and the line.
        """
        return build(self, key, spec, inputs, user_origin())

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the further inputs, in order."""
        return tuple(step.tag for step in self.steps if isinstance(step, Input) and step.tag)

    def built_inside(
        self, key: Array, spec: PyTree, inputs: Mapping[str, Any], origin: Origin, owners: dict[int, Unbuilt]
    ) -> Network:
        """The network within another one; see ``build``."""
        return build(self, key, spec, inputs, origin, owners)

    @property
    def needs_inputs(self) -> bool:
        """Whether the network will take more than its stream: further inputs, or a state from call to call."""
        inside = [part for step in self.steps for part in step.parts if isinstance(part, Flow)]
        return any(step.is_root for step in self.steps) or any(
            any(isinstance(step, StateRead) for step in part.steps) for part in inside
        )

    def check_closed(self) -> None:
        """Refuses a flow that is not finished. Raises FlowError."""
        if len(self.streams) != 1:
            raise _here(f"cannot build with {len(self.streams)} open streams; use merge to combine them")
        names = [name for name, _ in self.tags]
        for step in self.steps:
            if isinstance(step, StateRead) and step.reads not in names:
                raise step.origin.error(
                    f"unresolved forward reference {step.reads!r} (using without a matching tag): "
                    f"{did_you_mean(step.reads, names, known='tags')}"
                )

    def __repr__(self) -> str:
        lines = [f"Flow, {len(self.steps)} steps"]
        for step in self.steps:
            refs = f" using {', '.join(name for name, _ in step.refs)}" if step.refs else ""
            lines.append(f"  {step}{f' #{step.tag}' if step.tag else ''}{refs}".replace(" ''", ""))
        return "\n".join(lines)

    # -- within ----------------------------------------------------------------------------------------------------

    def _add(self, cls: type[Step], parts: tuple[Any, ...], method: str, **fields: Any) -> "Flow":
        sources = (self._single(method),) if self.steps else ()
        checked = tuple(self._part(part, method) for part in parts)
        return self._append(cls(checked, sources, origin=user_origin(), **fields))

    def _append(self, step: Step) -> "Flow":
        number = len(self.steps)
        return dataclasses.replace(self, steps=(*self.steps, step), streams=(number,), targets=(number,))

    def _part(self, part: Given, method: str) -> Given:
        try:
            return check_part(part, method)
        except InputError as error:
            raise _here(str(error)) from None

    def _single(self, method: str, instead: str = "") -> int:
        if len(self.streams) != 1:
            other = f", or {instead} for all of them" if instead else ""
            raise _here(f"{method} requires a single stream (got {len(self.streams)}); use merge first{other}")
        return self.streams[0]

    def _new_name(self, name: str, method: str, *, conflict: str) -> None:
        if not isinstance(name, str) or not name or any(c in name for c in ".:/"):
            raise _here(f"{method}: {name!r} is not a name; expected text without '.', ':' and '/'")
        if name in dict(self.tags):
            raise _here(conflict)

    def _tagged(self, name: str, number: int) -> "Flow":
        if self.steps[number].tag is not None:  # one output under two names: a step of its own
            flow = self._append(Through((identity,), (number,), origin=user_origin()))
            streams = tuple(flow.streams[0] if n == number else n for n in self.streams)
            return dataclasses.replace(flow, streams=streams, targets=self.targets)._tagged(name, flow.streams[0])
        steps = list(self.steps)
        steps[number] = dataclasses.replace(steps[number], tag=name)
        return dataclasses.replace(self, steps=tuple(steps), tags=(*self.tags, (name, number)))

    def _state_read(self, name: str) -> tuple[int, "Flow"]:
        for number, step in enumerate(self.steps):
            if isinstance(step, StateRead) and step.reads == name:
                return number, self
        self._new_name(name, "using", conflict="")
        step = StateRead(reads=name, origin=user_origin())
        return len(self.steps), dataclasses.replace(self, steps=(*self.steps, step))


def start(part: Given | None = None) -> Flow:
    """A flow whose first step is ``part``; without one, the input itself.

    Raises:
        FlowError: for a part that cannot be called.
    """
    return Flow()._add(Through, (identity if part is None else part,), "start")


def copies(part: Given, count: int) -> tuple[Any, ...]:
    """Independent copies of a layer or a flow: ``.split(*copies(head, 3))`` has three heads with weights of their own.

    Raises:
        FlowError: for something else than ``flow.layer(...)`` or a flow; a Module has its arrays already.

    >>> from spago_jax import flow
    >>> first, second = flow.copies(flow.linear(3), 2)
    >>> first is second, first
    (False, Linear(3))
    """
    if isinstance(part, LayerSpec):
        return tuple(part.copy() for _ in range(count))
    if isinstance(part, Flow):
        return tuple(_copy_flow(part) for _ in range(count))
    raise _here(
        f"copies: {type(part).__name__} has no copies with weights of their own; give flow.layer(...) or a flow"
    )


def _copy_flow(flow: Flow) -> Flow:
    made: dict[int, Any] = {}  # what is shared within the flow is shared within the copy

    def one(part: Given) -> Any:
        if isinstance(part, LayerSpec | Flow):
            return made.setdefault(id(part), copies(part, 1)[0])
        return part

    steps = tuple(dataclasses.replace(step, parts=tuple(map(one, step.parts))) for step in flow.steps)
    return dataclasses.replace(flow, steps=steps)


# Arguments of `build` and of a network's call, beside which further inputs are given by name.
_RESERVED = ("self", "key", "spec", "x", "state", "rng", "lengths")


def _here(message: str) -> FlowError:
    return user_origin().error(message)
