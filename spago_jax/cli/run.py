# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax run`: answers by a pre-trained model."""

import enum
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from spago_jax.cli.app import app
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.tasks.bulk import Line


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
        typer.Option(
            help="A file, several as 'news-*.jsonl.gz', or - for standard input: one text per line, or records where "
            "the name ends in .jsonl."
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="How answers are written; text by default, jsonl where --output ends in .jsonl."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A file to write; standard output by default.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="What is computed in.")] = Dtype.float32,
    download: Annotated[Download, typer.Option(help="Whether the network may be used.")] = Download.never,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Inputs that are answered together, at most.")] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Answer one of N contiguous parts of the input files.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the output as it grows, and go on with it after an interruption.")
    ] = False,
) -> None:
    """Answers texts with a pre-trained model: spago-jax run TASK MODEL [TEXT...] [--OPTION VALUE].

    `spago-jax tasks TASK` lists the options of a task; they stand after MODEL. One that takes a list is given once for
    each item: --labels politics --labels sport. One that asks yes or no is a word by itself: --multi-label. What begins
    with a hyphen and is a text stands after --. In a .jsonl file each line is an object with the task's inputs:
    {"text": ...}, {"question": ..., "passage": ...}, {"text": ..., "labels": [...]}. There is one answer per input, in
    their order, each written as soon as it is known.

    Answers to files that go into a file are computed in blocks of inputs, 64 or --batch-size: those of --shard 1/N to
    N/N, one after the other, are those of one run, byte for byte. With --resume what has been answered is in the
    output at once; the same command goes on with it. OUTPUT.progress.json says what it is made from.
    """
    from spago_jax.cli.predict import opened
    from spago_jax.cli.task_options import split
    from spago_jax.interop.flair.file import is_flair
    from spago_jax.tasks.arriving import Arriving
    from spago_jax.tasks.bulk import BLOCK, Shard, answered_blocks, input_files, input_lines
    from spago_jax.tasks.pretrained.registry import pretrained_task
    from spago_jax.tasks.registry import TASKS
    from spago_jax.tasks.resumable import described, progress_file, resumed

    found = pretrained_task(task)
    if task in TASKS.names() and is_flair(model):
        raise InputError("a file of Flair's: spago-jax predict FILE answers with it, import converts it", path=model)
    texts, options, settings = split(task, context.args, found.Options, found.Settings)
    texts += context.meta[_AFTER]
    if texts and input is not None:
        raise InputError(f"{len(texts)} texts and --input {input}: give one of the two")
    if not texts and input is None and sys.stdin.isatty():
        raise InputError("no texts: write them after the model, or give --input FILE (- for standard input)")
    if format is None:
        format = Format.jsonl if output is not None and output.suffix in (".jsonl", ".ndjson") else Format.text
    form = "text" if format is Format.text else "json"
    part = None if shard is None else Shard.parse(shard)
    sources = [] if texts else input_files(input or "-")
    in_files = bool(sources) and not sources[0].is_stdin
    if resume or part is not None:
        _check_bulk(sources, output, format, resume=resume)
    import jax

    with jax.enable_x64(dtype is Dtype.float64):
        predictor = found.open(model, dtype=dtype.value, download=download.value, **settings)
        inputs: Any = texts

        def read(lines: Iterable["Line"]) -> Iterator[Any]:
            asked = {name: value for name, value in options.items() if name in predictor.processor.example_options}
            return _examples(lines, lambda value: predictor.processor.example(value, **asked))

        if in_files and (output is not None or part is not None):
            answered = partial(
                answered_blocks, predictor, sources, read, form, options, batch_size=batch_size, shard=part
            )
            if resume and output is not None:
                given = {**settings, **options, "dtype": dtype.value, "batch_size": batch_size, "shard": shard}
                made_from = {
                    "task": task, "model": _state(model), "options": given,
                    "inputs": described(source.name for source in sources),
                }  # fmt: skip
                with resumed(output, made_from, batch_size or BLOCK) as (kept, add):
                    for block in answered(kept=kept):
                        add(block)
                return
            pieces = chain.from_iterable(answered())
        elif in_files and sources[0].has_records and batch_size is None and dtype is not Dtype.float64:
            # JAX's switch to 64 bits holds in this thread alone.
            from spago_jax.serve.engine.offline import answers_of
            from spago_jax.tasks.predictor import written

            inputs = read(input_lines(sources))
            pieces = (written(predictor.name, answer, form) for answer in answers_of(predictor, inputs, options))
        else:
            if sources:
                inputs = read(input_lines(sources))
            if sources and not in_files and not sources[0].interactive:
                inputs = Arriving(inputs)
            pieces = predictor.written(inputs, form, at_once=batch_size, **options)
        with opened(output) as write:
            for piece in _array(pieces) if format is Format.json else pieces:
                write(piece)
            if output is not None:  # what was begun with --resume is going to be replaced
                progress_file(output).unlink(missing_ok=True)


