# SPDX-License-Identifier: BSD-2-Clause
"""Graph: a traced program as a value. It runs, is drawn, differentiated, rewritten, and becomes a Program."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.compiler import jaxprs, rewrite
from spago_jax.compiler.graph import debug
from spago_jax.compiler.graph.fingerprint import fingerprint
from spago_jax.compiler.graph.likely_mistakes import GraphWarning, likely_mistakes
from spago_jax.compiler.graph.nodes import Block, Node, block_of, dtype_of, parameter_inputs, type_text
from spago_jax.compiler.graph.picture import notebook, picture
from spago_jax.compiler.graph.text import text
from spago_jax.compiler.padding import struct_of
from spago_jax.compiler.program import Program
from spago_jax.compiler.spec import Spec, spec
from spago_jax.core.partition import trainable
from spago_jax.core.paths import flat, matches
from spago_jax.core.process_bound import ProcessBound
from spago_jax.core.tree import PyTree
from spago_jax.drawing.dot import dot
from spago_jax.drawing.mermaid import mermaid
from spago_jax.drawing.picture import Picture
from spago_jax.drawing.svg import svg
from spago_jax.errors import InputError, did_you_mean


@dataclasses.dataclass(frozen=True, eq=False)
class Graph(ProcessBound):
    """What a pure function computes: operations on arrays of known shapes, and no arrays but its constants.

    Make one with ``sj.graph(function, *specs)``; call it as the function that it was made of.

    Attributes:
        name: of the function.
        jaxpr: JAX's own form of the program.
        arguments: the names of the arguments.
        inputs: the dotted path of every input array, ``model.output.weight``, in order.
        outputs: the dotted path of every output array, in order.
        rewrites: what ``simplify`` and ``stabilize`` did on the way to this graph.
    """

    instead = "pickle the function and take its graph there, or write a folder with sj.export"

    name: str
    jaxpr: jaxprs.ClosedJaxpr
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    in_tree: Any
    out_tree: Any
    rewrites: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *args: Any,
        name: str | None = None,
        arguments: Sequence[str] | None = None,
    ) -> "Graph":
        """Traces ``function``; see ``graph``. ``arguments`` names what the signature does not."""
        names = _argument_names(function, len(args)) if arguments is None else tuple(arguments)
        structs = tuple(_struct(arg, where) for arg, where in zip(args, names, strict=True))
        closed, shape = jaxprs.trace(function, *structs)
        return cls(
            name or getattr(function, "__name__", type(function).__name__),
            closed,
            names,
            tuple(path for arg, where in zip(structs, names, strict=True) for path in _paths(where, arg)),
            tuple(_paths("output", shape)),
            jax.tree.structure(structs),
            jax.tree.structure(shape),
        )

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature(
            [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in self.arguments]
        )

    def __call__(self, *args: Any) -> Any:
        """Runs the graph on arrays, or inside another traced function.

        Raises:
            InputError: for arguments of another structure, shape or dtype than it was traced for.
        """
        return jax.tree.unflatten(self.out_tree, jaxprs.run(self.jaxpr, self.checked(args)))

    def checked(self, args: tuple[Any, ...]) -> list[Any]:
        """Returns the leaves of the arguments.

        Raises:
            InputError: for another structure, shape or dtype than the graph was traced for.
        """
        leaves, tree = jax.tree.flatten(args)
        if tree != self.in_tree:
            raise InputError(f"{self.name}: this graph takes {self.in_tree}, not {tree}")
        for path, leaf, var in zip(self.inputs, leaves, self.jaxpr.jaxpr.invars, strict=True):
            if jnp.shape(leaf) != var.aval.shape or jnp.result_type(leaf) != var.aval.dtype:
                raise InputError(
                    f"{self.name}: {path} is {jnp.result_type(leaf)}{list(jnp.shape(leaf))}, "
                    f"but this graph was traced for {var.aval.dtype}{list(var.aval.shape)}"
                )
        return leaves

    def compile(self, **options: Any) -> Program:
        """A Program of this graph, compiled for the shapes that it was traced for; options as for ``sj.compile``."""
        program = Program(self, name=self.name, **options)
        return program.add(*self.structs())

    def structs(self) -> tuple[Any, ...]:
        """Returns the arguments that the graph takes, as ``ShapeDtypeStruct``."""
        variables = self.jaxpr.jaxpr.invars
        structs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype, weak_type=v.aval.weak_type) for v in variables]
        return jax.tree.unflatten(self.in_tree, structs)

    def with_jaxpr(self, closed: jaxprs.ClosedJaxpr, rewrites: Sequence[Any] = ()) -> "Graph":
        """Returns the same inputs and outputs computed in another way; ``rewrites`` are added to the list."""
        return dataclasses.replace(self, jaxpr=closed, rewrites=(*self.rewrites, *rewrites))

    def simplify(self) -> "Graph":
        """Returns the same values, bit for bit, by fewer operations; ``rewrites`` says what was done.

        It takes out dead code and common sub-expressions, computes what depends on constants alone, and uses the
        algebraic identities that hold in floating point, inside loops and branches too. See ``rewrite.simplify``.

        >>> graph = Graph.of(lambda x: jnp.exp(x) * 1 + jnp.exp(x), jnp.ones(3))
        >>> for rewrite in graph.simplify().rewrites:
        ...     print(rewrite.rule, "|", rewrite.before, "->", rewrite.after)
        x * 1 | exp(x) * 1 -> exp(x)
        common sub-expression | exp(x) -> computed before
        simplify | 4 operations -> 2 operations
        """
        done = rewrite.simplify(self.jaxpr, self.inputs)
        total = rewrite.Rewrite("simplify", None, f"{done.before} operations", f"{done.after} operations")
        return self.with_jaxpr(done.closed, (*done.rewrites, total))

    def stabilize(self) -> "Graph":
        """The same formulas as functions that neither overflow nor cancel; ``rewrites`` lists each with its place.

        Do it before ``gradient``: the derivatives are part of the repair. ``docs/stabilization.md`` lists the rules.

        >>> graph = Graph.of(lambda x: jnp.log(1 + jnp.exp(x)), jnp.float32(0))
        >>> float(graph(jnp.float32(800))), float(graph.stabilize()(jnp.float32(800)))
        (inf, 800.0)
        >>> [(rewrite.rule, rewrite.after) for rewrite in graph.stabilize().rewrites]
        [('log(1 + exp(x))', 'softplus(x)')]
        """
        return self.with_jaxpr(*rewrite.stabilize(self.jaxpr, self.inputs))

    def gradient(self, wrt: str | Sequence[str] | None = None) -> "Graph":
        """Returns the graph of the derivative of a scalar output with respect to some inputs.

        Its output is ``{path: derivative}``. It is a graph like any other: draw, simplify and compile it, or take
        the gradient of a gradient (of one scalar component: see ``select``).

        Args:
            wrt: path patterns of inputs, as ``"model.*"``; by default every float input but a module's buffers.

        Raises:
            InputError: when the output is not a scalar, a pattern matches nothing, or an input is not a float.
        """
        return self.vjp(wrt, scalar=True)

    def vjp(self, wrt: str | Sequence[str] | None = None, *, scalar: bool = False) -> "Graph":
        """The vector-Jacobian product: like ``gradient``, with one more argument, the cotangent of the output."""
        chosen = self._wrt(wrt)
        outs = [v.aval for v in self.jaxpr.jaxpr.outvars]
        if scalar and not (len(outs) == 1 and outs[0].shape == () and jnp.issubdtype(outs[0].dtype, jnp.floating)):
            shapes = ", ".join(f"{p}: {a.dtype}{list(a.shape)}" for p, a in zip(self.outputs, outs, strict=True))
            raise InputError(f"{self.name}: a gradient needs one scalar float output, and this graph has {shapes}")

        def derivative(*args: Any) -> dict[str, Any]:
            args, cotangent = (args, jnp.ones((), outs[0].dtype)) if scalar else (args[:-1], args[-1])
            leaves = jax.tree.leaves(args)

            def of_chosen(values: dict[str, Any]) -> Any:
                every = [values.get(path, leaf) for path, leaf in zip(self.inputs, leaves, strict=True)]
                found = jaxprs.run(self.jaxpr, every)
                return found[0] if scalar else jax.tree.unflatten(self.out_tree, found)

            given = {p: leaf for p, leaf in zip(self.inputs, leaves, strict=True) if p in chosen}
            return jax.vjp(of_chosen, given)[1](cotangent)[0]

        structs = self.structs()
        if not scalar:
            structs = (
                *structs,
                jax.tree.unflatten(self.out_tree, [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in outs]),
            )
        closed, shape = jaxprs.trace(derivative, *structs)
        return Graph(
            f"gradient of {self.name}",
            closed,
            self.arguments if scalar else (*self.arguments, "cotangent"),
            self.inputs if scalar else (*self.inputs, *_paths("cotangent", structs[-1])),
            tuple(_paths("", shape)),
            jax.tree.structure(structs),
            jax.tree.structure(shape),
        )

    def select(self, output: str) -> "Graph":
        """Returns the graph of one of the outputs alone."""
        if output not in self.outputs:
            raise InputError(f"{self.name}: no output {output!r}: {did_you_mean(output, self.outputs)}")
        index = self.outputs.index(output)
        structs = self.structs()
        closed, shape = jaxprs.trace(lambda *args: jaxprs.run(self.jaxpr, jax.tree.leaves(args))[index], *structs)
        return dataclasses.replace(
            self, jaxpr=closed, outputs=(output,), out_tree=jax.tree.structure(shape), name=f"{self.name}: {output}"
        )

    # -- looking at it -------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        operations = sum(1 for node in self.block.walk() if not node.is_source)
        return f"Graph({self.name}, {len(self.inputs)} inputs, {operations} operations, {self.block.work})"

    def _repr_html_(self) -> str:
        return notebook(self.picture)

    @functools.cached_property
    def block(self) -> Block:
        """Inputs, operations and outputs as plain values, calls seen through; see ``nodes.Block``."""
        return block_of(self.jaxpr, self.inputs, parameter_inputs(self.structs()))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The inputs and operations in the order in which they run; a loop holds its own in ``inner``."""
        return (*self.block.inputs, *self.block.nodes)

    def text(self) -> str:
        """Returns a table with a line for each node: shapes, modules, costs, places in the source."""
        return text(self.name, self.block, self.outputs)

    def dot(self, level: int | None = None) -> str:
        """Returns the graph in Graphviz' language; ``level`` as for ``svg``."""
        return dot(self.picture(level))

    def mermaid(self, level: int | None = None) -> str:
        """Returns the graph as a Mermaid flowchart; ``level`` as for ``svg``."""
        return mermaid(self.picture(level))

    def svg(self, level: int | None = None) -> str:
        """Returns a picture of the graph, as the text of an SVG file.

        Args:
            level: how deep modules, loops and branches are open: 0 draws one box for each outermost module, 1 its
                children, ...; None every operation.

        Raises:
            InputError: for a level that is not a natural number.
        """
        return svg(self.picture(level))

    def picture(self, level: int | None = None) -> Picture:
        """Returns the boxes and arrows that ``svg``, ``dot`` and ``mermaid`` draw."""
        types = [type_text(jaxprs.shape_of(var.aval), dtype_of(var.aval)) for var in self.jaxpr.jaxpr.outvars]
        return picture(self.name, self.block, list(zip(self.outputs, types, strict=True)), level)

    def evaluate(
        self, *args: Any, watch: debug.Watch = (), check: debug.Check | None = None, limit: int = 1000
    ) -> debug.Evaluation:
        """Runs the graph node by node, into calls, loops and branches.

        Args:
            args: as for the function that the graph was made of.
            watch: the nodes to keep values of: their numbers; names of operations (``tanh``); input paths; paths of
                modules (``Tagger.rnn``, or ``rnn`` alone), with shell wildcards (``*.dot_general``).
            check: stop at the first ``"nan"``, ``"inf"``, or either (``"finite"``).
            limit: the number of values to keep, the last ones.

        Raises:
            NonFiniteError: for what ``check`` looks for: which node, where in the source, and what it was given.
            InputError: for other arguments than the graph's, a pattern that matches nothing, or an unknown check.

        >>> loss = graph(lambda x: jnp.log(x - 1.0).sum(), "f32[3]")
        >>> print(loss.evaluate(jnp.array([2.0, 3.0, 4.0]), watch=["sub", "log"]))
        1 sub 1: f32[3] from 1 to 3
        2 log: f32[3] from 0 to 1.09861
        >>> loss.evaluate(jnp.array([2.0, 0.0, 4.0]), check="nan")
        Traceback (most recent call last):
        ...
        spago_jax.compiler.graph.debug.NonFiniteError: <lambda>: node 2, log, made 1 NaN of 3 values at ...
          it was given node 1 (sub 1): f32[3] from -1 to 3
        """
        outputs, seen = debug.evaluate(self.name, self.block, self.checked(args), watch, check, limit)
        return debug.Evaluation(jax.tree.unflatten(self.out_tree, outputs), seen)

    def warnings(self) -> tuple[GraphWarning, ...]:
        """Likely mistakes: unused inputs, blocked derivatives, large constants, stray float64."""
        return likely_mistakes(self.jaxpr, self.inputs, self._wrt(None))

    def fingerprint(self) -> str:
        """Returns a hash of what is computed: the same for the same computation, in every process."""
        return fingerprint(self.jaxpr)

    def _wrt(self, wrt: str | Sequence[str] | None) -> set[str]:
        floats = {
            path
            for path, var in zip(self.inputs, self.jaxpr.jaxpr.invars, strict=True)
            if jnp.issubdtype(var.aval.dtype, jnp.inexact)
        }
        if wrt is None:
            pairs = zip(self.arguments, self.structs(), strict=True)
            return floats & {_join(where, path) for where, argument in pairs for path in trainable(argument)}
        chosen: set[str] = set()
        for pattern in (wrt,) if isinstance(wrt, str) else wrt:
            found = {path for path in self.inputs if matches(path, pattern)}
            if not found:
                raise InputError(f"{self.name}: wrt {pattern!r} is not an input: {did_you_mean(pattern, self.inputs)}")
            if bad := sorted(found - floats):
                raise InputError(f"{self.name}: cannot differentiate with respect to {bad[0]}: it is not a float")
            chosen |= found
        return chosen


