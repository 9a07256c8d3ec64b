# SPDX-License-Identifier: BSD-2-Clause
"""Files to encoded corpora in one call each, through the cache: slow the first time, at once after."""

from collections.abc import Callable, Sequence
from pathlib import Path

from spago_jax.data.cache import cached
from spago_jax.data.encoded import EncodedExamples, EncodedSentences, encode_labeled, encode_sentences
from spago_jax.data.encoded_text import EncodedText, encode_text
from spago_jax.data.formats.conll import read_conll
from spago_jax.data.formats.conllu import read_conllu
from spago_jax.data.formats.labeled_text import read_labeled

__all__ = ["load_conll", "load_conllu", "load_labeled", "load_text"]


def load_conll(
    path: str | Path, *, token_column: int = 0, tag_column: int | None = -1, columns: int | None = None
) -> EncodedSentences:
    """``read_conll``, encoded and cached.

    Raises:
        InputError: as ``read_conll``.
    """
    settings = {"token_column": token_column, "tag_column": tag_column, "columns": columns}

    def build(folder: Path) -> None:
        sentences = read_conll(path, token_column=token_column, tag_column=tag_column, columns=columns)
        encode_sentences(sentences, folder)

    return EncodedSentences.open(cached("conll", [path], settings, build))


def load_conllu(path: str | Path, *, column: str | None = "upos") -> EncodedSentences:
    """``read_conllu``, encoded and cached.

    Raises:
        InputError: as ``read_conllu``.
    """

    def build(folder: Path) -> None:
        encode_sentences(read_conllu(path, column=column), folder)

    return EncodedSentences.open(cached("conllu", [path], {"column": column}, build))


def load_text(path: str | Path, *, alphabet: Sequence[str] | None = None, unknown: int | None = None) -> EncodedText:
    """``encode_text``, cached.

    Raises:
        InputError: as ``encode_text``.
    """
    names = None if alphabet is None else list(alphabet)

    def build(folder: Path) -> None:
        encode_text(path, folder, names, unknown=unknown)

    return EncodedText.open(cached("text", [path], {"alphabet": names, "unknown": unknown}, build))


def load_labeled(
    path: str | Path,
    tokenize: Callable[[str], Sequence[str]],
    tokenizer: str,
    *,
    text_field: str = "text",
    label_field: str | None = "label",
    format: str | None = None,
) -> EncodedExamples:
    """``read_labeled``, tokenized, encoded and cached.

    Args:
        path: the file.
        tokenize: from a text to its tokens.
        tokenizer: a name that says all about ``tokenize``, as functions cannot be compared: part of the cache's key.
        text_field: the column or key of the text.
        label_field: the column or key of the label, or None.
        format: ``csv``, ``tsv`` or ``jsonl``; None goes by the name.

    Raises:
        InputError: as ``read_labeled``.
    """
    settings = {
        "tokenizer": tokenizer,
        "text_field": text_field,
        "label_field": label_field,
        "format": format,
    }

    def build(folder: Path) -> None:
        examples = read_labeled(path, text_field=text_field, label_field=label_field, format=format)
        encode_labeled(examples, folder, tokenize)

    return EncodedExamples.open(cached("labelled", [path], settings, build))
