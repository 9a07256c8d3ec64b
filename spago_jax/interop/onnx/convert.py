# SPDX-License-Identifier: BSD-2-Clause
"""From a pure function to an ONNX file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np
from jax.typing import DTypeLike

from spago_jax.compiler import jaxprs
from spago_jax.compiler.ship.arguments import Shipment, shipment
from spago_jax.compiler.ship.plain import map_paths
from spago_jax.compiler.ship.symbolic import structs, traced, weight_structs
from spago_jax.core.disk import replace_file
from spago_jax.errors import ExportError, InputError
from spago_jax.interop.onnx.checks import check_model
from spago_jax.interop.onnx.softmax import maxima_of_softmax
from spago_jax.interop.onnx.table import CALLS, GROUPS, RULES, Equation, Rule, Unsupported
from spago_jax.interop.onnx.widening import apply_rule

if TYPE_CHECKING:
    import onnx

OPSET = 18
_FOLDED = 4096  # numbers; what is known now and larger is left to the runtime
_LARGEST = 2**31 - 2**20  # bytes that fit into one file of protocol buffers


def to_onnx(
    function: Callable[..., Any],
    path: str | Path,
    *arguments: Any,
    static: Mapping[str, Any] | None = None,
    name: str | None = None,
    constraints: Sequence[str] = (),
) -> Path:
    """Writes a function as an ONNX model (opset 18), through its jaxpr.

    Arguments are those of ``compiler.ship.export``: arrays (a Module) become initializers by their dotted paths, specs
    become inputs, ``batch.words`` for an entry of a dict; named dimensions stay free. Outputs are named by their path,
    ``output`` for a single one, with ``.out`` behind the name of an input. See docs/onnx.md for what is covered.

    Args:
        function: a pure function, a Program, a Module, or a method of one.
        path: the file; it appears complete or not at all.
        arguments: in the function's order, arrays or specs.
        static: fixed values of further arguments, by name.
        name: of the graph; by default the function's.
        constraints: facts about free dimensions, ``"time >= 2"``.

    Returns:
        The path.

    Raises:
        InputError: for bad arguments, or where ``onnx`` is not installed.
        ExportError: for operations that have no ONNX form here, all of them with their places in the source, or for a
            dimension that cannot be free.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "double.onnx"
    >>> _ = to_onnx(lambda x: 2 * x, path, "f32[batch, 3]", name="double")
    >>> import onnx
    >>> [node.op_type for node in onnx.load(path).graph.node]
    ['Mul']
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise InputError("ONNX export needs the package onnx: pip install 'spago_jax[export]'") from None
    shipped = shipment(function, arguments, static=static, name=name)
    converter = _Converter(shipped, constraints)
    model = converter.model()
    check_model(model, shipped.name, converter.graph.places)
    target = Path(path)
    replace_file(target, model.SerializeToString())
    return target


def rules() -> dict[str, Rule]:
    """Returns the whole table; importing its parts fills it, and needs the package ``onnx``."""
    from spago_jax.interop.onnx import elementwise, indexing, loops, products, reductions, shapes  # noqa: F401

    return RULES


