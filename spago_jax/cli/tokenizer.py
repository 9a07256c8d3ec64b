# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax tokenizer`: learns the vocabulary of a sub-word tokenizer, and shows how one cuts texts."""

import enum
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

tokenizer = typer.Typer(help="Trains sub-word tokenizers, and shows how they cut texts.", no_args_is_help=True)
app.add_typer(tokenizer, name="tokenizer")


class Kind(enum.StrEnum):
    """How a vocabulary is learned."""

    wordpiece = "wordpiece"
    bpe = "bpe"
    unigram = "unigram"
    characters = "characters"
    words = "words"


class Marks(enum.StrEnum):
    """Where special tokens stand beside a text."""

    both = "both"
    end = "end"


@tokenizer.command()
def train(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Texts, UTF-8, one per line; .gz too.")],
    kind: Annotated[
        Kind,
        typer.Option(
            help="As BERT (wordpiece), RoBERTa (bpe) or XLM-R (unigram) cuts words; or whole characters or words."
        ),
    ],
    size: Annotated[int, typer.Option(help="The most tokens in the vocabulary, special ones included.")],
    output: Annotated[Path, typer.Option(help="The folder to write.")],
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Lower-case texts first.")] = False,
    min_count: Annotated[
        int, typer.Option(help="How often two pieces must meet to be joined, or a character or word must occur.")
    ] = 2,
    max_length: Annotated[int | None, typer.Option(help="The most ids that the model will read.")] = None,
    marks: Annotated[
        Marks, typer.Option(help="Special tokens at both sides of a text, or at its end alone (encoder-decoders).")
    ] = Marks.both,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a tokenizer that is there.")] = False,
) -> None:
    """Learns a vocabulary from texts, and writes tokenizer.json and tokenizer_config.json."""
    from spago_jax.core.disk import new_folder
    from spago_jax.data.files import find_file
    from spago_jax.text.tokenizers.train import train_tokenizer

    _check_target(output, overwrite=overwrite)
    for path in files:
        find_file(path)
    learned = train_tokenizer(
        _lines(files),
        kind=kind.value,
        size=size,
        lowercase=lowercase,
        min_count=min_count,
        max_length=max_length,
        marks=marks.value,
    )
    with new_folder(output, replace=overwrite) as folder:
        learned.save(folder)
    print(f"wrote {output}: {learned.size:,} tokens" + (f" of at most {size:,}" if learned.size < size else ""))


def _lines(files: list[Path]) -> Iterator[str]:
    from spago_jax.data.formats.plain_text import read_lines

    for path in files:
        yield from read_lines(path)


def _check_target(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise InputError("exists and is not a folder; choose another place", path=folder)
    names = {path.name for path in folder.iterdir()}
    others = sorted(names - {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"})
    if others:
        raise InputError(f"the folder holds {others[0]!r}, which is not a tokenizer's; choose another one", path=folder)
    if names and not overwrite:
        raise InputError("the folder exists; choose another one, or replace it with --overwrite", path=folder)


@tokenizer.command()
def show(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A tokenizer's or a model's folder, or a file of it.")
    ],
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT...", help="Texts to cut.")] = None,
    form: Annotated[
        str | None, typer.Option(help="How a bare vocabulary is used: bert, roberta, xlm-roberta, ...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of tables.")] = False,
) -> None:
    """Shows the ids, pieces and places of texts; without a text, what the tokenizer is."""
    from spago_jax.core.show import text_table
    from spago_jax.text.tokenizers.load import load_tokenizer

    found = load_tokenizer(folder, form=form)
    if not texts:
        about = {"size": found.size, "max_length": found.max_length, "special": found.special_ids}
        if as_json:
            print(json.dumps(about, ensure_ascii=False))
            return
        print(f"size        {found.size:,}\nmax_length  {'not said' if found.max_length is None else found.max_length}")
        rows = [[role, found.token(id), str(id)] for role, id in sorted(found.special_ids.items())]
        print(text_table(["special", "token", "id"], rows, align="llr"))
    for number, text in enumerate(texts or ()):
        encoding = found.encode(text)
        if as_json:
            fields = ("ids", "tokens", "offsets", "word_ids")
            row = {"text": text, **{name: getattr(encoding, name) for name in fields}}
            print(json.dumps(row, ensure_ascii=False))
            continue
        rows = [
            [token, str(id), f"{start}:{end}", text[start:end], "" if word is None else str(word)]
            for token, id, (start, end), word in zip(
                encoding.tokens, encoding.ids, encoding.offsets, encoding.word_ids, strict=True
            )
        ]
        print(("\n" if number else "") + text_table(["token", "id", "place", "text", "word"], rows, align="lrrlr"))
