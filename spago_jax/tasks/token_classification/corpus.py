# SPDX-License-Identifier: BSD-2-Clause
"""Tagged corpora: the scheme of their tags, and their sentences, encoded once."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from spago_jax.data.cache import cached_corpus
from spago_jax.data.encoded import EncodedSentences, encode_sentences
from spago_jax.data.examples import Tokens
from spago_jax.data.formats.reader import Reader
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError
from spago_jax.tasks.token_classification.processor import windows
from spago_jax.text.tags import convert, detect_scheme, labels_of, tag_set

_LOOKED_AT = 5000  # sentences that the scheme is read off


def schemes(data: Reader, wanted: str) -> tuple[str, str]:
    """Returns how the training file writes spans, and how the model shall.

    Raises:
        InputError: where there is no training data, or a few tags do not fit the scheme of all others.
    """
    scheme = data.tag_scheme()
    if scheme == "auto":
        refuse_no_files(data, "train")
        scheme = _detected(data)
    return scheme, scheme if scheme == "plain" or wanted == "same" else wanted


def _detected(data: Reader) -> str:
    looked_at: list[Tokens] = []

    def tags() -> Iterator[Sequence[str]]:
        for sentence in itertools.islice(data.read("train"), _LOOKED_AT):
            looked_at.append(Tokens([], None, sentence.line, path=sentence.path))
            yield sentence.tags or []

    found = detect_scheme(tags())
    if found.odd is not None:
        place = looked_at[found.sentence]
        more = f" (and {found.times - 1} more like it)" if found.times > 1 else ""
        raise InputError(
            f"tag {found.odd!r}{more} does not fit the scheme {found.scheme} of all other tags: mend the file, or"
            " set data.scheme: plain if tags do not mark spans",
            path=place.path,
            line=place.line + found.position if place.line else None,
        )
    return found.scheme


def model_tags(names: Iterable[str], scheme: str) -> tuple[str, ...]:
    """Returns the tags of a model, ``O`` first, then sorted: every tag of the scheme for the labels that occur.

    A label that training saw only in spans of two tokens can thus be given to a single one.

    >>> model_tags(["O", "B-LOC", "I-LOC"], "IOB2"), model_tags(["VERB", "NOUN"], "plain")
    (('O', 'B-LOC', 'I-LOC'), ('NOUN', 'VERB'))
    """
    if scheme != "plain":
        names = tag_set(labels_of(names, scheme), scheme)
    # The order of first appearance depends on the file's order; sorted, O first, it does not.
    return tuple(sorted(set(names), key=lambda tag: (tag != "O", tag)))


def refuse_no_files(data: Reader, split: str) -> list[Path]:
    """The files of a part of the data.

    Raises:
        InputError: where the section names none.
    """
    files = data.files(split)
    if not files:
        consequence = "there is nothing to train on" if split == "train" else "there is nothing to read"
        raise InputError(f"data.{split} is missing: {consequence}")
    return files


def read_corpus(
    data: Reader, split: str, written: str, wanted: str, max_length: int, files: Sequence[Path] | None = None
) -> tuple[EncodedSentences, Notes]:
    """Reads one part of the data, encoded once: spans in the model's scheme, long sentences in windows."""
    if files is None and not data.is_drawn(split):
        refuse_no_files(data, split)

    def rows(sentences: Iterable[Tokens]) -> Iterator[Tokens]:
        for sentence in sentences:
            # Also within one scheme: an I- after O, which a CRF may be forbidden to give, becomes the B- that it means.
            if sentence.tags is not None and written != "plain":
                try:
                    sentence.tags = convert(sentence.tags, wanted, scheme=written)
                except InputError as error:
                    place = {"path": sentence.path, "line": sentence.line}
                    raise InputError(f"in the sentence from here: {error}", **place) from None
            yield from windows(sentence, max_length, wanted)

    settings = {"written": written, "wanted": wanted, "max_length": max_length}
    folder, notes = cached_corpus(
        data, split, files, f"tokens-{data.format}", settings, lambda found, into: encode_sentences(rows(found), into)
    )
    return EncodedSentences.open(folder), notes