def _check_bulk(sources: Sequence[Any], output: Path | None, format: Format, *, resume: bool) -> None:
    """Refuses what cannot be answered in parts, or gone on with.

    Raises:
        InputError: naming the option, and what to give.
    """
    said = "--resume" if resume else "--shard"
    if not sources or any(not Path(source.name).is_file() for source in sources):  # neither texts nor a pipe
        raise InputError(f"{said} reads the inputs more than once: give --input FILE")
    if format is Format.json:
        raise InputError(f"{said} and --format json: an array cannot be put together from parts; give --format jsonl")
    if not resume:
        return
    if output is None:
        raise InputError("--resume goes on with a file: give --output FILE")
    if format is Format.text:
        raise InputError("--resume counts the answers by their lines: give --format jsonl")
    if output.resolve() in [Path(source.name).resolve() for source in sources]:
        raise InputError("--output is one of the input files: choose a name that --input does not match", path=output)


def _state(model: str) -> str:
    """Returns a name for what a model is at present: its weights, its configs and its tokenizer."""
    from spago_jax.interop.huggingface import find_model
    from spago_jax.interop.huggingface.layout import CONFIG, TOKENIZER
    from spago_jax.serve.loading import revision_of
    from spago_jax.tasks.resumable import described

    path = Path(model).expanduser()
    if path.is_file() or (path.is_dir() and not (path / CONFIG).is_file()):  # word vectors: a file, or a store
        files, state = [path] if path.is_file() else sorted(path.rglob("*")), ""
    else:
        folder = path if path.is_dir() else find_model(model)
        files, state = sorted(each for each in folder.rglob("*") if each.name in TOKENIZER), revision_of(str(folder))
    hashes = [each["sha256"] for each in described(str(file) for file in files if file.is_file())]
    return hashlib.sha256(" ".join([state, *hashes]).encode()).hexdigest()[:12]


def _examples(lines: Iterable["Line"], example: Callable[[Any], Any]) -> Iterator[Any]:
    """Lines of files as examples of the task.

    Raises:
        InputError: for one that the task does not read, with its file and line.
    """
    from spago_jax.data.examples import Text

    for source, number, line in lines:
        value = _record(source.name, number, line) if source.has_records else Text(line, number)
        try:
            yield example(value)
        except InputError as error:
            raise InputError(str(error), path=source.name, line=number) from None


def _record(name: str, number: int, line: str) -> dict[str, Any]:
    """The object that a line of JSON is, with its number.

    Raises:
        InputError: for a line that is not an object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", path=name, line=number) from None
    if not isinstance(value, dict):
        raise InputError(f"a {type(value).__name__}, expected an object", path=name, line=number)
    return value | {"line": number}


def _array(pieces: Iterable[str]) -> Iterator[str]:
    """Lines of JSON as one array, written as they come."""
    opening = "[\n"
    for piece in pieces:
        yield opening + piece.rstrip("\n")
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"
