# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax run`: answers by a pre-trained model."""

import enum
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from spago_jax.cli.app import app
from spago_jax.errors import InputError


class Format(enum.StrEnum):
    """How answers are written."""

    text = "text"
    json = "json"
    jsonl = "jsonl"


class Dtype(enum.StrEnum):
    """What is computed in."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"


class Download(enum.StrEnum):
    """Whether the network may be used."""

    never = "never"
    missing = "missing"
    always = "always"


class _Command(TyperCommand):
    """Keeps what stands after ``--``, which would otherwise be mixed with unknown options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        before, after = args, []
        if "--" in args:
            before, after = args[: args.index("--")], args[args.index("--") + 1 :]
        found = super().parse_args(ctx, before)
        ctx.meta[_AFTER] = after
        return found


_AFTER = "spago_jax.after"


@app.command("run", cls=_Command, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_task(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task; `spago-jax tasks` lists them.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder or a name in Hugging Face's layout.")],
    input: Annotated[
        str | None,
        typer.Option(help="A file, or - for standard input: one text per line, or records where it ends in .jsonl."),
    ] = None,
    format: Annotated[Format, typer.Option(help="How answers are written.")] = Format.text,
    output: Annotated[Path | None, typer.Option(help="A file to write; standard output by default.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="What is computed in.")] = Dtype.float32,
    download: Annotated[Download, typer.Option(help="Whether the network may be used.")] = Download.never,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Inputs that are answered together, at most.")] = None,
) -> None:
    """Answers texts with a pre-trained model: spago-jax run TASK MODEL [TEXT...] [--OPTION VALUE].

    `spago-jax tasks TASK` lists the options of a task; they stand after MODEL. One that takes a list is given once for
    each item: --labels politics --labels sport. One that asks yes or no is a word by itself: --multi-label. What begins
    with a hyphen and is a text stands after --. In a .jsonl file each line is an object with the task's inputs:
    {"text": ...}, {"question": ..., "passage": ...}, {"text": ..., "labels": [...]}. There is one answer per input, in
    their order, each written as soon as it is known.
    """
    from spago_jax.cli.predict import opened
    from spago_jax.cli.task_options import split
    from spago_jax.interop.flair.file import is_flair
    from spago_jax.tasks.arriving import Arriving
    from spago_jax.tasks.input_file import InputFile
    from spago_jax.tasks.pretrained.registry import pretrained_task
    from spago_jax.tasks.registry import TASKS

    found = pretrained_task(task)
    if task in TASKS.names() and is_flair(model):
        raise InputError("a file of Flair's: spago-jax predict FILE answers with it, import converts it", path=model)
    texts, options, settings = split(task, context.args, found.Options, found.Settings)
    texts += context.meta[_AFTER]
    if texts and input is not None:
        raise InputError(f"{len(texts)} texts and --input {input}: give one of the two")
    if not texts and input is None and sys.stdin.isatty():
        raise InputError("no texts: write them after the model, or give --input FILE (- for standard input)")
    source = None if texts else InputFile(input or "-")
    import jax

    with jax.enable_x64(dtype is Dtype.float64), opened(output) as write:
        predictor = found.open(model, dtype=dtype.value, download=download.value, **settings)
        inputs: Any = texts
        if source is not None:
            asked = {name: value for name, value in options.items() if name in predictor.processor.example_options}
            values = _records(source) if source.suffix in (".jsonl", ".ndjson") else _texts(source)
            inputs = _examples(values, lambda value: predictor.processor.example(value, **asked), source.name)
            inputs = Arriving(inputs) if source.is_stdin and not source.interactive else inputs
        form = "text" if format is Format.text else "json"
        records = source is not None and not source.is_stdin and source.suffix in (".jsonl", ".ndjson")
        # JAX's switch to 64 bits holds in this thread alone.
        if records and batch_size is None and dtype is not Dtype.float64:
            from spago_jax.serve.engine.offline import answers_of
            from spago_jax.tasks.predictor import written

            pieces = (written(predictor.name, answer, form) for answer in answers_of(predictor, inputs, options))
        else:
            pieces = predictor.written(inputs, form, at_once=batch_size, **options)
        for piece in _array(pieces) if format is Format.json else pieces:
            write(piece)


def _texts(source: Any) -> Iterator[tuple[int, Any]]:
    """The lines of a file, with their numbers."""
    from spago_jax.data.examples import Text

    return ((number, Text(line, number)) for number, line in enumerate(source.lines(), 1))


def _examples(values: Iterable[tuple[int, Any]], example: Callable[[Any], Any], path: str) -> Iterator[Any]:
    """Lines as examples of the task.

    Raises:
        InputError: for one that the task does not read, with its line.
    """
    for number, value in values:
        try:
            yield example(value)
        except InputError as error:
            raise InputError(str(error), path=path, line=number) from None


def _records(source: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with their numbers.

    Raises:
        InputError: for a line that is not an object.
    """
    for number, line in enumerate(source.lines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}", path=source.name, line=number) from None
        if not isinstance(value, dict):
            raise InputError(f"a {type(value).__name__}, expected an object", path=source.name, line=number)
        yield number, value | {"line": number}


def _array(pieces: Iterable[str]) -> Iterator[str]:
    """Lines of JSON as one array, written as they come."""
    opening = "[\n"
    for piece in pieces:
        yield opening + piece.rstrip("\n")
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"
