# SPDX-License-Identifier: BSD-2-Clause
"""Entity precision, recall and F1, as conlleval of the CoNLL shared tasks defines them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from spago_jax.data.formats.conll import read_conll
from spago_jax.errors import InputError
from spago_jax.text.tags import parse_scheme, spans
from spago_jax.train.metrics.protocol import ratio

__all__ = ["EntityF1", "EntityRow", "EntityState", "score_conll_files"]


class EntityState(TypedDict):
    """Counts: tokens, tokens whose tags agree, and per label [gold, predicted, correct] spans."""

    tokens: int
    correct_tokens: int
    spans: dict[str, list[int]]


class EntityRow(NamedTuple):
    """The scores of one label, as fractions of 1."""

    label: str
    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int
    correct: int


def _row(label: str, gold: int, predicted: int, correct: int) -> EntityRow:
    # 2 c / (g + p) is the harmonic mean of c / p and c / g, without its 0 / 0.
    return EntityRow(
        label,
        ratio(correct, predicted),
        ratio(correct, gold),
        ratio(2 * correct, gold + predicted),
        gold,
        predicted,
        correct,
    )


class EntityF1:
    """Counts a predicted span as correct if the gold tags have one with the same tokens and the same label.

    precision = correct / predicted, recall = correct / gold, f1 = 2 correct / (gold + predicted), all over spans;
    accuracy = tokens with the right tag / tokens. Spans are read as conlleval does (see `text.tags.spans`): an
    ``I-`` that continues nothing starts a span, so tags that a scheme forbids are still scored.

    Source: Tjong Kim Sang and De Meulder 2003, and the script conlleval.

    >>> metric = EntityF1()
    >>> state = metric.update(metric.init(), ["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "I-PER", "O", "B-ORG"])
    >>> scores = metric.compute(state)
    >>> scores["precision"], scores["recall"], scores["f1"], scores["accuracy"], scores["f1/PER"]
    (0.5, 0.5, 0.5, 0.75, 1.0)

    Args:
        scheme: how tags are read: ``BIOES``, the default, reads IOB1 and IOB2 too; ``plain`` for tags without
            prefixes, whose runs are spans.
    """

    def __init__(self, scheme: str = "BIOES"):
        self.scheme = parse_scheme(scheme)

    def init(self) -> EntityState:
        """Returns the empty state."""
        return {"tokens": 0, "correct_tokens": 0, "spans": {}}

    def update(self, state: EntityState, gold: Sequence[str], predicted: Sequence[str]) -> EntityState:
        """Counts one sentence.

        Raises:
            InputError: the lengths differ, or a tag's prefix is not one of the scheme's.
        """
        if len(gold) != len(predicted):
            raise InputError(f"{len(predicted)} predicted tags for {len(gold)} gold tags: expected one per token")
        wanted, got = spans(gold, self.scheme), spans(predicted, self.scheme)
        both = set(wanted) & set(got)
        counts = {label: list(row) for label, row in state["spans"].items()}
        for place, found in enumerate((wanted, got, both)):
            for span in found:
                counts.setdefault(span.label, [0, 0, 0])[place] += 1
        return {
            "tokens": state["tokens"] + len(gold),
            "correct_tokens": state["correct_tokens"] + sum(a == b for a, b in zip(gold, predicted, strict=True)),
            "spans": counts,
        }

    def merge(self, a: EntityState, b: EntityState) -> EntityState:
        """Returns the counts of both parts."""
        labels = dict.fromkeys([*a["spans"], *b["spans"]])
        none = [0, 0, 0]
        return {
            "tokens": a["tokens"] + b["tokens"],
            "correct_tokens": a["correct_tokens"] + b["correct_tokens"],
            "spans": {
                label: [x + y for x, y in zip(a["spans"].get(label, none), b["spans"].get(label, none), strict=True)]
                for label in labels
            },
        }

    def overall(self, state: EntityState) -> EntityRow:
        """Returns the row of all labels together (micro average)."""
        gold, predicted, correct = (sum(row[i] for row in state["spans"].values()) for i in range(3))
        return _row("all", gold, predicted, correct)

    def rows(self, state: EntityState) -> list[EntityRow]:
        """Returns one row per label of the gold or the predicted tags, sorted by label."""
        return [_row(label, *state["spans"][label]) for label in sorted(state["spans"])]

    def compute(self, state: EntityState) -> dict[str, float]:
        """Returns ``precision``, ``recall``, ``f1``, ``accuracy``, and ``f1/LABEL`` per label; fractions of 1."""
        overall = self.overall(state)
        return {
            "precision": overall.precision,
            "recall": overall.recall,
            "f1": overall.f1,
            "accuracy": ratio(state["correct_tokens"], state["tokens"]),
            **{f"f1/{row.label}": row.f1 for row in self.rows(state)},
        }


def score_conll_files(
    gold: str | Path, predicted: str | Path, *, scheme: str = "BIOES", metric: EntityF1 | None = None
) -> EntityState:
    """Counts the entities of a file of predictions against a file of gold tags; the last column is the tag.

    One file may separate columns by tabs and the other by blanks. Tokens are not compared: systems of the shared
    tasks escape some of them.

    Args:
        gold: a CoNLL column file.
        predicted: another, with the same sentences.
        scheme: as in `EntityF1`.
        metric: used instead of a new one with `scheme`.

    Raises:
        InputError: a file cannot be read, or the numbers or lengths of the sentences differ.
    """
    metric = metric or EntityF1(scheme)
    state = metric.init()
    theirs = iter(read_conll(predicted))
    for sentence in read_conll(gold):
        other = next(theirs, None)
        if other is None:
            raise InputError(f"ends before the sentence of {Path(gold).name}:{sentence.line}", path=predicted)
        if len(other.tokens) != len(sentence.tokens):
            raise InputError(
                f"a sentence of {len(other.tokens)} tokens, where {Path(gold).name}:{sentence.line} has "
                f"{len(sentence.tokens)}",
                path=predicted,
                line=other.line,
            )
        state = metric.update(state, sentence.tags or (), other.tags or ())
    extra = next(theirs, None)
    if extra is not None:
        raise InputError(f"goes on after the last sentence of {Path(gold).name}", path=predicted, line=extra.line)
    return state
