# SPDX-License-Identifier: BSD-2-Clause
"""A picture as Mermaid, which web pages and Markdown viewers draw."""

import re

from spago_jax.drawing.colours import BORDER, KINDS, TEXT
from spago_jax.drawing.dot import fill
from spago_jax.drawing.picture import Box, Picture


def mermaid(drawn: Picture) -> str:
    """A picture as a Mermaid flowchart, with a subgraph for each open box.

    >>> box = Box("n0", "input", "x", ("f32[3]",))
    >>> print(mermaid(Picture(Box("graph", "module", "double", children=(box,)), ())))
    ---
    title: "double"
    ---
    flowchart TD
      n0["x<br/>f32#91;3#93;"]:::input
      classDef input fill:#dbeafe,stroke:#64748b,color:#0f172a
    <BLANKLINE>
    """
    kinds = {box.key: box.kind for box in drawn.root.leaves()}
    lines = ["---", f"title: {_title(drawn.root.title)}", "---", "flowchart TD"]
    for box in drawn.root.children:
        _box(box, lines, "  ")
    for arrow in drawn.arrows:
        line = "-->" if KINDS[kinds[arrow.source]].line == "solid" else "-.->"
        lines.append(f"  {_name(arrow.source)} {line} {_name(arrow.target)}")
    for kind in dict.fromkeys(box.kind for box in drawn.root.leaves()):
        lines.append(f"  classDef {kind} fill:{KINDS[kind].fill},stroke:{BORDER},color:{TEXT}")
    for box in drawn.root.leaves():
        if box.heat is not None:
            lines.append(f"  style {_name(box.key)} fill:{fill(box)}")
    return "\n".join([*lines, ""])


def _box(box: Box, lines: list[str], indent: str) -> None:
    if not box.children:
        label = "<br/>".join(map(_escaped, (box.title, *box.lines, *box.attached)))
        lines.append(f'{indent}{_name(box.key)}["{label}"]:::{box.kind}')
        return
    lines.append(f'{indent}subgraph {_name(box.key)}["{_escaped(box.title)}"]')
    for child in box.children:
        _box(child, lines, indent + "  ")
    lines.append(f"{indent}end")


def _name(key: str) -> str:
    """A key without letters that Mermaid reads as its own."""
    return re.sub(r"\W", "_", key)


def _escaped(text: str) -> str:
    """Everything but letters, digits and harmless signs as numbered entities."""
    return re.sub(r"[^\w .,:+×∇≥-]", lambda found: f"#{ord(found[0])};", text.replace("\n", " "))


def _title(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
