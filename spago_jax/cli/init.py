# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax init`: a working experiment to begin with."""

from pathlib import Path
from shlex import join, quote
from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def init(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What is learned, such as token-classification.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.", show_default=False)],
    kind: Annotated[
        str | None,
        typer.Option(help="token-classification: entities or pos; image-classification: shapes or digits."),
    ] = None,
) -> None:
    """Writes a working experiment into a new folder: a commented config and a little data to replace with your own."""
    from spago_jax.tasks.registry import TASKS
    from spago_jax.tasks.templates import find_template, write_template

    TASKS.find(task)
    template = find_template(task, kind)
    written = write_template(template, folder)
    print(f"wrote {folder}: {', '.join(path.name for path in written)}")
    run = folder / "run"
    print(f"train:    {join(['spago-jax', 'train', str(folder / 'config.yaml'), '--out', str(run)])}")
    print(f"evaluate: {join(['spago-jax', 'evaluate', str(run)])}")
    names = {path.name for path in written}
    example = [str(folder / word) if word in names else word for word in template.example]
    predict = join(["spago-jax", "predict", str(run), *example])
    if template.standard_input:
        print(f"predict:  echo {quote(template.standard_input)} | {predict}")
    elif template.example:
        print(f"predict:  {predict}")
    print(f"all keys: spago-jax configs {task}")
