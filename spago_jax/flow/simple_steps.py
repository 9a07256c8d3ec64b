# SPDX-License-Identifier: BSD-2-Clause
"""Steps that call one part once: through, also, a branch of a split, merge; and the roots: input and state."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import jax

from spago_jax.flow.part import Refs, shown
from spago_jax.flow.step import Step, snake

if TYPE_CHECKING:
    from spago_jax.flow.frame import Frame


@dataclasses.dataclass(frozen=True)
class Through(Step):
    """``y = part(x, refs)``."""

    kind: ClassVar[str] = "through"

    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """One call."""
        return frame.run(self, 0, inputs, refs)

    def base_name(self) -> str:
        """The part's own name."""
        return snake(shown(self.parts[0]))


@dataclasses.dataclass(frozen=True)
class Branch(Through):
    """One branch of a split: the same as ``Through``, and drawn beside its sisters."""

    kind: ClassVar[str] = "branch"


@dataclasses.dataclass(frozen=True)
class Also(Through):
    """``y = x + part(x, refs)``: the residual form."""

    kind: ClassVar[str] = "also"

    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """The sum."""
        return jax.tree.map(lambda x, y: x + y, inputs[0], frame.run(self, 0, inputs, refs))


@dataclasses.dataclass(frozen=True)
class Merge(Through):
    """``y = part(branch_1, ..., branch_k, refs)``."""

    kind: ClassVar[str] = "merge"


@dataclasses.dataclass(frozen=True)
class Input(Step):
    """One more input of the flow, by name."""

    kind: ClassVar[str] = "input"

    def part_names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """What the caller gave."""
        return frame.given[str(self.tag)]


@dataclasses.dataclass(frozen=True)
class StateRead(Step):
    """What the step tagged ``reads`` put out in the call before; a forward reference."""

    reads: str = ""
    kind: ClassVar[str] = "state"

    def part_names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """The memory; None before the first call, which a step reads as zeros shaped like its stream."""
        return frame.given[self.reads] if self.reads in frame.given else frame.memory.get(self.reads)

    def base_name(self) -> str:
        """After the tag."""
        return f"state_{self.reads}"
