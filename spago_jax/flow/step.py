# SPDX-License-Identifier: BSD-2-Clause
"""Step: one node of a flow. What it reads and calls; how it runs, is written as data, drawn and cut into pieces."""

import abc
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.core.taps import retap, tap, with_taps
from spago_jax.core.tree import PyTree
from spago_jax.flow.origin import Origin
from spago_jax.flow.part import Context, Refs, shown


@dataclasses.dataclass(frozen=True)
class Frame:
    """What the steps of one run share.

    Attributes:
        layers: the modules of the flow.
        memory: what the call before left: outputs by tag, and ``step:part`` for flows inside.
        given: further inputs by name.
        context: randomness and lengths.
        after: what this call leaves.
    """

    layers: Mapping[str, Any]
    memory: Mapping[str, Any]
    given: Mapping[str, Any]
    context: Context
    after: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Step(abc.ABC):
    """One node.

    Attributes:
        parts: what it calls; as the user gave them, and each a ``Part`` in a built flow.
        sources: the nodes whose outputs are its inputs.
        refs: tags that ``using`` hands to it, with the nodes that have them.
        origin: the user's line.
        tag: the name of its output, or None.
        name: unique in a built flow: the tag, or what it is with a number.
        kind: what it is called in messages.
        is_root: whether it reads no other step, so that steps before it in the flow may read it.
        box: the kind of its box in pictures; "" is that of its part.
        join: what stands in the box where the outputs of its parts come together; "" for none.
    """

    parts: tuple[Any, ...] = ()
    sources: tuple[int, ...] = ()
    refs: tuple[tuple[str, int], ...] = ()
    origin: Origin = dataclasses.field(default=Origin("", 0), compare=False)
    tag: str | None = None
    name: str = ""

    kind: ClassVar[str]
    is_root: ClassVar[bool] = False
    box: ClassVar[str] = ""
    join: ClassVar[str] = ""

    def part_names(self) -> tuple[str, ...]:
        """What the parts are in this step; "" for the only one."""
        return ("",)

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """The shapes that a part will be called with: its inputs, and the refs that it gets."""
        return tuple(inputs), refs

    def base_name(self) -> str:
        """What an untagged step is called, before its number."""
        return self.kind

    def __str__(self) -> str:
        inside = ", ".join(map(shown, self.parts))
        return f"{self.kind} {self.name!r}" + (f" ({inside})" if inside else "")

    # -- running ---------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The output."""

    def check(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> None:
        """Refuses parts that do not fit together, in the trace of ``build``. Raises InputError."""

    def run(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> PyTree:
        """The output, tapped under the tag; refs that are not there yet are zeros shaped like the stream."""
        filled = [(tag, jax.tree.map(jnp.zeros_like, inputs[0]) if value is None else value) for tag, value in refs]
        with jax.named_scope(self.name):
            y = self.execute(frame, inputs, filled)
        if self.tag is not None:
            tap(self.tag, y)
        return y

    def run_part(self, frame: Frame, index: int, inputs: Sequence[Any], refs: Refs) -> Any:
        """The output of one part that is called once; its memory is kept, and what it taps is named after the step."""
        name = self.part_names()[index]
        memory = frame.memory.get(f"{self.name}:{name}")
        call = with_taps(lambda: self.call_part(frame, index, inputs, refs, memory, frame.context))
        (y, memory), taps = call()
        retap(f"{self.name}/{name}" if name else self.name, taps)
        self.keep_memory(frame, index, memory)
        return y

    def call_part(
        self, frame: Frame, index: int, inputs: Sequence[Any], refs: Refs, memory: PyTree, context: Context
    ) -> tuple[Any, Any]:
        """The output of one part and its new memory, for steps that see to the memory themselves."""
        name = self.part_names()[index]
        context = context.child(self.name)
        return self.parts[index].call(frame.layers, inputs, refs, context.child(name) if name else context, memory)

    def part_memory(self, frame: Frame, index: int, x: PyTree, refs: Refs = ()) -> PyTree:
        """What a part that is a flow remembers of the call before, or zeros; None for other parts."""
        network = self.parts[index].network(frame.layers)
        if network is None:
            return None
        kept = frame.memory.get(f"{self.name}:{self.part_names()[index]}")
        return network.initial_memory(x, network.plan.inputs_from(refs)) if kept is None else kept

    def keep_memory(self, frame: Frame, index: int, memory: PyTree) -> None:
        """Leaves a part's memory for the next call."""
        if memory is not None:
            frame.after[f"{self.name}:{self.part_names()[index]}"] = memory

    # -- running piece by piece ------------------------------------------------------------------------------------

    @property
    def iterations(self) -> int:
        """How many iterations at most it can be cut into; 0 for a step that runs as a whole."""
        return 0

    @property
    def forgets(self) -> bool:
        """Whether its parts remember nothing from call to call, though they do within one."""
        return False

    def piece(self, length: int, *, first: bool) -> "Step":
        """Some of its iterations as a step of its own."""
        return self

    def halted(self, count: Array, length: int) -> bool:
        """Whether a piece of some length, of which ``count`` iterations ran, was the last."""
        return False

    def exclusive_parts(self) -> tuple[Any, ...]:
        """Parts of which each may go without a call."""
        return ()

    # -- as data and as a picture ----------------------------------------------------------------------------------

    @abc.abstractmethod
    def to_config(self, parts: Sequence[Any]) -> Any:
        """The step as plain data, given its parts as data; None for one that the others imply."""

    def title(self) -> str:
        """What stands over its box, beside the tag."""
        return self.kind

    def about(self) -> str:
        """How it runs, beyond its title."""
        return ""

    def part_arrows(self, index: int, sources: Sequence[str], ends: Sequence[str]) -> Sequence[str]:
        """The boxes that arrows go from to a part: the step's sources, or the ends of its earlier parts."""
        return sources

    def join_arrows(self, sources: Sequence[str], ends: Sequence[str]) -> Sequence[str]:
        """The boxes that arrows go from to the join."""
        return ends


def snake(name: str) -> str:
    """``LayerNorm`` as ``layer_norm``.

    >>> snake("LayerNorm"), snake("TopKRouter"), snake("gelu")
    ('layer_norm', 'top_k_router', 'gelu')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"\W", "", apart).lower().strip("_") or "step"
