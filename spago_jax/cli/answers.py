# SPDX-License-Identifier: BSD-2-Clause
"""From a trained run and an input to text, JSON lines or CoNLL columns."""

import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from spago_jax.cli.colours import paint, paint_source, palette
from spago_jax.data.formats.plain_text import read_lines
from spago_jax.errors import InputError
from spago_jax.models.classifier.mlp_recipe import MLPClassifierRecipe
from spago_jax.models.classifier.text_recipe import TextClassifierRecipe
from spago_jax.models.sequence_labeler.config import ConlluData, PythonData
from spago_jax.models.sequence_labeler.recipe import SequenceLabelerRecipe
from spago_jax.tasks.classifying import Classified, ImageLabeler, TextLabeler
from spago_jax.tasks.run import TrainedRun
from spago_jax.tasks.tagging import Tagged, Tagger
from spago_jax.tasks.writing import Writer

_COLUMNS = {".conll", ".conllu", ".tsv", ".bio", ".iob", ".col"}


def answers(trained: TrainedRun, input: str, form: str, coloured: bool, options: dict[str, Any]) -> Iterator[str]:
    """The answers as pieces of text, each as soon as it is known.

    Raises:
        InputError: for input that the model cannot read, or a format that its answers do not have.
    """
    recipe = trained.recipe
    if isinstance(recipe, SequenceLabelerRecipe):
        tagger = Tagger(trained)
        if isinstance(trained.experiment.data, PythonData):
            return _source(tagger, recipe, _whole(input), form, coloured)
        return _sentences(tagger, recipe, input, form, coloured)
    if form == "conll":
        raise InputError(f"a {recipe.kind} has no tags to write as CoNLL columns; use --format text or json")
    if isinstance(recipe, TextClassifierRecipe):
        size = _batch(input)
        texts, again = itertools.tee(line for line in _lines(input) if line.strip())
        found = TextLabeler(trained).classify(texts, batch_size=size)
        return (_classified(text, one, form) for text, one in zip(again, found, strict=True))
    if isinstance(recipe, MLPClassifierRecipe):
        found_images = ImageLabeler(trained).classify(_images(input))
        return (_classified(None, one, form) for one in found_images)
    return _written(Writer(trained), input, form, options)


# -- taggers -------------------------------------------------------------------------------------------------------


def _sentences(tagger: Tagger, recipe: SequenceLabelerRecipe, input: str, form: str, coloured: bool) -> Iterator[str]:
    sentences = _columns(input, recipe) if _suffix(input) in _COLUMNS else _tokenized(_lines(input))
    colours = palette(sorted({name.split("-", 1)[-1] for name in recipe.tags.names if name != "O"}))
    for tagged in tagger.tag(sentences, batch_size=_batch(input)):
        yield _tagged(tagged, form, lambda text, label: paint(text, label, colours, coloured))


def _tagged(tagged: Tagged, form: str, painted: Callable[[str, str], str]) -> str:
    if form == "conll":
        return "".join(f"{token}\t{tag}\n" for token, tag in zip(tagged.tokens, tagged.tags, strict=True)) + "\n"
    if form == "json":
        record: dict[str, Any] = {"tokens": tagged.tokens, "tags": tagged.tags}
        record["spans"] = [
            {"start": s.start, "end": s.end, "label": s.label, "text": " ".join(tagged.tokens[s.start : s.end])}
            for s in tagged.spans
        ]
        return json.dumps(record, ensure_ascii=False) + "\n"
    if not tagged.spans and any("-" not in tag and tag != "O" for tag in tagged.tags):
        return " ".join(painted(token, tag) for token, tag in zip(tagged.tokens, tagged.tags, strict=True)) + "\n"
    words, at = [], 0
    for span in tagged.spans:
        words += tagged.tokens[at : span.start]
        words.append(painted(" ".join(tagged.tokens[span.start : span.end]), span.label))
        at = span.end
    return " ".join([*words, *tagged.tokens[at:]]) + "\n"


