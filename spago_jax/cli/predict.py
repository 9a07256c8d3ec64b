# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax predict`: streams answers, as they come, in three formats."""

import enum
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.main import app


class Format(enum.StrEnum):
    """How answers are written."""

    text = "text"
    json = "json"
    conll = "conll"


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    input: Annotated[str, typer.Option(help="A file, or - for standard input.")] = "-",
    format: Annotated[Format, typer.Option(help="How answers are written.")] = Format.text,
    color: Annotated[
        bool | None,
        typer.Option("--color/--no-color", help="Colours in text; by default on a terminal, and for source."),
    ] = None,
    characters: Annotated[int, typer.Option(min=1, help="Language model: how many characters to write.")] = 400,
    temperature: Annotated[float, typer.Option(help="Language model: 0 the most probable, 1 as learned.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Language model: seed of the drawing.")] = 0,
) -> None:
    """Uses a trained run: tags sentences or source code, classifies texts, writes on from a prompt.

    Taggers read one sentence a line, or CoNLL columns where the file ends in .conll, .conllu, .tsv or .bio; a run
    trained on Python reads source code. Classifiers read one text a line, image classifiers an IDX or .npy file.
    Language models read one prompt a line.
    """
    from spago_jax.cli.answers import answers
    from spago_jax.errors import InputError
    from spago_jax.tasks.run import open_run

    if input != "-" and not Path(input).is_file():
        raise InputError("no such file", path=input)
    trained = open_run(run)
    for stream in (sys.stdin, sys.stdout):  # UTF-8 whatever the locale says: that is what models were trained on
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="strict")
    # A source text is shown in its colours wherever it goes; other answers only where colours are seen.
    source = trained.experiment.data.kind == "python_source" and not os.environ.get("NO_COLOR")
    coloured = color if color is not None else source or wants_colour()
    options = {"characters": characters, "temperature": temperature, "seed": seed}
    for piece in answers(trained, input, format.value, coloured, options):
        sys.stdout.write(piece)
        sys.stdout.flush()


def wants_colour() -> bool:
    """Whether standard output shows colours; NO_COLOR and FORCE_COLOR decide where they are set."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
