# SPDX-License-Identifier: BSD-2-Clause
"""A Graph as a table: one line a node."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spago_jax.compiler import jaxprs
from spago_jax.compiler.graph.nodes import Block, Const, Node, Operand, by_number, type_text
from spago_jax.core.show import amount, memory, text_table

_HEADS = ("#", "operation", "reads", "result", "module", "FLOP", "func.", "bytes", "source")
_ALIGN = "rllllrrrl"

Row = tuple[str, ...]


def text(name: str, block: Block, outputs: Sequence[str]) -> str:
    r"""A line for each node of a graph: number, operation, what it reads, result, module, cost, place in the source.

    ``FLOP`` counts floating point operations, ``func.`` values of exp, tanh, ... The inside of a loop or branch stands
    below it, indented, with the cost of one run.

    >>> from spago_jax.compiler.graph import graph
    >>> table = graph(lambda w, x: jnp.tanh(w @ x), "f32[2, 3]", "f32[3]", name="layer").text()
    >>> print("\n".join(line[:72].rstrip() for line in table.splitlines()))
    layer: 2 operations, 12 FLOP, 2 transcendental, 60 B
    #  operation    reads  result    module  FLOP  func.  bytes  source
    0  input w             f32[2,3]
    1  input x             f32[3]
    2  dot_general  0, 1   f32[2]              12          44 B  ...
    3  tanh         2      f32[2]                      2   16 B  ...
       output       3      f32[2]
    """
    nodes = by_number(block)
    rows = [*_rows(block, 0)]
    rows += [_output(output, operand, nodes) for output, operand in zip(outputs, block.outputs, strict=True)]
    operations = sum(1 for node in block.walk() if not node.is_source)
    head = f"{name}: {operations} operation{'s' if operations != 1 else ''}, {block.work}"
    return f"{head}\n{text_table(_HEADS, rows, align=_ALIGN)}"


def _rows(block: Block, depth: int) -> Iterator[Row]:
    for node in (*block.inputs, *block.nodes):
        yield _row(node, depth)
        for inner in node.inner:
            if len(node.inner) > 1:
                yield ("", f"{'  ' * (depth + 1)}{inner.name}:", *[""] * (len(_HEADS) - 2))
            yield from _rows(inner, depth + 1 + (len(node.inner) > 1))


def _row(node: Node, depth: int) -> Row:
    title = node.title
    if node.is_source:
        title += f" {node.name}"
    work, bound = node.work, "" if node.work.exact else ">"
    return (
        str(node.number),
        "  " * depth + title,
        ", ".join(map(str, node.inputs)),
        node.types,
        node.module,
        bound + amount(work.flops) if work.flops else "",
        bound + amount(work.transcendentals) if work.transcendentals else "",
        memory(work.bytes) if work.bytes else "",
        short_place(node.place),
    )


def _output(name: str, operand: Operand, nodes: Mapping[int, Node]) -> Row:
    title = f"output {name.removeprefix('output').lstrip('.')}".rstrip()
    if isinstance(operand, Const):
        return ("", title, str(operand), *[""] * (len(_HEADS) - 3))
    node = nodes[operand.node]
    types = type_text(node.shapes[operand.index], node.dtypes[operand.index])
    return ("", title, str(operand.node), types, *[""] * (len(_HEADS) - 4))


def short_place(place: jaxprs.Place | None) -> str:
    """Returns a place in the source with the last two parts of the file's path.

    >>> short_place(jaxprs.Place("/home/me/project/model.py", 3, "loss"))
    'project/model.py:3 (loss)'
    """
    if place is None:
        return ""
    return f"{'/'.join(Path(place.file).parts[-2:])}:{place.line} ({place.function})"
