# SPDX-License-Identifier: BSD-2-Clause
"""Scores of a sequence labeler: entities where tags are spans, single tags where they are not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.data.encoded import EncodedSentences, name_table
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tags import Span, spans, split_tag, tags_from_spans
from spago_jax.train.details import SAMPLES, UNSEEN, confusion_table, label_table
from spago_jax.train.metrics.entity_f1 import EntityF1
from spago_jax.train.metrics.token_scores import TokenScores
from spago_jax.train.task import Scores

_COUNTED = 1 << 20  # tokens counted at a time


class TagScorer:
    """Compares predicted tags with a corpus's gold ones, sentence by sentence.

    Windows of a long sentence are joined before they are compared, so that scores are those of the file: a gold span
    that a cut goes through counts once.

    Args:
        corpus: the gold corpus, its spans in the model's scheme.
        table: from the corpus's tag ids to the model's, -1 for a tag that training never saw.
        tags: the model's tags.
        loss_per_token: divide the loss by tokens (single decisions) instead of sentences (a CRF), as in training.

    Attributes:
        keep: how many sample sentences are kept.
    """

    keep: int = SAMPLES

    def __init__(self, corpus: EncodedSentences, table: np.ndarray, tags: TagSet, *, loss_per_token: bool = False):
        self._corpus, self._table, self._tags, self._per_token = corpus, table, tags, loss_per_token
        # A gold tag that training never saw is a class of its own, so that it counts as missed.
        self._tokens = TokenScores((*tags.names, UNSEEN))
        self._ids = {name: number for number, name in enumerate(tags.names)}
        self._token_state = self._tokens.init()
        self._entities = None if tags.scheme == "plain" else EntityF1(tags.scheme)
        self._entity_state = self._entities.init() if self._entities else None
        self._loss, self._loss_count = 0.0, 0
        self._windows = np.bincount(corpus.owners, minlength=1)  # of each sentence
        self._waiting: dict[int, dict[int, np.ndarray]] = {}  # the tags of sentences that are not complete yet
        self._unseen: Counter[str] = Counter()
        self._samples: list[tuple[int, list[str], list[str], list[str]]] = []

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the tags of one block."""
        held = block.indices >= 0
        rows = block.indices[held]
        found = np.asarray(outputs["tags"])[: block.steps][held]
        gold, lengths = self._corpus.tags.gather(rows, block.length)  # type: ignore[union-attr]
        if "loss" in outputs:
            losses = np.asarray(outputs["loss"])[: block.steps][held].astype(np.float64)
            known = ~np.isnan(losses)  # a sentence with a tag that the model lacks has no likelihood
            self._loss += float(losses[known].sum())
            self._loss_count += int(lengths[known].sum()) if self._per_token else int(known.sum())
        whole = self._windows[self._corpus.owners[rows]] == 1
        ids = self._table[gold[whole]]
        unseen = (ids < 0) & (np.arange(block.length) < lengths[whole, None])
        self._unseen.update(self._corpus.tag_names[tag] for tag in gold[whole][unseen].tolist())
        ids = np.where(ids < 0, len(self._tags.names), ids)
        self._token_state = self._tokens.update(self._token_state, ids, found[whole], lengths=lengths[whole])
        for row, is_whole, gold_row, found_row, length in zip(rows.tolist(), whole, gold, found, lengths, strict=True):
            if not is_whole:
                self._wait(row, found_row[:length])
            elif self._entities is not None or len(self._samples) < self.keep:
                wanted = [self._corpus.tag_names[i] for i in gold_row[:length]]
                self._compare(row, wanted, [self._tags.names[i] for i in found_row[:length]])

    def _wait(self, row: int, found: np.ndarray) -> None:
        """Keeps the tags of a window until those of its whole sentence are there."""
        owner = int(self._corpus.owners[row])
        parts = self._waiting.setdefault(owner, {})
        parts[row] = found
        if len(parts) < self._windows[owner]:
            return
        rows = sorted(self._waiting.pop(owner))
        wanted = joined_gold(self._corpus, rows, self._tags.scheme)
        got = [self._tags.names[i] for part in rows for i in parts[part].tolist()]
        unseen = [tag for tag in wanted if tag not in self._ids]
        self._unseen.update(unseen)
        ids = np.array([[self._ids.get(tag, len(self._tags.names)) for tag in wanted]])
        self._token_state = self._tokens.update(self._token_state, ids, np.array([[self._ids[tag] for tag in got]]))
        self._compare(rows[0], wanted, got)

    def _compare(self, row: int, wanted: list[str], got: list[str]) -> None:
        if self._entities is not None and self._entity_state is not None:
            self._entity_state = self._entities.update(self._entity_state, wanted, got)
        self._keep(row, wanted, got)

    def _keep(self, row: int, wanted: list[str], got: list[str]) -> None:
        """Samples: sentences in which there is something to see, two with mistakes for one without."""
        wrong = wanted != got
        dull = all(tag == "O" for tag in (*wanted, *got))
        right = sum(1 for _, _, w, g in self._samples if w == g)
        if dull or len(self._samples) >= self.keep or (not wrong and right >= min(self.keep, SAMPLES) // 3):
            return
        self._samples.append((row, self._corpus.whole(row).tokens, wanted, got))

    def compute(self) -> Scores:
        """The scores so far."""
        values: dict[str, float] = {}
        token_scores = self._tokens.compute(self._token_state)
        if self._entities is not None and self._entity_state is not None:
            scores = self._entities.compute(self._entity_state)
            values |= {name: scores[name] for name in ("f1", "precision", "recall", "accuracy")}
            labels = label_table(self._entities.rows(self._entity_state))
            names, matrix = self._label_confusions()
        else:
            values |= {name: token_scores[name] for name in ("accuracy", "macro_f1")}
            labels = label_table(self._tokens.rows(self._token_state))
            names, matrix = list(self._tokens.labels), self._token_state
        if self._loss_count:
            values["loss"] = self._loss / self._loss_count
        samples = [
            {"kind": "tags", "tokens": tokens, "gold": gold, "predicted": found, "scheme": self._tags.scheme,
             "line": int(self._corpus.lines[row])}
            for row, tokens, gold, found in self._samples
        ]  # fmt: skip
        details = {"labels": labels, "confusions": confusion_table(names, matrix), "samples": samples}
        return Scores(values, details | ({"unseen": dict(self._unseen)} if self._unseen else {}))

    def _label_confusions(self) -> tuple[list[str], np.ndarray]:
        """The confusions of tokens by label, prefixes left out: what people look for."""
        scheme = self._tags.scheme
        of_tag = [name if name in ("O", UNSEEN) else split_tag(name, scheme)[1] for name in self._tokens.labels]
        names = list(dict.fromkeys(of_tag))
        matrix = np.zeros((len(names), len(names)), np.int64)
        places = np.array([names.index(label) for label in of_tag])
        np.add.at(matrix, (places[:, None], places[None, :]), self._token_state)
        return names, matrix


def joined_gold(corpus: EncodedSentences, rows: Sequence[int], scheme: str) -> list[str]:
    """Returns the gold tags of a sentence as its file has them: spans that were cut at windows are whole again."""
    tags, joined, at = [], [], 0
    for row in rows:
        assert corpus.tags is not None
        part = [corpus.tag_names[tag] for tag in corpus.tags[row].tolist()]
        if scheme != "plain":
            for number, span in enumerate(spans(part, scheme)):
                start, end = span.start + at, span.end + at
                if number == 0 and span.start == 0 and corpus.continued[row]:
                    joined[-1] = joined[-1]._replace(end=end)
                else:
                    joined.append(Span(start, end, span.label))
        tags += part
        at += len(part)
    return tags if scheme == "plain" else tags_from_spans(joined, at, scheme)


def majority_scores(train: EncodedSentences, corpus: EncodedSentences, table: np.ndarray, tags: TagSet) -> Scores:
    """What the most frequent training tag of each token form scores; an unseen form gets the commonest tag of all."""
    assert train.tags is not None
    classes = len(train.tag_names)
    cells = len(train.lexicon) * classes
    counts = np.zeros(cells, np.int64)
    for at in range(0, len(train.forms.values), _COUNTED):  # in pieces: the corpus may be larger than memory
        forms, found = train.forms.values[at : at + _COUNTED], train.tags.values[at : at + _COUNTED]
        counts += np.bincount(forms.astype(np.int64) * classes + found, minlength=cells)
    counts = counts.reshape(-1, classes)
    names = train.tag_names
    order = sorted(range(classes), key=lambda i: names[i])  # ties go to the first name, on every machine alike
    best = np.array(order)[counts[:, order].argmax(axis=1)]
    commonest = int(np.array(order)[counts.sum(axis=0)[order].argmax()])
    known = {form: i for i, form in enumerate(train.lexicon)}
    of_form = np.array([best[known[form]] if form in known else commonest for form in corpus.lexicon], np.int32)
    to_model = name_table(names, tags.names)
    scorer = TagScorer(corpus, table, tags)
    for at in range(0, len(corpus), 1024):
        rows = np.arange(at, min(at + 1024, len(corpus)))
        length = int(corpus.lengths[rows].max(initial=1))
        forms, _ = corpus.forms.gather(rows, length)
        scorer.update(Block(length, rows[None]), {"tags": to_model[of_form[forms]][None]})
    return Scores(scorer.compute().values)
