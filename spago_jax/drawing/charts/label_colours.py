# SPDX-License-Identifier: BSD-2-Clause
"""Which label gets which colour: the classes ``e0`` to ``e11`` of the style sheet, the most frequent labels first."""

from collections.abc import Iterable, Mapping

from spago_jax.drawing.colours import LABELS
from spago_jax.drawing.html import Html, el

OUTSIDE = "O"


class Colours:
    """A colour for each label; beyond the twelfth they come round again, in italics.

    >>> colours = Colours(["LOC", "PER"])
    >>> colours.of("PER"), colours.of("O"), colours.of("never seen")
    ('e1', 'out', 'e2')
    """

    def __init__(self, labels: Iterable[str] = ()):
        self._index: dict[str, int] = {}
        for label in labels:
            self.of(label)

    def of(self, label: str) -> str:
        """The CSS classes of a label."""
        if label == OUTSIDE:
            return "out"
        index = self._index.setdefault(label, len(self._index))
        again = " again" if index >= len(LABELS) else ""
        return f"e{index % len(LABELS)}{again}"

    def legend(self, used: Mapping[str, int]) -> Html:
        """The labels that were used, each in its colour."""
        shown = [label for label in self._index if label in used]
        return el("p", [el("span", label, class_=f"chip {self.of(label)}") for label in shown], class_="legend")
