# SPDX-License-Identifier: BSD-2-Clause
"""What the run is made of: parameters, compiled programs, config, commands, versions."""

from collections.abc import Mapping, Sequence
from typing import Any

from spago_jax.core.show import amount, count, finite
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.source import RunData
from spago_jax.report.table import Cell, Column, bar, table

FEW_ROWS = 14

Row = Mapping[str, Any]


def parameters_section(rows: Sequence[Row]) -> Html:
    """The arrays of the model by module, with totals."""
    if not rows:
        return Html()
    groups: dict[str, list[Row]] = {}
    for row in rows:
        module, dot, _ = str(row["path"]).partition(".")
        groups.setdefault(module if dot else "", []).append(row)
    total = _sum(rows, "count")
    buffers = _sum([r for r in rows if r.get("role") == "buffer"], "count")
    size = amount(_sum(rows, "bytes"), "B")
    note = f"{len(rows)} arrays, {count(total)} numbers, {size}; {count(total - buffers)} trainable."
    opened = len(rows) <= FEW_ROWS
    return join(
        el("p", note, class_="note"),
        [_group(name, part, total, opened) for name, part in groups.items()],
    )


def _sum(rows: Sequence[Row], key: str) -> float:
    return sum(finite(row.get(key)) or 0.0 for row in rows)


def _group(name: str, rows: Sequence[Row], total: float, opened: bool) -> Html:
    numbers = _sum(rows, "count")
    share = numbers / total if total else 0.0
    columns = [
        Column("path"),
        Column("shape"),
        Column("dtype"),
        Column("role"),
        Column("numbers", number=True),
        Column("bytes", number=True),
    ]
    lines = [
        (
            el("code", row["path"]),
            el("code", f"[{', '.join(map(str, row.get('shape', ())))}]"),
            row.get("dtype", ""),
            row.get("role", ""),
            Cell(count(row.get("count")), finite(row.get("count"))),
            Cell(count(row.get("bytes")), finite(row.get("bytes"))),
        )
        for row in rows
    ]
    summary = el(
        "summary",
        el("code", name or "(the model itself)"),
        el("span", f"{len(rows)} arrays" if len(rows) > 1 else "1 array", class_="note"),
        bar(share, f"{count(numbers)} ({100 * share:.1f}%)").shown,
    )
    return el("details", summary, table(columns, lines, sortable=True), class_="group", open=opened)


def programs_section(programs: Row) -> Html:
    """The compiled programs: what each signature costs, and why it was compiled."""
    listed = programs.get("programs") or ()
    if not programs:
        return Html()
    before, after = programs.get("compilations_in_warm_up"), programs.get("compilations_after_warm_up")
    note = f"Programs compiled in warm-up: {count(before) or 'n/a'}; after it: {count(after) or 'n/a'}."
    if finite(after):
        note += " Compilations after warm-up cost time: look for inputs of a new shape."
    return join(el("p", note, class_="note"), [_program(program) for program in listed])


def _program(program: Row) -> Html:
    columns = [
        Column("inputs"),
        Column("operations", number=True, hint="floating point operations of one call, XLA's estimate"),
        Column("memory moved", number=True, hint="bytes read and written by one call, XLA's estimate"),
        Column("peak", number=True, hint="memory held at most"),
        Column("arguments", number=True),
        Column("temporary", number=True),
        Column("compiled in", number=True),
        Column("why"),
    ]

    def line(s: Row) -> tuple[Any, ...]:
        amounts = [("flops", "FLOP"), *[(f"{k}_bytes", "B") for k in ("", "peak", "argument", "temporary")]]
        amounts[1] = ("bytes_accessed", "B")
        seconds = finite(s.get("compile_seconds"))
        return (
            el("code", s.get("inputs", ""), class_="inputs"),
            *[Cell(amount(s.get(key), unit), finite(s.get(key))) for key, unit in amounts],
            Cell("" if seconds is None else f"{seconds:.2f} s", seconds),
            s.get("reason", ""),
        )

    signatures = program.get("signatures") or ()
    traces = program.get("traces")
    heading = el(
        "h3", el("code", program.get("name", "")), el("span", f" traces: {count(traces) or 'n/a'}", class_="note")
    )
    return join(heading, table(columns, [line(s) for s in signatures], sortable=True, class_="programs"))


def config_section(run: RunData) -> Html:
    """The resolved config as it was written."""
    return el("pre", run.config_text, class_="code") if run.config_text.strip() else Html()


def about_section(run: RunData) -> Html:
    """The commands that ran, the versions, the machine."""
    about = run.about
    parts = []
    commands = [c for c in about.get("commands") or () if c]
    if commands:
        parts.append(join(el("h3", "Commands"), el("pre", "\n".join(map(str, commands)), class_="code")))
    tables = [
        el("div", el("h3", name.capitalize()), _pairs(about[name]))
        for name in ("versions", "machine")
        if isinstance(about.get(name), dict)
    ]
    if tables:
        parts.append(el("div", tables, class_="two"))
    return join(parts)


def _pairs(values: Row) -> Html:
    rows = [el("tr", el("th", key, scope="row"), el("td", value)) for key, value in values.items()]
    return el("table", el("tbody", rows), class_="plain")
