# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax doctor`."""

from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def doctor(
    peaks: Annotated[bool, typer.Option(help="Measure what the machine can do at most (a few seconds).")] = True,
) -> None:
    """Shows devices, threads, processor flags, cache and measured peaks; says what is slow here and why."""
    from spago_jax.tasks.doctor import examine

    for line in examine(peaks=peaks):
        print(line)
