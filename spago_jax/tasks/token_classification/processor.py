# SPDX-License-Identifier: BSD-2-Clause
"""The processor of token classification: sentences to arrays, tags to answers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.encoded import EncodedSentences
from spago_jax.data.examples import Tokens
from spago_jax.data.processor import Processor, Rows, load_settings, restoring, save_settings
from spago_jax.embeddings.indexer import (
    TokenIndexer,
    indexer_settings,
    load_indexers,
    longest_of,
    merged_arrays,
    merged_specs,
    merged_tables,
    most_positions,
    neighbors_of,
    with_vectors,
)
from spago_jax.embeddings.neighbors import Neighbors
from spago_jax.embeddings.sentence_vectors import SentenceVectors
from spago_jax.errors import InputError, did_you_mean
from spago_jax.tasks.token_classification.answer import LabeledSpan, TaggedText
from spago_jax.tasks.token_classification.flair_rules import flair_spans, path_shares
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tags import OUTSIDE, convert, tags_from_spans
from spago_jax.text.tags import spans as read_spans
from spago_jax.text.tokenizers.tokenizer import Tokenizer, tokenizer_from


class TokenRows(Rows):
    """Encoded sentences with what each embedding reads of their forms.

    Attributes:
        corpus: the sentences.
        tables: of each embedding, by form.
        tags: from the corpus's tag ids to the model's, -1 for a tag that training never saw; None without tags.
        vectors: of embeddings that were computed before, by the names of their arrays.
        neighbors: the sentences beside each, where an embedding reads them: of its text, or of the whole corpus.
        tokens: how many tokens each sentence has, int [n]; ``lengths`` is more where an embedding reads pieces of them.
    """

    def __init__(
        self,
        corpus: EncodedSentences,
        tables: Mapping[str, np.ndarray],
        tags: np.ndarray | None,
        owners: np.ndarray | None = None,
        lengths: np.ndarray | None = None,
        neighbors: Neighbors | None = None,
    ):
        self.neighbors = neighbors
        self.corpus, self.tables, self.tags = corpus, tables, tags
        self.vectors: dict[str, SentenceVectors] = {}
        self.tokens = corpus.lengths
        self.lengths = corpus.lengths if lengths is None else lengths
        self.owners = corpus.owners if owners is None else owners


class TokenProcessor(Processor[Tokens, TaggedText]):
    """Sentences to the arrays of their embeddings, and tags to spans of the text.

    Args:
        tokenizer: cuts plain text.
        indexers: the host halves of the embeddings.
        tags: the tags of the model.
        max_length: longer sentences are read in windows of this many tokens.
        distributions: whether the model gives the score of every tag.
    """

    outputs: ClassVar[tuple[str, ...]] = ("tags", "probability", "link")
    unit = "tokens"

    def __init__(
        self,
        tokenizer: Tokenizer,
        indexers: Sequence[TokenIndexer],
        tags: TagSet,
        max_length: int,
        *,
        distributions: bool = False,
    ):
        self.tokenizer, self.indexers, self.tags = tokenizer, tuple(indexers), tags
        self.max_length, self.distributions = max_length, distributions
        if distributions:  # an output more of the program, for the taggers that are asked for it
            self.outputs = (*type(self).outputs, "marginals", "shares")  # pyright: ignore[reportAttributeAccessIssue]
        self.whole = tokenizer.kind == "python"

    def example(self, value: str | Sequence[str] | Tokens) -> Tokens:
        """A sentence of a text, or of its tokens; if neighbors are read too, each line of a text is one."""
        if isinstance(value, Tokens):
            return value
        if isinstance(value, str):
            found = self.tokenizer.encode(value)
            breaks = found.breaks
            if not breaks and any(indexer.context for indexer in self.indexers):
                breaks = _lines(value, found.offsets)
            return Tokens(found.tokens, None, 0, value, found.offsets, breaks)
        if isinstance(value, Sequence) and all(isinstance(token, str) for token in value):
            return Tokens(list(value))
        raise InputError(f"a {type(value).__name__}, expected a text or a list of tokens")

    def encode(self, examples: Iterable[Tokens]) -> TokenRows:
        """The windows of some sentences."""
        kept: list[Tokens] = []
        owners: list[int] = []
        for number, example in enumerate(examples):
            for window in windows(example, self.max_length, self.tags.scheme):
                kept.append(window)
                owners.append(number)
        return self.rows(EncodedSentences.of(kept), owners=np.array(owners, np.int64))

    def rows(self, corpus: EncodedSentences, where: str = "", owners: np.ndarray | None = None) -> TokenRows:
        """Encoded sentences with the tables of their forms, each looked up once.

        Raises:
            InputError: where not one of the corpus's tags is known.
        """
        tables = merged_tables(self.indexers, corpus.lexicon)
        tags = None if corpus.tags is None else self.tags.table(corpus.tag_names, where)
        neighbors = neighbors_of(self.indexers, corpus.forms, owners)
        lengths = most_positions(self.indexers, tables, corpus.forms, neighbors)
        return TokenRows(corpus, tables, tags, owners, lengths, neighbors)

    def batch(
        self, rows: TokenRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """The arrays of the embeddings, ``lengths``, and as targets ``tags`` (-1: a tag that training never saw)."""
        forms, lengths = rows.corpus.forms.gather(indices, length, pad=-1)
        among = None if rows.neighbors is None else (rows.neighbors, indices)
        arrays = merged_arrays(self.indexers, rows.tables, forms, length, among)
        arrays = with_vectors(arrays, rows.vectors, indices, length)
        arrays["lengths"] = lengths
        if targets and rows.corpus.tags is not None and rows.tags is not None:
            ids, _ = rows.corpus.tags.gather(indices, length, pad=0)
            arrays["tags"] = rows.tags[ids]
        return arrays

    @property
    def longest(self) -> int:
        """As many positions as a window has tokens, or as an embedding reads pieces."""
        return longest_of(self.indexers, self.max_length)

    def specs(self) -> dict[str, str]:
        """The arrays of the embeddings, and ``lengths``."""
        return merged_specs(self.indexers)

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: TokenRows,
        owned: Sequence[int],
        example: Tokens,
        *,
        threshold: float = 0.0,
        spans: str | None = None,
        score: str = "probability",
        distributions: bool = False,
    ) -> TaggedText:
        """The tags of the example's windows, one after the other, and the spans that they mark.

        A span that is less probable than ``threshold`` is left out, its tokens get ``O``. ``spans``, ``score`` and
        ``distributions`` are as in ``TaggingOptions``.

        Raises:
            InputError: for what the model does not give, or a value that there is not.
        """
        self._check(spans, score, distributions)
        pairs = list(zip(owned, outputs, strict=True))
        tags = [self.tags.names[i] for row, found in pairs for i in found["tags"][: rows.tokens[row]].tolist()]
        single = [p for row, found in pairs for p in found["probability"][: rows.tokens[row]].tolist()]
        link = [p for row, found in pairs for p in found["link"][: rows.tokens[row]].tolist()]
        shares = None
        if score == "flair":
            shares = np.concatenate([found["shares"][: rows.tokens[row]] for row, found in pairs])
            single = path_shares(shares, [found["tags"][: rows.tokens[row]] for row, found in pairs])
        everything: tuple[dict[str, float], ...] = ()
        if distributions:
            parts = [found["marginals"][: rows.tokens[row]] for row, found in pairs] if shares is None else [shares]
            everything = tuple(
                dict(zip(self.tags.names, each, strict=True)) for part in parts for each in part.tolist()
            )
        text, offsets = example.text, example.offsets
        if text is None or offsets is None:
            text, offsets = _joined(example.tokens)
        tokens = tuple(text[start:end] for start, end in offsets)
        if self.tags.scheme == "plain":
            return TaggedText(
                text, tokens, tuple(offsets), tuple(tags), (), True, example.line, tuple(single), example.frame,
                everything,
            )  # fmt: skip
        found, kept = [], []
        by_flair = (spans or self.tags.spans) != "scheme"
        old = self.tags.spans == "flair-0.10"
        for span in flair_spans(tags, old=old) if by_flair else read_spans(tags, self.tags.scheme):
            if score == "flair":
                probability = math.fsum(single[span.start : span.end]) / (span.end - span.start)
            else:
                probability = single[span.start] * math.prod(link[span.start + 1 : span.end])
            if probability < threshold:
                continue
            kept.append(span)
            start, end = offsets[span.start][0], offsets[span.end - 1][1]
            place = (span.start, span.end)
            found.append(LabeledSpan(span.label, start, end, text[start:end], place, probability))
        if by_flair:  # whose tags need not be those that the spans have in any scheme
            inside = {token for span in kept for token in range(span.start, span.end)}
            written = [tag if token in inside else OUTSIDE for token, tag in enumerate(tags)]
        else:
            written = tags_from_spans(kept, len(tags), self.tags.written)
        return TaggedText(
            text, tokens, tuple(offsets), tuple(written), tuple(found), False, example.line, tuple(single),
            example.frame, everything,
        )  # fmt: skip

    def _check(self, spans: str | None, score: str, distributions: bool) -> None:
        for name, value, known in (
            ("spans", spans, (None, "scheme", "flair")),
            ("score", score, ("probability", "flair")),
        ):
            if value not in known:
                options = [each for each in known if each is not None]
                raise InputError(f"{name} = {value!r}: {did_you_mean(str(value), options)}")
        if not self.distributions and (distributions or score == "flair"):
            what = "distributions" if distributions else "score='flair'"
            raise InputError(
                f"{what}: this tagger was trained without them; set model.distributions: true and train it"
            )

    def settings(self) -> dict[str, Any]:
        """The tokenizer, the embeddings by kind and name, and the size of a window."""
        return {
            "task": "token-classification",
            "tokenizer": self.tokenizer.saved(),
            "embeddings": indexer_settings(self.indexers),
            "max_length": self.max_length,
            **({"distributions": True} if self.distributions else {}),
        }

    def save(self, folder: Path) -> None:
        """Writes ``processor.json``, ``tags.json`` and the vocabularies of the embeddings."""
        save_settings(self, folder)
        self.tags.save(folder)
        for indexer in self.indexers:
            indexer.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder)
        with restoring(folder, "a tagger"):
            indexers = load_indexers(settings["embeddings"], folder)
            tokenizer = tokenizer_from(settings["tokenizer"])
            every = bool(settings.get("distributions", False))
            return cls(tokenizer, indexers, TagSet.load(folder), int(settings["max_length"]), distributions=every)

    def components(self) -> list[Any]:
        """The processor, its tokenizer and the host halves of its embeddings."""
        return [self, self.tokenizer, *self.indexers]


def windows(example: Tokens, size: int, scheme: str) -> Iterator[Tokens]:
    """Yields a sentence in pieces of at most ``size`` tokens, cut at its breaks first; a span that is cut becomes two.

    >>> [window.tokens for window in windows(Tokens(list("abcde"), breaks=(0, 3)), 2, "plain")]
    [['a', 'b'], ['c'], ['d', 'e']]
    """
    count = len(example.tokens)
    if count <= size and len(example.breaks) < 2:
        yield example
        return
    starts = sorted({0, *example.breaks})
    inside: set[int] = set()  # the places that a cut must not go through without saying so
    if example.tags is not None and scheme != "plain":
        inside = {i for span in read_spans(example.tags, scheme) for i in range(span.start + 1, span.end)}
    cuts = [at for begin, end in zip(starts, [*starts[1:], count], strict=True) for at in range(begin, end, size)]
    for number, (at, end) in enumerate(zip(cuts, [*cuts[1:], count], strict=True)):
        tags = None if example.tags is None else example.tags[at:end]
        if tags is not None and scheme != "plain":
            tags = convert(tags, scheme, scheme=scheme)
        yield Tokens(example.tokens[at:end], tags, example.line, window=number, continued=at in inside)


def _lines(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The first token of each line of a text.

    >>> _lines("a b\\n\\nc", [(0, 1), (2, 3), (6, 7)])
    (0, 2)
    """
    ends = [0, *(end for _, end in offsets)]
    return tuple(i for i, (start, _) in enumerate(offsets) if i == 0 or "\n" in text[ends[i] : start])


def _joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Tokens as a text, apart by blanks, and where each stands in it."""
    offsets, at = [], 0
    for token in tokens:
        offsets.append((at, at + len(token)))
        at += len(token) + 1
    return " ".join(tokens), offsets