def graph(function: Callable[..., Any], *args: Any, name: str | None = None) -> Graph:
    """Returns the Graph of a pure function, a Module or a Program.

    Args:
        function: pure; its arguments are pytrees of arrays, Modules among them.
        args: one for each argument: arrays, ``ShapeDtypeStruct``, a ``Spec``, or its text ``"f32[8, 3]"``. Of a
            Program, those of its first signature when none are given.
        name: shown in pictures and errors.

    Raises:
        InputError: for a spec with a dimension that has no size, or a Program that has no signature yet.

    >>> import spago_jax as sj
    >>> cube = sj.compile(lambda x, y: x**3 * y, "f32[]", "f32[]", name="cube")
    >>> slope = graph(cube).gradient("x").compile()
    >>> slope(jnp.float32(2.0), jnp.float32(1.0))
    {'x': Array(12., dtype=float32)}
    """
    if isinstance(function, Program):
        args, name, function = args or function.arguments(), name or function.name, function.function
    return Graph.of(function, *args, name=name)


def _struct(arg: object, where: str) -> Any:
    if isinstance(arg, str):
        arg = spec(where, arg)
    if isinstance(arg, Spec):
        return arg.struct()
    return jax.tree.map(struct_of, arg)


def _argument_names(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Returns the names of the first ``count`` arguments; where the signature has none left, ``argument3``."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # some builtins have none
        parameters = ()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(named[i] if i < len(named) else f"argument{i}" for i in range(count))


def _join(where: str, path: str) -> str:
    return f"{where}.{path}" if path and where else (where or path)


def _paths(where: str, tree: PyTree) -> list[str]:
    return [_join(where, path) for path in flat(tree)]
