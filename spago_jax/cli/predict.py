# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax predict`: streams answers, as they come, in three formats."""

import enum
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.train.task import Task


class Format(enum.StrEnum):
    """How answers are written."""

    text = "text"
    json = "json"
    conll = "conll"


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="What the task lets you set, such as temperature=0.5."),
    ] = None,
    input: Annotated[str, typer.Option(help="A file, or - for standard input.")] = "-",
    format: Annotated[Format, typer.Option(help="How answers are written.")] = Format.text,
    color: Annotated[
        bool | None,
        typer.Option("--color/--no-color", help="Colors in text; by default on a terminal, and for source."),
    ] = None,
) -> None:
    """Uses a trained run: tags sentences or source code, classifies texts, writes on from a prompt.

    Taggers read one sentence per line, or CoNLL columns where the file ends in .conll, .conllu, .tsv or .bio; a run
    trained on Python reads source code. Classifiers read one text per line, image classifiers an IDX or .npy file.
    Language models read one prompt per line and take characters=, temperature=, seed=, top_k= and top_p=.
    """
    from spago_jax.cli.colours import Painter
    from spago_jax.tasks.input_file import InputFile
    from spago_jax.tasks.load import open_run, predictor

    source = InputFile(input)
    trained = open_run(run)
    chosen = _options(trained.task, options or [])
    for stream in (sys.stdin, sys.stdout):  # UTF-8 whatever the locale says: that is what models were trained on
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="strict")
    # A source text is shown in its colors wherever it goes; other answers only where colors are seen.
    whole = trained.task.processor.whole
    colored = color if color is not None else (whole and not os.environ.get("NO_COLOR")) or wants_color()
    painter = Painter(trained.task.labels()) if colored and format is Format.text else None
    pieces = predictor(trained.task, trained.model).written(
        trained.task.examples(source), format.value, painter, at_once=1 if source.interactive else None, **chosen
    )
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    if painter is not None and whole:
        sys.stdout.write(painter.key())


def _options(task: "Task", texts: list[str]) -> dict[str, Any]:
    """The settings of a prediction, checked against what the task declares."""
    from spago_jax.train.config import validate
    from spago_jax.train.yaml_source import read

    source = read({}, texts)
    known = list(task.Options.model_fields)
    if source.tree and not known:
        raise InputError(f"{task.name} has nothing to set when predicting; got {', '.join(source.tree)}")
    return validate(task.Options, source.tree, source, ()).model_dump()


def wants_color() -> bool:
    """Whether standard output shows colors; NO_COLOR and FORCE_COLOR decide where they are set."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
