# SPDX-License-Identifier: BSD-2-Clause
"""A Graph as nested boxes and arrows, with modules folded to a level."""

from collections.abc import Callable, Sequence
from typing import Any

from spago_jax.compiler.graph.nodes import Block, Node, Ref, by_number, type_text
from spago_jax.compiler.graph.text import short_place
from spago_jax.compiler.graph.work import Work
from spago_jax.compiler.primitives import words
from spago_jax.core.show import amount
from spago_jax.drawing.picture import Arrow, Box, Picture
from spago_jax.drawing.svg import svg
from spago_jax.drawing.units import Key, Part, split
from spago_jax.errors import InputError

# More inputs or outputs than this are drawn as one box each argument.
_MANY = 12

_PRODUCTS = words("dot_general conv_general_dilated ragged_dot scaled_matmul_p triangular_solve")
_MOVEMENT = words(
    "reshape broadcast_in_dim transpose squeeze expand_dims slice dynamic_slice dynamic_update_slice gather pad "
    "rev concatenate split convert_element_type bitcast_convert_type iota copy copy_p scatter scatter-add "
    "scatter_add stop_gradient optimization_barrier device_put tile empty"
)
_REDUCTIONS = ("reduce_", "cum", "argm", "sort", "top_k", "select_and_")


def picture(name: str, block: Block, outputs: Sequence[tuple[str, str]], level: int | None = None) -> Picture:
    """Returns the boxes and arrows of a graph.

    Args:
        name: the title.
        block: the operations.
        outputs: the path and the type of each output.
        level: how deep modules, loops and branches are open: 0 draws one box for each outermost module, 1 its
            children, ...; None every operation.

    Raises:
        InputError: for a level that is not a natural number.
    """
    if level is not None and (isinstance(level, bool) or not isinstance(level, int) or level < 0):
        raise InputError(f"level is {level!r}; it is 0 for one box a module, 1 for its children, ..., or None for all")
    return _Drawing(name, block, outputs, level).picture()


def kind_of(node: Node) -> str:
    """Returns the colour of an operation."""
    name = node.operation
    if node.equation is None:
        return "loop" if name in ("carry", "element") else "input"
    if node.inner:
        return "loop"
    if name in _PRODUCTS:
        return "product"
    if name.startswith("random_"):
        return "random"
    if name.startswith(_REDUCTIONS):
        return "reduction"
    if name in _MOVEMENT:
        return "movement"
    if len(node.shapes) == 1 and (node.work.flops or node.work.transcendentals or node.dtype in _DISCRETE):
        return "arithmetic"
    return "other"


_DISCRETE = words("bool i8 i16 i32 i64 u8 u16 u32 u64")


def node_tooltip(node: Node) -> str:
    """Returns all that is known about a node, in lines."""
    lines = [f"{node.number}  {node.title}", f"{node.name}: {node.types}"]
    if node.inputs:
        lines.append("reads " + ", ".join(map(str, node.inputs)))
    if node.group:
        lines.append("in " + node.module)
    if node.place:
        lines.append(f"at {short_place(node.place)}")
    if node.equation is not None:
        lines.append(str(node.work))
    return "\n".join(lines)


