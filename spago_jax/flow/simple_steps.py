# SPDX-License-Identifier: BSD-2-Clause
"""Steps that call one part once: through, also, a branch of a split, merge; and the roots: input and state."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import jax

from spago_jax.flow.part import Refs, shown
from spago_jax.flow.step import Frame, Step, snake


@dataclasses.dataclass(frozen=True)
class Call(Step):
    """``y = part(inputs, refs)``."""

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """One call."""
        return self.run_part(frame, 0, inputs, refs)

    def base_name(self) -> str:
        """The part's own name."""
        return snake(shown(self.parts[0]))

    @abc.abstractmethod
    def title(self) -> str:
        """Names the part."""


@dataclasses.dataclass(frozen=True)
class Through(Call):
    """``y = part(x, refs)``."""

    kind: ClassVar[str] = "through"

    def to_config(self, parts: Sequence[Any]) -> Any:
        """The part alone; a flow inside, which is a list, under ``through``."""
        return {"through": parts[0]} if isinstance(parts[0], list) else parts[0]

    def title(self) -> str:
        """The part."""
        return shown(self.parts[0])


@dataclasses.dataclass(frozen=True)
class Branch(Call):
    """One branch of a split: the same as ``Through``, and drawn beside its sisters."""

    kind: ClassVar[str] = "branch"

    def to_config(self, parts: Sequence[Any]) -> Any:
        """All branches of the split, given their parts."""
        return {"split": list(parts)}

    def title(self) -> str:
        """The part."""
        return shown(self.parts[0])


@dataclasses.dataclass(frozen=True)
class Also(Call):
    """``y = x + part(x, refs)``: the residual form."""

    kind: ClassVar[str] = "also"
    join: ClassVar[str] = "+"

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The sum."""
        return jax.tree.map(lambda x, y: x + y, inputs[0], self.run_part(frame, 0, inputs, refs))

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{also: part}``."""
        return {"also": parts[0]}

    def title(self) -> str:
        """The part, added."""
        return f"+ {shown(self.parts[0])}"

    def join_arrows(self, sources: Sequence[str], ends: Sequence[str]) -> Sequence[str]:
        """The part's output and the stream itself."""
        return (*ends, *sources)


@dataclasses.dataclass(frozen=True)
class Merge(Call):
    """``y = part(branch_1, ..., branch_k, refs)``."""

    kind: ClassVar[str] = "merge"
    box: ClassVar[str] = "reduction"

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{merge: part}``."""
        return {"merge": parts[0]}

    def title(self) -> str:
        """The part."""
        return f"merge {shown(self.parts[0])}"


@dataclasses.dataclass(frozen=True)
class Input(Step):
    """One more input of the flow, by name."""

    kind: ClassVar[str] = "input"
    is_root: ClassVar[bool] = True
    box: ClassVar[str] = "input"

    def part_names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """What the caller gave."""
        return frame.given[str(self.tag)]

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{input: name}``."""
        return {"input": self.tag}

    def title(self) -> str:
        """Its name."""
        return str(self.tag)

    def about(self) -> str:
        """What it is."""
        return "input"


@dataclasses.dataclass(frozen=True)
class StateRead(Step):
    """What the step tagged ``reads`` put out in the call before; a forward reference."""

    reads: str = ""
    kind: ClassVar[str] = "state"
    is_root: ClassVar[bool] = True
    box: ClassVar[str] = "state"

    def part_names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The memory; None before the first call, which a step reads as zeros shaped like its stream."""
        return frame.given[self.reads] if self.reads in frame.given else frame.memory.get(self.reads)

    def base_name(self) -> str:
        """After the tag."""
        return f"state_{self.reads}"

    def to_config(self, parts: Sequence[Any]) -> Any:
        """None: the ``using`` of a later tag implies it."""
        return None

    def title(self) -> str:
        """The tag."""
        return self.reads

    def about(self) -> str:
        """What it is."""
        return "of the last call"
