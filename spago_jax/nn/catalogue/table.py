# SPDX-License-Identifier: BSD-2-Clause
"""The catalogue as text: for the terminal, for one layer, and as the page ``docs/layers.md``."""

import inspect
from collections.abc import Iterable

from spago_jax.core import summary
from spago_jax.core.show import text_table
from spago_jax.nn.catalogue.entry import Entry


def table(entries: Iterable[Entry]) -> str:
    """One line a layer: name, class, equation, where it comes from.

    >>> from spago_jax.nn.catalogue import find
    >>> print(table([find("linear")]))
    name    class   equation      paper  spaGO
    linear  Linear  y = x W' + b         nn/linear
    """
    rows = [(e.name, e.title, e.equation, e.paper, e.spago) for e in entries]
    return text_table(("name", "class", "equation", "paper", "spaGO"), rows, align="l")


def details(entry: Entry) -> str:
    """All of one layer: its docstring, what it takes, and the parameters of a small one."""
    model = entry.model()
    lines = [
        f"{entry.name}: {type(model).__module__}.{entry.title}",
        "",
        inspect.getdoc(type(model)) or "",
        "",
        f"takes     {', '.join(entry.inputs)}" + (", lengths=i32[batch]" if entry.lengths else ""),
        f"paper     {entry.paper or '-'}",
        f"spaGO     {entry.spago or '-'}",
        "",
        "The parameters of a small one:",
        summary(model),
    ]
    return "\n".join(lines)


def page(entries: Iterable[Entry]) -> str:
    """The page of all layers in Markdown."""
    lines = [
        "# Layers",
        "",
        "Made by `spago-jax layers --format markdown`; one layer at length: `spago-jax layers NAME`. The parameters",
        "are those of the small one that the conformance suite runs, with the inputs in the third column. `s` is the",
        "logistic function, a prime transposes, and products of vectors are elementwise.",
        "",
        "| layer | class | inputs | equation | parameters | paper | spaGO |",
        "|---|---|---|---|---|---|---|",
    ]
    for e in entries:
        takes = ", ".join(f"`{text}`" for text in e.inputs) + (", lengths" if e.lengths else "")
        equation = e.equation.replace("|", "\\|")
        lines.append(f"| {e.name} | `{e.title}` | {takes} | {equation} | {e.parameters():,} | {e.paper} | {e.spago} |")
    return "\n".join(lines) + "\n"
