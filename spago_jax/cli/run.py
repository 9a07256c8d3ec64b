# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax run`: answers by a pre-trained model."""

import enum
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError, did_you_mean


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


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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

    `spago-jax tasks TASK` lists the options of a task. An option that takes a list is given once for each item:
    --labels politics --labels sport. In a .jsonl file each line is an object with the task's inputs: {"text": ...},
    {"question": ..., "passage": ...}, {"text": ..., "labels": [...]}. There is one answer per input, in their order.
    """
    from spago_jax.cli.predict import opened
    from spago_jax.tasks.arriving import Arriving
    from spago_jax.tasks.input_file import InputFile
    from spago_jax.tasks.pretrained.registry import PRETRAINED

    found = PRETRAINED.find(task)
    texts, given = _split(context.args)
    options, settings = _sections(task, given, found.Options, found.Settings)
    if texts and input is not None:
        raise InputError(f"{len(texts)} texts and --input {input}: give one of the two")
    if not texts and input is None and sys.stdin.isatty():
        raise InputError("no texts: write them after the model, or give --input FILE")
    inputs: Any = texts
    if not texts:
        source = InputFile(input or "-")
        inputs = _records(source) if source.suffix in (".jsonl", ".ndjson") else source.lines()
        inputs = Arriving(inputs) if source.is_stdin and not source.interactive else inputs
    predictor = found.open(model, dtype=dtype.value, download=download.value, **settings)
    form = "text" if format is Format.text else "json"
    pieces = predictor.written(inputs, form, at_once=batch_size, **options)
    with opened(output) as write:
        for piece in _array(pieces) if format is Format.json else pieces:
            write(piece)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Splits what typer left over into texts and ``--name value`` pairs; all after ``--`` are texts."""
    texts: list[str] = []
    options: list[tuple[str, str]] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            texts += rest
        elif argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            if not equals:
                value = next(rest, None)
                if value is None:
                    raise InputError(f"--{name} needs a value")
            options.append((name.replace("-", "_"), value))
        else:
            texts.append(argument)
    return texts, options


def _sections(
    task: str, given: Sequence[tuple[str, str]], options: Any, settings: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Checks options against the fields of two sections."""
    from pydantic import ValidationError

    values: dict[str, Any] = {}
    known = {**options.model_fields, **settings.model_fields}
    for name, value in given:
        if name not in known:
            flags = [field.replace("_", "-") for field in known]
            raise InputError(f"{task} has no option --{name.replace('_', '-')}: {did_you_mean(name, flags)}")
        if "tuple" in str(known[name].annotation):
            if "," in value:
                raise InputError(f"--{name} {value!r} holds a comma: give --{name} once for each item")
            values.setdefault(name, []).append(value)
        elif name in values:
            raise InputError(f"--{name.replace('_', '-')} is given twice")
        else:
            values[name] = value
    checked = []
    for section in (options, settings):
        try:
            own = section.model_validate({k: v for k, v in values.items() if k in section.model_fields})
        except ValidationError as error:
            first = error.errors()[0]
            flag = "-".join(str(part) for part in first["loc"][:1]).replace("_", "-")
            raise InputError(f"--{flag} {first.get('input')!r}: {first['msg']}") from None
        checked.append(own.model_dump(exclude_unset=True))
    return checked[0], checked[1]


def _records(source: Any) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines.

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
        yield value | {"line": number}


def _array(pieces: Iterable[str]) -> Iterator[str]:
    """Lines of JSON as one array, written as they come."""
    opening = "[\n"
    for piece in pieces:
        yield opening + piece.rstrip("\n")
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"
