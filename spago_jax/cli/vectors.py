# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax vectors`: word vectors of every format: what they are, what is near, how good, and as another format."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

vectors = typer.Typer(help="Looks into files and stores of word vectors, and converts them.", no_args_is_help=True)
app.add_typer(vectors, name="vectors")

Source = Annotated[Path, typer.Argument(metavar="FILE", help="A file of word vectors, or a store.")]
Format = Annotated[str | None, typer.Option(help="Of the file: glove, word2vec, gensim, fasttext, ...; else it shows.")]
Rule = Annotated[str, typer.Option(help="How words are looked up: exact, lower or digits.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def _opened(path: Path, rule: str, format: str | None):
    from spago_jax.embeddings.lookup import RULES
    from spago_jax.embeddings.nearest import NearestWords
    from spago_jax.errors import did_you_mean

    if rule not in RULES:
        raise InputError(f"--rule {rule}: {did_you_mean(rule, RULES)}")
    return NearestWords.open(path, rule, format)  # type: ignore[arg-type]


@vectors.command()
def info(file: Source, format: Format = None, as_json: Json = False) -> None:
    """Shows how many words a file or a store has, and what is odd about them."""
    import numpy as np

    from spago_jax.embeddings.formats.read import read_into
    from spago_jax.embeddings.formats.rows import Rows
    from spago_jax.embeddings.store.manifest import NAME
    from spago_jax.embeddings.store.store import Store

    if (file / NAME).is_file():
        with Store.open(file) as store:
            found = {"format": "store", "words": len(store), "dimensions": store.dimensions, "keys": store.kind}
            found |= {"slots": list(store.slots), "states": list(store.tags), "made from": store.about.get("from", "")}
            found["bytes"] = sum(path.stat().st_size for path in file.iterdir() if path.is_file())
    else:
        rows = Rows(file, None, np.dtype(np.float32), lowercase=False)
        kind = read_into(file, rows, format)
        held = rows.result()
        norms = np.linalg.norm(held.matrix, axis=1)
        found = {"format": kind, "words": len(held), "dimensions": held.dimensions}
        found |= {"duplicates": held.duplicates, "not UTF-8": held.broken, "empty words": held.empty}
        found |= {"vectors of zeros": int((norms == 0).sum()), "capitals": not held.uncased}
        found |= {"mean length": round(float(norms.mean()), 4) if len(held) else None}
        found |= {"unknown words": "made of their parts" if held.subwords is not None else "have none"}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        shown = ", ".join(value) if isinstance(value, list) else f"{value:,}" if type(value) is int else value
        print(f"{name:<18}{shown}")


@vectors.command()
def similar(
    file: Source,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="One word, two to compare, or A B C.")],
    top: Annotated[int, typer.Option(help="How many words to list.")] = 10,
    rule: Rule = "lower",
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Lists the words nearest to one; compares two; answers what is to C as B is to A."""
    from spago_jax.tasks.word_similarity.predictor import WordSimilarity

    if len(words) > 3:
        raise InputError(f"{len(words)} words, expected one, two or three")
    if top < 1:
        raise InputError(f"--top {top}: expected 1 or more")
    task = WordSimilarity(_opened(file, rule, format))
    answer = task(words[0] if len(words) == 1 else tuple(words), top_k=top)
    print(
        json.dumps(answer.to_dict(), ensure_ascii=False) if as_json else answer.to_text(), end="\n" if as_json else ""
    )


@vectors.command()
def evaluate(
    file: Source,
    tests: Annotated[list[Path], typer.Argument(metavar="TEST...", help="Judgments of pairs of words, or analogies.")],
    rule: Rule = "lower",
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Scores vectors: Spearman's correlation with judged pairs (WordSim-353, SimLex-999), analogies answered."""
    from spago_jax.core.show import text_table
    from spago_jax.data.files import find_file
    from spago_jax.embeddings.evaluate_vectors import is_analogies, score_analogies, score_pairs

    for path in tests:
        find_file(path)
    words = _opened(file, rule, format)
    lines = []
    for path in tests:
        found = score_analogies(words, path) if is_analogies(path) else score_pairs(words, path)
        scores = dataclasses.asdict(found)
        if as_json:
            scores = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in scores.items()}
            print(json.dumps({"test": str(path), **scores}, ensure_ascii=False))
        elif "spearman" in scores:
            lines.append([path.name, f"{scores['covered']} of {scores['pairs']}", f"{scores['spearman']:.4f} Spearman"])
        else:
            share = scores["right"] / max(scores["covered"], 1)
            lines.append([path.name, f"{scores['covered']} of {scores['questions']}", f"{share:.4f} right"])
            lines += [[f"  {name}", str(c), f"{r / max(c, 1):.4f}"] for name, (c, r) in scores["sections"].items()]
    if not as_json:
        print(text_table(["test", "covered", "score"], lines, align="lll"))


@vectors.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of word vectors.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="NAME.vec, NAME.bin, or the folder of a store.")],
    to: Annotated[
        str | None, typer.Option(help="store, word2vec, word2vec-binary or glove; by default as OUT says.")
    ] = None,
    words: Annotated[Path | None, typer.Option(help="Only the words of this file, one per line.")] = None,
    format: Format = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Writes vectors in another format, or as a store that a model trains on disk."""
    from spago_jax.data.files import open_text
    from spago_jax.embeddings.convert_vectors import convert_vectors

    vocabulary = None
    if words is not None:
        with open_text(words) as lines:
            vocabulary = [line.rstrip("\r\n") for line in lines]
    made = convert_vectors(file, out, to, format=format, vocabulary=vocabulary, overwrite=overwrite)
    odd = {"left out, for they came again": made.duplicates, "not UTF-8": made.broken, "left out, empty": made.empty}
    said = "".join(f"; {count:,} {what}" for what, count in odd.items() if count)
    print(f"wrote {out}: {made.words:,} words, {made.dimensions} numbers each, of {made.format}{said}")
