# SPDX-License-Identifier: BSD-2-Clause
"""A picture of what ran, in the DOT language: one colour for each time step."""

from collections.abc import Sequence

from spago_jax.drawing.colours import TIME_STEPS
from spago_jax.eager.var import Var


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
