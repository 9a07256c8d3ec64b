# SPDX-License-Identifier: BSD-2-Clause
"""Tape: a list of what ran, in order and by time step; turns it into a Graph or a Program, and draws it."""

from collections.abc import Sequence
from typing import Any, Self

from spago_jax.compiler.graph import Graph
from spago_jax.compiler.program import Program
from spago_jax.drawing.colours import TIME_STEPS
from spago_jax.eager.var import Var, current
from spago_jax.errors import InputError


class Tape:
    """Records every Var that is made while it is open, with its time step.

    Attributes:
        time_step: the current one, from 0 (spaGO's ``TimeStep``).
        variables: every Var that was made, in order.

    >>> with Tape() as tape:
    ...     x, w = Var(-0.8, name="x"), Var(0.4, name="w")
    ...     y = w * x
    >>> program = tape.program(y)
    >>> float(program(x=2.0, w=0.5))
    1.0
    """

    def __init__(self) -> None:
        self.time_step = 0
        self.variables: list[Var] = []

    def __enter__(self) -> Self:
        current.tapes.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        current.tapes.remove(self)

    def note(self, var: Var) -> None:
        """Adds a Var; Vars do this themselves."""
        self.variables.append(var)

    def next_time_step(self) -> int:
        """Begins the next time step, and says which it is (spaGO's ``IncTimeStep``)."""
        self.time_step += 1
        return self.time_step

    def inputs(self) -> dict[str, Var]:
        """The named variables that were not computed, by name.

        Raises:
            InputError: for two of one name.
        """
        named: dict[str, Var] = {}
        for var in self.variables:
            if var.name is None or var._record is not None:
                continue
            if var.name in named:
                raise InputError(f"two variables are named {var.name!r}: a program needs a name of its own for each")
            named[var.name] = var
        return named

    def function(self, *outputs: Var) -> Any:
        """What ran, as a pure function of the named variables; all others keep the values that they had."""
        names = self.inputs()
        chosen = self._outputs(outputs)
        records, seen = [], set()
        for var in self.variables:
            if var._record is not None and id(var._record) not in seen:
                seen.add(id(var._record))
                records.append(var._record)
        for output in chosen:
            if output._record is not None and id(output._record) not in seen:
                raise InputError(f"{output!r} was not computed while this tape was open")

        def replay(**given: Any) -> Any:
            values = {id(var): given.get(name, var.value) for name, var in names.items()}
            made: dict[int, list[Any]] = {}
            for record in records:
                arguments = []
                for var, held in zip(record.inputs, record.values, strict=True):
                    if var is not None and var._record is not None and id(var._record) in made:
                        arguments.append(made[id(var._record)][var._which])
                    else:
                        arguments.append(held if var is None else values.get(id(var), held))
                result = record.operation.function(*arguments)
                made[id(record)] = list(result) if isinstance(result, tuple | list) else [result]
            found = [
                values.get(id(out), out.value) if out._record is None else made[id(out._record)][out._which]
                for out in chosen
            ]
            return found[0] if len(found) == 1 else tuple(found)

        return replay, names

    def graph(self, *outputs: Var, name: str = "tape") -> Graph:
        """What ran, as a Graph with one argument for each named variable.

        Args:
            outputs: what it computes; by default what was computed and not used again.
            name: of the graph.
        """
        replay, names = self.function(*outputs)
        order = list(names)

        def by_position(*arrays: Any) -> Any:
            return replay(**dict(zip(order, arrays, strict=True)))

        return Graph.of(by_position, *[var.value for var in names.values()], name=name, arguments=order)

    def program(self, *outputs: Var, name: str = "tape", **options: Any) -> Program:
        """What ran, compiled: define-by-run becomes define-and-run.

        It computes what the Python code computed this time: a branch that was not taken is not in it.

        Args:
            outputs: what it computes; by default what was computed and not used again.
            name: of the Program.
            options: as for ``sj.compile``.
        """
        return self.graph(*outputs, name=name).compile(**options)

    def dot(self) -> str:
        """What ran in the DOT language, coloured by time step."""
        return dot(self.variables)

    def _outputs(self, outputs: Sequence[Var]) -> list[Var]:
        if outputs:
            return list(outputs)
        used = {id(v) for var in self.variables if var._record for v in var._record.inputs if v is not None}
        found = [var for var in self.variables if var._record is not None and id(var) not in used]
        if not found:
            raise InputError("nothing was computed while this tape was open")
        return found


def dot(variables: Sequence[Var], name: str = "tape") -> str:
    """The Vars and what they were computed from; variables are boxes, operations ellipses.

    Source: spaGO's ``encoding/dot``, which colours by time step too.

    >>> a = Var(2.0, name="a")
    >>> print(dot([a, a + a]))
    digraph "tape" {
      rankdir=BT;
      node [style=filled, fontname="Helvetica"];
      n0 [label="a\\nfloat32[]", shape=box, fillcolor="#e8f1fb"];
      n1 [label="add\\nfloat32[]", shape=ellipse, fillcolor="#e8f1fb"];
      n0 -> n1;
      n0 -> n1;
    }
    """
    order: dict[int, Var] = {}
    stack = [(var, False) for var in reversed(variables)]
    while stack:
        var, done = stack.pop()
        if done:
            order.setdefault(id(var), var)
        elif id(var) not in order:
            stack.append((var, True))
            if var._record is not None:
                stack.extend((v, False) for v in reversed(var._record.inputs) if v is not None)
    numbers = {key: number for number, key in enumerate(order)}
    lines = [f"digraph {_quoted(name)} {{", "  rankdir=BT;", '  node [style=filled, fontname="Helvetica"];']
    for key, var in order.items():
        title = " ".join(filter(None, (var.name, var.operation))) or "constant"
        label = _quoted(f"{title}\n{var.dtype.name}{list(var.shape)}")
        shape = "box" if var._record is None else "ellipse"
        step = var.time_step if var._record is None else var._record.time_step
        colour = TIME_STEPS[step % len(TIME_STEPS)]
        lines.append(f'  n{numbers[key]} [label={label}, shape={shape}, fillcolor="{colour}"];')
    for key, var in order.items():
        for given in var._record.inputs if var._record is not None else ():
            if given is not None:
                lines.append(f"  n{numbers[id(given)]} -> n{numbers[key]};")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