def supported_operations() -> dict[str, list[str]]:
    """Returns the primitives of JAX that ``to_onnx`` writes, by group.

    >>> supported_operations()["loops"]
    ['cond', 'scan', 'while']
    >>> "dot_general" in supported_operations()["products"]
    True
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(rules()):
        groups.setdefault(GROUPS[name], []).append(name)
    groups["calls"] = sorted(CALLS)
    return dict(sorted(groups.items()))


class _Converter:
    """Walks a jaxpr and writes every equation by its rule; collects what has none."""

    def __init__(self, shipped: Shipment, constraints: Sequence[str]):
        from spago_jax.interop.onnx.graph import Graph

        self._rules = rules()
        self._shipped = shipped
        inputs = structs(shipped, {}, constraints)
        self._closed, self._outputs = traced(
            shipped, {}, lambda: jaxprs.trace(shipped.call, weight_structs(shipped), *inputs), several=False
        )
        source: dict[str, tuple[str, int]] = {}
        for path, leaf in shipped.leaves():
            for axis, dim in enumerate(leaf.dims):
                if isinstance(dim, str) and dim.isidentifier():
                    source.setdefault(dim, (path, axis))
        self.graph = Graph(source, self.convert)
        self._missing: dict[tuple[str, str], list[str]] = {}
        self._place = "place unknown"  # inside of JAX's own functions it is that of the call

    def model(self) -> Any:
        """Returns the finished model.

        Raises:
            ExportError: with everything that is not covered.
        """
        from onnx import helper, numpy_helper

        from spago_jax.interop.onnx.graph import value_info

        shipped, graph = self._shipped, self.graph
        trees = [map_paths(tree, lambda path, _: path, key) for key, tree in shipped.inputs.items()]
        names = [path for tree in trees for path in jax.tree.leaves(tree)]
        weights = {path: np.asarray(array) for path, array in shipped.weights.items()}
        taken = set(names)
        values: list[Any] = []
        for path in sorted(weights):
            values.append(graph.weight(f"weights.{path}" if path in taken else path, weights[path]))
        avals: list[Any] = [var.aval for var in self._closed.jaxpr.invars[len(weights) :]]
        for path, dtype in [
            *((p, w.dtype) for p, w in weights.items()),
            *zip(names, (getattr(a, "dtype", None) for a in avals), strict=True),
        ]:
            self._check_dtype("array", dtype, path)
        found = self.convert(self._closed, [*values, *names])
        self._refuse()
        labels = jax.tree.leaves(map_paths(self._outputs, lambda path, _: path, "output"))
        outputs = []
        for label, value, var in zip(labels, found, self._closed.jaxpr.outvars, strict=True):
            label = label.removeprefix("output.")
            label = f"{label}.out" if label in taken else label
            taken.add(label)
            graph._add("Identity", [graph.name(value)], [label], {})
            aval: Any = var.aval
            outputs.append(value_info(label, aval.dtype, aval.shape, named=True))
        inputs = [value_info(p, a.dtype, a.shape, named=True) for p, a in zip(names, avals, strict=True)]
        _shorten(graph.nodes, {value.name for value in outputs}, taken)
        size = sum(array.nbytes for array in graph.initializers.values())
        if size > _LARGEST:
            raise ExportError(f"{shipped.name}: {size / 1e9:.1f} GB of weights; an ONNX file holds 2 GB; use StableHLO")
        initializers = [numpy_helper.from_array(array, name) for name, array in graph.initializers.items()]
        made = helper.make_graph(graph.nodes, shipped.name, inputs, outputs, initializers)
        return helper.make_model(
            made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="spago_jax"
        )

    # -- equations -------------------------------------------------------------------------------------------------

    def convert(self, closed: jaxprs.ClosedJaxpr, inputs: Sequence[Any]) -> list[Any]:
        """Writes a program into the graph: tensors by name (or known numbers) to tensors by name."""
        jaxpr = closed.jaxpr
        values: dict[jaxprs.Var, Any] = dict(zip(jaxpr.invars, inputs, strict=True))
        for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
            values[var] = np.asarray(const)

        def read(atom: jaxprs.Atom) -> Any:
            if isinstance(atom, jaxprs.Literal):
                return np.asarray(atom.val, getattr(atom.aval, "dtype", None))
            return values[atom]

        used = jaxprs.used_equations(closed)
        self.graph.maxima_of_softmax |= maxima_of_softmax(closed)
        for index, eqn in enumerate(jaxpr.eqns):
            if index in used:
                outputs = self._equation(eqn, [read(atom) for atom in eqn.invars])
                values.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, eqn: jaxprs.JaxprEqn, inputs: list[Any]) -> list[Any]:
        around, self._place = self._place, str(jaxprs.place(eqn) or self._place)
        try:
            return self._written(eqn, inputs)
        finally:
            self._place = around

    def _written(self, eqn: jaxprs.JaxprEqn, inputs: list[Any]) -> list[Any]:
        body = jaxprs.call_body(eqn)
        if body is not None:
            return self.convert(body, inputs)
        if _known(eqn, inputs):
            return [np.asarray(value) for value in jaxprs.bind(eqn, inputs)]
        self.graph.place, self.graph.source_place = "/".join(jaxprs.scope(eqn)), self._place
        name = eqn.primitive.name
        try:
            for var in eqn.outvars:
                self._check_dtype(name, getattr(var.aval, "dtype", None), self._place)
            if name not in self._rules:
                raise Unsupported("")
            return apply_rule(self._rules[name], self.graph, cast(Equation, eqn), inputs)
        except Unsupported as reason:
            self._miss(name, str(reason), self._place)
            for inner in jaxprs.subprograms(eqn).values():
                self._scan_for_missing(inner)
            return [self.graph.fresh("missing") for _ in eqn.outvars]
        except (TypeError, ValueError, KeyError):
            if not self._missing:
                raise
            return [self.graph.fresh("missing") for _ in eqn.outvars]  # it stumbled over what was missing before

    def _check_dtype(self, name: str, dtype: DTypeLike | None, place: str) -> None:
        text = str(getattr(dtype, "name", dtype))
        if text in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
            self._miss(name, f"{text}: cast the model to float32 before", place)

    def _miss(self, name: str, reason: str, place: str) -> None:
        places = self._missing.setdefault((name, reason), [])
        if place not in places:
            places.append(place)

    def _scan_for_missing(self, closed: jaxprs.ClosedJaxpr) -> None:
        for eqn in closed.jaxpr.eqns:
            inner = jaxprs.subprograms(eqn)
            if jaxprs.call_body(eqn) is None and eqn.primitive.name not in self._rules:
                self._miss(eqn.primitive.name, "", str(jaxprs.place(eqn) or self._place))
            for body in inner.values():
                self._scan_for_missing(body)

    def _refuse(self) -> None:
        if not self._missing:
            return
        lines = []
        for (name, reason), places in sorted(self._missing.items()):
            shown = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
            lines.append(f"  {name}{f' ({reason})' if reason else ''}: {shown}")
        raise ExportError(
            f"{self._shipped.name} has operations without an ONNX form here; docs/onnx.md lists what is covered:\n"
            + "\n".join(lines)
        )


def _known(eqn: jaxprs.JaxprEqn, inputs: list[Any]) -> bool:
    """Whether an equation can be worked out now: small, of known numbers and sizes, and without a program inside."""
    if not inputs or jaxprs.subprograms(eqn) or not all(isinstance(value, np.ndarray) for value in inputs):
        return False
    shapes = [getattr(var.aval, "shape", None) for var in eqn.outvars]
    if any(shape is None or not all(isinstance(dim, int) for dim in shape) for shape in shapes):
        return False
    if any(not isinstance(getattr(var.aval, "dtype", None), np.dtype) for var in eqn.outvars):
        return False
    return all(int(np.prod(shape)) <= _FOLDED for shape in shapes if shape is not None)


def _shorten(nodes: list[Any], outputs: set[str], taken: set[str]) -> None:
    """Gives an output its name at the node that makes it, in place of an Identity behind it."""
    uses: dict[str, int] = {}
    for node in nodes:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
        for attribute in node.attribute:
            if attribute.HasField("g"):
                for name in _reads(attribute.g):
                    uses[name] = uses.get(name, 0) + 1
    makers = {name: node for node in nodes for name in node.output}
    for node in [node for node in nodes if node.op_type == "Identity" and node.output[0] in outputs]:
        source = node.input[0]
        maker = makers.get(source)
        if maker is not None and maker is not node and uses[source] == 1 and source not in taken:
            at = list(maker.output).index(source)
            maker.output[at] = node.output[0]
            nodes.remove(node)


def _reads(graph: "onnx.GraphProto") -> list[str]:
    found = [output.name for output in graph.output]
    for node in graph.node:
        found += list(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += _reads(attribute.g)
    return found
