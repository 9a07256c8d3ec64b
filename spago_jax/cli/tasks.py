# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax tasks`."""

from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def tasks(name: Annotated[str | None, typer.Argument(help="One task, with its options.")] = None) -> None:
    """Lists the tasks: which of them can be trained, and which answer with a pre-trained model; or shows one."""
    from spago_jax.cli.task_options import ALIASES
    from spago_jax.tasks.pretrained.registry import DESCRIPTIONS, PRETRAINED, pretrained_task
    from spago_jax.tasks.registry import TASKS

    if name is None:
        names = sorted({*PRETRAINED.names(), *TASKS.names()})
        width = max(map(len, names)) + 2
        for each in names:
            uses = [use for use, known in (("train", TASKS), ("run", PRETRAINED)) if each in known.names()]
            print(f"{each:{width}}{', '.join(uses):12}{DESCRIPTIONS.get(each, '')}".rstrip())
        return
    if name in TASKS.names() and name not in PRETRAINED.names():
        print(f"{name}: {TASKS.find(name).__doc__}\n\nIt is trained: `spago-jax configs {name}` lists its settings.")
        return
    found = pretrained_task(name)
    sections = (found.Options, found.Settings)
    keys = [key for section in sections for key in section.model_fields]
    none = "" if keys else " none"
    print(f"{name}: {DESCRIPTIONS[name]}\n\noptions of `spago-jax run {name} MODEL [TEXT...]`:{none}")
    width = max(map(len, keys), default=0) + 2
    for section in sections:
        for key, field in section.model_fields.items():
            default = "" if field.is_required() or field.default in (None, ()) else f" ({_text(field.default)})"
            others = ", ".join(f"--{alias.replace('_', '-')}" for alias, own in ALIASES.items() if own == key)
            also = f"; also {others}" if others else ""
            print(f"  --{key.replace('_', '-'):{width}}{field.description}{default}{also}")
    if name in TASKS.names():
        print(f"\nIt can be trained too: `spago-jax configs {name}` lists the settings.")


def _text(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
