# SPDX-License-Identifier: BSD-2-Clause
"""The command-line application that each verb adds itself to."""

import typer

app = typer.Typer(
    name="spago-jax",
    help="Train, evaluate and use neural models, for language first, from YAML configs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
