# SPDX-License-Identifier: BSD-2-Clause
"""A Graph in the language of Graphviz, and of Mermaid."""

from typing import TYPE_CHECKING

from spago_jax.compiler.graph.picture import Box, picture

if TYPE_CHECKING:
    from spago_jax.compiler.graph.graph import Graph

_FILLS = {
    "input": "#dbeafe",
    "output": "#dcfce7",
    "product": "#ffe4c7",
    "arithmetic": "#f8fafc",
    "reduction": "#ede4fe",
    "movement": "#e7eaee",
    "random": "#fde2ee",
    "loop": "#d3f3ef",
    "module": "#fdf3c8",
    "backward": "#fbe0da",
    "other": "#ffffff",
}


def dot(graph: "Graph", level: int | None = None) -> str:
    r"""The graph in Graphviz' language, a cluster for each open module, loop and branch.

    Args:
        graph: the graph.
        level: how deep modules, loops and branches are open; None for every operation.

    Raises:
        InputError: for a level that is no natural number.

    >>> import re
    >>> from spago_jax.compiler.graph import graph
    >>> print(re.sub(r', tooltip="[^"]*"', "", dot(graph(lambda x: 2.0 * x, "f32[3]", name="double"))))
    digraph "double" {
      node [shape=box, style="filled,rounded", fontname="monospace", fontsize=10];
      label="double\n3 FLOP, 24 B";
      "n0" [label="x\nf32[3]", fillcolor="#dbeafe"];
      "n1" [label="mul 2\nf32[3]", fillcolor="#f8fafc"];
      "o0." [label="output\nf32[3]", fillcolor="#dcfce7"];
      "n0" -> "n1" [label="f32[3]"];
      "n1" -> "o0." [label="f32[3]"];
    }
    <BLANKLINE>
    """
    drawn = picture(graph, level)
    lines = [
        f"digraph {_quoted(drawn.root.title)} {{",
        '  node [shape=box, style="filled,rounded", fontname="monospace", fontsize=10];',
        f"  label={_quoted(drawn.root.title, *drawn.root.lines)};",
    ]
    for box in drawn.root.children:
        _box(box, lines, "  ")
    lines += [f"  {_quoted(a.source)} -> {_quoted(a.target)} [label={_quoted(a.types)}];" for a in drawn.arrows]
    return "\n".join([*lines, "}", ""])


def _box(box: Box, lines: list[str], indent: str) -> None:
    if not box.children:
        label = _quoted(box.title, *box.lines, *box.attached)
        tooltip = _quoted(*box.tooltip.split("\n"))
        lines.append(f'{indent}{_quoted(box.key)} [label={label}, fillcolor="{_FILLS[box.kind]}", tooltip={tooltip}];')
        return
    lines.append(f"{indent}subgraph {_quoted('cluster_' + box.key)} {{")
    lines.append(f"{indent}  label={_quoted(box.title)};")
    for child in box.children:
        _box(child, lines, indent + "  ")
    lines.append(f"{indent}}}")


def _quoted(*lines: str) -> str:
    r"""A string of Graphviz: quotes and backslashes are escaped, lines are joined by ``\n``."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for line in lines)
    return '"' + "\\n".join(escaped) + '"'
