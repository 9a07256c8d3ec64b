# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax layers`."""

from enum import StrEnum
from typing import Annotated

import typer

from spago_jax.cli.app import app


class Form(StrEnum):
    """How the list is written."""

    text = "text"
    markdown = "markdown"


@app.command()
def layers(
    name: Annotated[str | None, typer.Argument(help="One layer, at length.")] = None,
    format: Annotated[Form, typer.Option(help="How the list is written.")] = Form.text,
) -> None:
    """Lists every layer with its equation, paper and place in spaGO; or shows one with its parameters."""
    from spago_jax.nn.catalogue import CATALOGUE, find
    from spago_jax.nn.catalogue.table import details, page, table

    if name is not None:
        print(details(find(name)))
    elif format is Form.markdown:
        print(page(CATALOGUE.values()), end="")
    else:
        print(table(CATALOGUE.values()))