class _Drawing:
    def __init__(self, name: str, block: Block, outputs: Sequence[tuple[str, str]], level: int | None):
        self.name, self.block, self.named_outputs, self.level = name, block, outputs, level
        self.nodes = by_number(self.block)
        self.parts: list[Part] = []
        self.boxes: dict[str, Box] = {}
        self.types: dict[tuple[str, str], list[str]] = {}
        self.attached: dict[str, dict[tuple[str, str], None]] = {}  # the parameters of each part: path and type
        self.read: set[int] = set()  # the nodes whose values anything reads
        self.sources: dict[int, str] = {}  # where the value of an input comes from, when they are drawn together

    def picture(self) -> Picture:
        self.inputs()
        self.emit(self.block, (), 0)
        self.outputs()
        for node in self.block.inputs:
            if node.number not in self.read and (box := self.boxes.get(f"n{node.number}")):
                box.lines = (*box.lines, "not used")
        tree, home = split(self.parts, self.level)
        arrows: dict[tuple[str, str], dict[str, None]] = {}
        for part in self.parts:
            for source in part.sources:
                ends = (home[source], home[part.key])
                if ends[0] != ends[1]:
                    arrows.setdefault(ends, {}).update(dict.fromkeys(self.types[source, part.key]))
        root = Box("graph", "module", self.name, children=self.built(tree))
        root.lines = (str(self.block.work),)
        return Picture(root, tuple(Arrow(*ends, ", ".join(types)) for ends, types in arrows.items()))

    # -- inputs and outputs ----------------------------------------------------------------------------------------

    def inputs(self) -> None:
        plain = [node for node in self.block.inputs if node.operation == "input"]
        for key, members in _grouped(plain, [node.name for node in plain]):
            self.parts.append(Part(key := f"i{members[0].number}.{key}" if len(members) > 1 else key, ()))
            self.sources.update((node.number, key) for node in members)
            if len(members) > 1:
                self.boxes[key] = _many(key, "input", [(node.name, node.types) for node in members])
            else:
                node = members[0]
                self.boxes[key] = Box(key, "input", node.name, (node.types,), tooltip=node_tooltip(node))

    def outputs(self) -> None:
        pairs = zip(self.named_outputs, self.block.outputs, strict=True)
        found = [(name, operand, kind) for (name, kind), operand in pairs]
        for index, (key, members) in enumerate(_grouped(found, [name for name, _ in self.named_outputs])):
            key = f"o{index}.{key}"
            self.connect(key, [operand for _, operand, _ in members], ())
            attached = self.labels([key], ())
            if len(members) > 1:
                box = _many(key, "output", [(name, types) for name, _, types in members])
                box.attached = attached
            else:
                name, _, kind = members[0]
                box = Box(key, "output", name or "output", (kind,), attached, f"{name}: {kind}")
            self.boxes[key] = box

    # -- operations ------------------------------------------------------------------------------------------------

    def emit(self, block: Block, prefix: tuple[Key, ...], depth: int) -> None:
        """Makes a part of every operation of a block; ``depth`` modules of its nodes' groups are in ``prefix``."""
        if prefix:
            for node in block.inputs:
                self.leaf(node, prefix, node.operation)
        for node in block.nodes:
            if node.equation is None:
                continue  # constants are attached to what reads them
            path = prefix + tuple(("module", name, node.backward) for name in node.group[depth:])
            if not node.inner:
                self.leaf(node, path, node.title)
                continue
            path = (*path, ("loop", str(node.number), node.backward))
            for index, inner in enumerate(node.inner):
                inside = (*path, ("block", f"{node.number}.{index}", False)) if len(node.inner) > 1 else path
                self.emit(inner, inside, len(node.group))
            self.leaf(node, path, "results" if node.operation != "cond" else "chosen")

    def leaf(self, node: Node, path: tuple[Key, ...], title: str) -> None:
        key = f"n{node.number}"
        operands = [*node.operands, *(operand for block in node.inner for operand in block.outputs)]
        if node.inner and node.operation != "cond":  # what goes in is read inside
            operands = [operand for block in node.inner for operand in block.outputs]
        elif node.operation == "cond":
            operands = [node.operands[0], *operands[len(node.operands) :]]
        self.connect(key, operands, path)
        lines = (_short_types(node),)
        if node.operation in ("carry", "element", "input"):
            lines = (f"{node.name}: {node.types}",)
        attached = self.labels([key], path, most=4)
        self.boxes[key] = Box(key, kind_of(node), title, lines, attached, node_tooltip(node))

    def connect(self, key: str, operands: Sequence[Any], path: tuple[Key, ...]) -> None:
        """Adds a part that reads some values; parameters and constants among them are attached to it."""
        sources: dict[str, None] = {}
        attached = self.attached.setdefault(key, {})
        for operand in operands:
            if not isinstance(operand, Ref):
                continue
            node = self.nodes[operand.node]
            self.read.add(node.number)
            if node.operation == "parameter" or (node.operation == "constant" and node.equation is None):
                attached[node.name if node.operation == "parameter" else "", node.types] = None
                continue
            source = self.sources.get(node.number, f"n{node.number}")
            sources[source] = None
            types = self.types.setdefault((source, key), [])
            text = type_text(node.shapes[operand.index], node.dtypes[operand.index])
            if text not in types:
                types.append(text)
        self.parts.append(Part(key, path, tuple(sources)))

    def labels(self, keys: Sequence[str], path: tuple[Key, ...], most: int = 2) -> tuple[str, ...]:
        """The parameters and constants that some parts read, named from the module that they are in, or counted."""
        found = dict.fromkeys(pair for key in keys for pair in self.attached[key])
        modules = [name for sort, name, _ in path if sort == "module"]
        if len(found) > most:
            constants = any(not name for name, _ in found)
            return (f"{len(found)} {'arrays' if constants else 'parameters'}",)
        return tuple(f"{_near(name, modules) if name else 'constant'} {types}" for name, types in found)

    # -- boxes -----------------------------------------------------------------------------------------------------

    def built(self, tree: Sequence[Any]) -> tuple[Box, ...]:
        boxes = []
        for unit in tree:
            if unit.part is not None:
                boxes.append(self.boxes[unit.part.key])
                continue
            title, kind, path = self.named(unit)
            if unit.folded:
                boxes.append(self.folded(unit, title, kind, path))
            else:
                children = self.built(unit.units)
                boxes.append(Box(unit.key, kind, title, tooltip=path, children=children))
        return tuple(boxes)

    def named(self, unit: Any) -> tuple[str, str, str]:
        """Returns the title of an open or folded box, its kind, and the path that its tooltip tells."""
        sort, name, backward = unit.path[-1]
        modules = ".".join(key[1] for key in unit.path if key[0] == "module")
        if sort == "loop":
            node = self.nodes[int(name)]
            return node.title, "loop", node_tooltip(node)
        if sort == "block":
            number, index = map(int, name.split("."))
            return self.nodes[number].inner[index].name, "loop", modules
        again = f" ({unit.instance + 1})" if unit.instance else ""
        return f"{name}{' ∇' if backward else ''}{again}", "backward" if backward else "module", modules

    def folded(self, unit: Any, title: str, kind: str, path: str) -> Box:
        nodes = [self.nodes[int(part.key[1:])] for part in unit.parts()]
        operations = [node for node in nodes if node.equation is not None]
        if kind == "loop" and unit.path[-1][0] == "loop":
            work = self.nodes[int(unit.path[-1][1])].work
        else:
            work = self.outermost(operations)
        keys = [part.key for part in unit.parts()]
        attached = [f"{name or 'constant'} {types}" for key in keys for name, types in self.attached[key]]
        attached = list(dict.fromkeys(attached))
        lines = [f"{len(operations)} operations" if len(operations) != 1 else operations[0].title]
        if work.flops or work.transcendentals:
            cost = amount(work.flops, "FLOP") if work.flops else f"{amount(work.transcendentals)} transcendental"
            lines.append(("" if work.exact else "≥ ") + cost)
        tooltip = [path, lines[0], str(work), *attached[:20]]
        if len(attached) > 20:
            tooltip.append(f"and {len(attached) - 20} more")
        shown = self.labels(keys, unit.path)
        return Box(unit.key, kind, title, tuple(lines), shown, "\n".join(filter(None, tooltip)))

    def outermost(self, nodes: Sequence[Node]) -> Work:
        """Returns the work of some nodes; what is inside a loop among them is in the loop's own."""
        inside = {inner.number for node in nodes for block in node.inner for inner in block.walk()}
        return sum((node.work for node in nodes if node.number not in inside), Work())


