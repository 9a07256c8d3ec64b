# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax tasks`."""

from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def tasks(name: Annotated[str | None, typer.Argument(help="One task, with its options.")] = None) -> None:
    """Lists the tasks: which of them can be trained, and which answer with a pre-trained model; or shows one."""
    from spago_jax.tasks.pretrained.registry import DESCRIPTIONS, PRETRAINED
    from spago_jax.tasks.registry import TASKS

    if name is None:
        for each in sorted({*PRETRAINED.names(), *TASKS.names()}):
            uses = [use for use, known in (("train", TASKS), ("run", PRETRAINED)) if each in known.names()]
            print(f"{each:26}{', '.join(uses):12}{DESCRIPTIONS.get(each, '')}".rstrip())
        return
    if name in PRETRAINED.names():
        found = PRETRAINED.find(name)
        print(f"{name}: {DESCRIPTIONS[name]}\n\noptions of `spago-jax run {name} MODEL`:")
        for section in (found.Options, found.Settings):
            for key, field in section.model_fields.items():
                default = "" if field.is_required() or field.default in (None, ()) else f" ({field.default})"
                print(f"  --{key.replace('_', '-'):20}{field.description}{default}")
    else:
        print(f"{name}: {TASKS.find(name).__doc__}")
