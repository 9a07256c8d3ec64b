# SPDX-License-Identifier: BSD-2-Clause
"""Step: one node of a flow. What it reads, its parts, and the tag of its output."""

import abc
import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from spago_jax.flow.part import Refs, shown
from spago_jax.flow.place import Place

if TYPE_CHECKING:
    from spago_jax.flow.frame import Frame


@dataclasses.dataclass(frozen=True)
class Step(abc.ABC):
    """One node.

    Attributes:
        parts: what it calls; as the user gave them, and resolved (``Plain`` or ``Use``) in a built flow.
        sources: the nodes whose outputs are its inputs.
        refs: tags that ``using`` hands to it, with the nodes that have them.
        place: the user's line.
        tag: the name of its output, or None.
        name: unique in a built flow: the tag, or what it is with a number.
    """

    parts: tuple[Any, ...] = ()
    sources: tuple[int, ...] = ()
    refs: tuple[tuple[str, int], ...] = ()
    place: Place = dataclasses.field(default=Place("", 0), compare=False)
    tag: str | None = None
    name: str = ""

    kind: ClassVar[str]

    def part_names(self) -> tuple[str, ...]:
        """What the parts are in this step; "" for the only one."""
        return ("",)

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """The shapes that a part will be called with: its inputs, and the refs that it gets."""
        return tuple(inputs), refs

    @abc.abstractmethod
    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """The output."""

    def check(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> None:
        """Refuses parts that do not fit together, in the trace of ``build``. Raises InputError."""

    def base_name(self) -> str:
        """What an untagged step is called, before its number."""
        return self.kind

    def __str__(self) -> str:
        inside = ", ".join(part.shown if hasattr(part, "shown") else shown(part) for part in self.parts)
        return f"{self.kind} {self.name!r}" + (f" ({inside})" if inside else "")


def snake(name: str) -> str:
    """``LayerNorm`` as ``layer_norm``.

    >>> snake("LayerNorm"), snake("TopKRouter"), snake("gelu")
    ('layer_norm', 'top_k_router', 'gelu')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"\W", "", apart).lower().strip("_") or "step"