def _grouped(members: Sequence[Any], names: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """Returns every member by itself where there are few, or those of one argument together, or all of them."""
    if len(members) <= _MANY:
        return [(f"n{member.number}" if isinstance(member, Node) else "", [member]) for member in members]
    groups: dict[str, list[Any]] = {}
    for member, name in zip(members, names, strict=True):
        parts = name.split(".")
        groups.setdefault(".".join(parts[:2]) if parts[0] == "output" else parts[0], []).append(member)
    return list(groups.items()) if len(groups) <= _MANY else [("all", list(members))]


def _many(key: str, kind: str, members: Sequence[tuple[str, str]]) -> Box:
    lines = [f"{name}: {types}" for name, types in members]
    more = [f"and {len(lines) - 30} more"] if len(lines) > 30 else []
    return Box(key, kind, key.split(".", 1)[1], (f"{len(lines)} arrays",), tooltip="\n".join([*lines[:30], *more]))


def _near(path: str, modules: Sequence[str]) -> str:
    """Returns a parameter's path as it is called in the module that reads it; two names of it where it is another's.

    >>> _near("model.encoder.forward.weight", ["Tagger", "encoder"]), _near("model.table.weight", ["Tagger", "output"])
    ('forward.weight', 'table.weight')
    """
    for start in range(1, len(modules)):
        here = ".".join(modules[start:]) + "."
        if f".{here}" in f".{path}":
            return f".{path}".split(f".{here}", 1)[1]
    return ".".join(path.split(".")[-2:])


def _short_types(node: Node) -> str:
    first = type_text(node.shape, node.dtype) if node.shapes else "nothing"
    more = len(node.shapes) - 1
    return f"{first} + {more} more" if more > 0 else first


# More boxes than this are folded in a notebook, where a picture should fit the page.
_NOTEBOOK = 120


def notebook(draw: Callable[[int | None], Picture]) -> str:
    """Returns the picture for a notebook: as much opened as is legible, in a frame that scrolls.

    Args:
        draw: makes the picture of a level.
    """
    drawn = draw(None)
    deepest = max((len(part) for part in _depths(drawn.root)), default=0)
    note = ""
    for level in range(deepest - 1, -1, -1):
        if drawn.size <= _NOTEBOOK:
            break
        drawn = draw(level)
        note = f"<div>folded: level {level} of {deepest}; see .svg(level=...)</div>"
    return f'<div style="overflow:auto;max-height:48em">{svg(drawn)}</div>{note}'


def _depths(box: Box, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Returns the open boxes around each leaf."""
    if not box.children:
        return [above]
    return [
        found for child in box.children for found in _depths(child, (*above, child.key) if child.children else above)
    ]
