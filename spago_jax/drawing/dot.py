# SPDX-License-Identifier: BSD-2-Clause
"""A picture in the language of Graphviz."""

from spago_jax.drawing.colours import KINDS, heat_colour
from spago_jax.drawing.picture import Box, Picture


def dot(drawn: Picture) -> str:
    r"""A picture in Graphviz' language, with a cluster for each open box.

    >>> box = Box("n0", "input", "x", ("f32[3]",), tooltip="an array")
    >>> print(dot(Picture(Box("graph", "module", "double", ("3 FLOP",), children=(box,)), ())))
    digraph "double" {
      node [shape=box, style="filled,rounded", fontname="monospace", fontsize=10];
      label="double\n3 FLOP";
      "n0" [label="x\nf32[3]", fillcolor="#dbeafe", tooltip="an array"];
    }
    <BLANKLINE>
    """
    kinds = {box.key: box.kind for box in drawn.root.leaves()}
    lines = [
        f"digraph {_quoted(drawn.root.title)} {{",
        '  node [shape=box, style="filled,rounded", fontname="monospace", fontsize=10];',
        f"  label={_quoted(drawn.root.title, *drawn.root.lines)};",
    ]
    for box in drawn.root.children:
        _box(box, lines, "  ")
    for a in drawn.arrows:
        kind = KINDS[kinds[a.source]]
        style = "" if kind.line == "solid" else f', style={kind.line}, color="{kind.edge}"'
        lines.append(f"  {_quoted(a.source)} -> {_quoted(a.target)} [label={_quoted(a.types)}{style}];")
    return "\n".join([*lines, "}", ""])


def fill(box: Box) -> str:
    """The colour of a leaf."""
    return KINDS[box.kind].fill if box.heat is None else heat_colour(box.heat)


def _box(box: Box, lines: list[str], indent: str) -> None:
    if not box.children:
        label = _quoted(box.title, *box.lines, *box.attached)
        tooltip = _quoted(*box.tooltip.split("\n"))
        lines.append(f'{indent}{_quoted(box.key)} [label={label}, fillcolor="{fill(box)}", tooltip={tooltip}];')
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
