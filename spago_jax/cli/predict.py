# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax predict`: streams answers, as they come, in three formats."""

import enum
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class InputFormat(enum.StrEnum):
    """What is read."""

    lines = "lines"
    tokens = "tokens"
    conll = "conll"
    conllu = "conllu"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    fasttext = "fasttext"
    label_text = "label-text"


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a file of Flair's.", show_default=False)],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="What the task lets you set, such as temperature=0.5."),
    ] = None,
    input: Annotated[str, typer.Option(help="A file, or - for standard input.")] = "-",
    input_format: Annotated[
        InputFormat | None,
        typer.Option(help="How the input is written; by the end of its name by default, else one text per line."),
    ] = None,
    format: Annotated[Format, typer.Option(help="How answers are written.")] = Format.text,
    output: Annotated[Path | None, typer.Option(help="A file to write; standard output by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Inputs that are answered together, at most.")] = None,
    top_k: Annotated[int | None, typer.Option(help="As top_k=: how many classes are listed.")] = None,
    threshold: Annotated[float | None, typer.Option(help="As threshold=: less probable answers are left out.")] = None,
    color: Annotated[
        bool | None,
        typer.Option("--color/--no-color", help="Colors in text; by default on a terminal, and for source."),
    ] = None,
) -> None:
    """Uses a trained run: tags sentences or source code, classifies texts, writes on from a prompt.

    There is one answer per input line, blank ones too, in their order. Taggers read one sentence per line, its tokens
    apart by blanks (--input-format tokens), or CoNLL columns where the file ends in .conll, .conllu, .tsv or .bio,
    which --format conll writes again with the tags; a run trained on Python reads source code. Classifiers read one
    text per line, or the records of .csv, .tsv, .json and .jsonl files by the columns of the run's config; image
    classifiers an IDX or .npy file. Language models read one prompt per line and take characters=, temperature=,
    seed=, top_k= and top_p=.
    """
    from spago_jax.cli.colours import Painter
    from spago_jax.tasks.arriving import Arriving
    from spago_jax.tasks.input_file import InputFile
    from spago_jax.tasks.load import open_model, predictor

    source = InputFile(input, None if input_format is None else input_format.value)
    task, model = open_model(run)
    known = task.input_formats
    if input_format is not None and input_format.value not in known:
        listed = f"it reads {', '.join(known)}" if known else "the end of a file's name says what it is"
        raise InputError(f"--input-format {input_format.value}: not read by {task.name}; {listed}")
    named = {"top_k": top_k, "threshold": threshold}
    given = [*(options or ()), *(f"{key}={value}" for key, value in named.items() if value is not None)]
    chosen = _options(task, given)
    for stream in (sys.stdin, sys.stdout):  # UTF-8 whatever the locale says: that is what models were trained on
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="strict")
    # A source text is shown in its colors wherever it goes; other answers only where colors are seen.
    whole = task.processor.whole
    colored = color if color is not None else (whole and not os.environ.get("NO_COLOR")) or wants_color()
    painter = Painter(task.labels()) if colored and format is Format.text and output is None else None
    examples: Any = task.examples(source)
    if source.is_stdin and not source.interactive:
        examples = Arriving(examples)
    at_once = 1 if source.interactive else batch_size
    pieces = predictor(task, model).written(examples, format.value, painter, at_once=at_once, **chosen)
    with opened(output) as write:
        for piece in pieces:
            write(piece)
        if painter is not None and whole:
            write(painter.key())


@contextmanager
def opened(output: Path | None) -> Iterator[Callable[[str], object]]:
    """Gives a function that writes a piece: to standard output at once, or to a file that appears when all is done."""
    if output is None:

        def show(piece: str) -> None:
            sys.stdout.write(piece)
            sys.stdout.flush()

        yield show
        return
    from spago_jax.data.files import new_file

    with new_file(output) as file:
        yield lambda piece: file.write(piece.encode("utf-8"))


def _options(task: "Task", texts: list[str]) -> dict[str, Any]:
    """The settings of a prediction, checked against what the task declares."""
    from spago_jax.train.config import validate
    from spago_jax.train.yaml_source import read

    source = read({}, texts)
    known = list(task.Options.model_fields)
    if source.tree and not known:
        raise InputError(f"{task.name} has nothing to set when predicting; got {', '.join(source.tree)}")
    return validate(task.Options, source.tree, source, ()).model_dump(exclude_none=True)


def wants_color() -> bool:
    """Whether standard output shows colors; NO_COLOR and FORCE_COLOR decide where they are set."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
