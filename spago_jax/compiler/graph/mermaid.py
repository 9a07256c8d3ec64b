# SPDX-License-Identifier: BSD-2-Clause
"""A Graph as Mermaid, which web pages and Markdown viewers draw."""

import re
from typing import TYPE_CHECKING

from spago_jax.compiler.graph.dot import _FILLS, fill
from spago_jax.compiler.graph.picture import Box, Picture, picture

if TYPE_CHECKING:
    from spago_jax.compiler.graph.graph import Graph


def mermaid(graph: "Graph", level: int | None = None) -> str:
    """The graph as a Mermaid flowchart, a subgraph for each open module, loop and branch.

    Args:
        graph: the graph.
        level: how deep modules, loops and branches are open; None for every operation.

    Raises:
        InputError: for a level that is no natural number.

    >>> from spago_jax.compiler.graph import graph
    >>> print(mermaid(graph(lambda x: 2.0 * x, "f32[3]", name="double")))
    ---
    title: "double"
    ---
    flowchart TD
      n0["x<br/>f32#91;3#93;"]:::input
      n1["mul 2<br/>f32#91;3#93;"]:::arithmetic
      o0_["output<br/>f32#91;3#93;"]:::output
      n0 --> n1
      n1 --> o0_
      classDef input fill:#dbeafe,stroke:#64748b,color:#0f172a
      classDef arithmetic fill:#f8fafc,stroke:#64748b,color:#0f172a
      classDef output fill:#dcfce7,stroke:#64748b,color:#0f172a
    <BLANKLINE>
    """
    return draw(picture(graph, level))


def draw(drawn: Picture) -> str:
    """A picture as a Mermaid flowchart."""
    kinds = {box.key: box.kind for box in drawn.root.leaves()}
    lines = ["---", f"title: {_title(drawn.root.title)}", "---", "flowchart TD"]
    for box in drawn.root.children:
        _box(box, lines, "  ")
    for arrow in drawn.arrows:
        line = "-.->" if kinds[arrow.source] in ("using", "state") else "-->"
        lines.append(f"  {_name(arrow.source)} {line} {_name(arrow.target)}")
    for kind in dict.fromkeys(box.kind for box in drawn.root.leaves()):
        lines.append(f"  classDef {kind} fill:{_FILLS[kind]},stroke:#64748b,color:#0f172a")
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