def _source(tagger: Tagger, recipe: SequenceLabelerRecipe, text: str, form: str, coloured: bool) -> Iterator[str]:
    from spago_jax.data.python.sources import read_python

    units = list(read_python(text, max_tokens=recipe.experiment.data.window))
    tagged = list(tagger.tag([unit.tokens for unit in units]))
    if form == "text":
        places = [(span, tag) for unit, found in zip(units, tagged, strict=True)
                  for span, tag in zip(unit.spans, found.tags, strict=True)]  # fmt: skip
        yield paint_source(text, places, recipe.tags.names, coloured)
        return
    for unit, found in zip(units, tagged, strict=True):
        if form == "conll":
            yield _tagged(found, form, lambda text, label: text)
            continue
        record = {"line": unit.line, "tokens": found.tokens, "tags": found.tags, "places": unit.spans}
        yield json.dumps(record, ensure_ascii=False) + "\n"


def _tokenized(lines: Iterable[str]) -> Iterator[Sequence[str]]:
    from spago_jax.text.words import tokenize

    for line in lines:
        tokens = [token.text for token in tokenize(line)]
        if tokens:
            yield tokens


def _columns(input: str, recipe: SequenceLabelerRecipe) -> Iterator[Sequence[str]]:
    from spago_jax.data.formats.conll import read_conll
    from spago_jax.data.formats.conllu import read_conllu

    data = recipe.experiment.data
    if isinstance(data, ConlluData) or _suffix(input) == ".conllu":
        sentences = read_conllu(input, column=None)
    else:
        sentences = read_conll(input, token_column=data.token_column, tag_column=None)
    return (sentence.tokens for sentence in sentences)


# -- classifiers and language models -------------------------------------------------------------------------------


def _classified(text: str | None, found: Classified, form: str) -> str:
    if form == "json":
        record: dict[str, Any] = {} if text is None else {"text": text}
        record |= {"label": found.label, "probability": round(found.probability, 6), "ranking": dict(found.ranking)}
        return json.dumps(record, ensure_ascii=False) + "\n"
    return f"{found.label}\t{found.probability:.4f}" + ("" if text is None else f"\t{text}") + "\n"


def _images(input: str) -> Any:
    import numpy as np

    from spago_jax.data.formats.idx import read_idx

    if input == "-":
        raise InputError("an image classifier reads a file: --input FILE (.npy or IDX)")
    if not input.endswith(".npy"):
        return read_idx(input)
    try:
        images = np.load(input, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"not a NumPy array that can be read: {error}", path=input) from None
    if not isinstance(images, np.ndarray) or images.dtype.kind not in "buif":
        raise InputError("not a NumPy array of numbers", path=input)
    return images


def _written(writer: Writer, input: str, form: str, options: dict[str, Any]) -> Iterator[str]:
    prompts = _lines(input) if input != "-" or not _stdin().isatty() else iter([""])
    for prompt in prompts:
        pieces = writer.write(prompt, options["characters"], temperature=options["temperature"], seed=options["seed"])
        if form == "json":
            yield json.dumps({"prompt": prompt, "text": "".join(pieces)}, ensure_ascii=False) + "\n"
            continue
        yield prompt
        yield from pieces
        yield "\n"


# -- input ---------------------------------------------------------------------------------------------------------


def _suffix(input: str) -> str:
    return Path(input.removesuffix(".gz")).suffix


def _batch(input: str) -> int | None:
    """Answers come line by line where a person types, and in batches from a file or a pipe."""
    return 1 if input == "-" and _stdin().isatty() else None


def _stdin() -> TextIO:
    if sys.stdin is None:  # closed by the caller: `<&-`
        raise InputError("standard input is closed; give a file by --input")
    return sys.stdin


def _lines(input: str) -> Iterator[str]:
    if input != "-":
        yield from read_lines(input)
        return
    number = 0
    try:
        for line in _stdin():
            number += 1
            yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        # The decoder works in blocks, so the line is at or after the next one.
        raise InputError(f"not UTF-8 after line {number}: byte 0x{error.object[error.start]:02x}", path="-") from None


def _whole(input: str) -> str:
    if input == "-":
        try:
            return _stdin().read()
        except UnicodeDecodeError as error:
            raise InputError(f"not UTF-8: byte 0x{error.object[error.start]:02x}", path="-") from None
    import tokenize

    try:
        with tokenize.open(input) as file:  # follows the file's coding line
            return file.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"cannot decode the source: {error}", path=input) from None
