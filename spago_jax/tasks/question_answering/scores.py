# SPDX-License-Identifier: BSD-2-Clause
"""Scores of question answering: the answers that users would get, by the rules of SQuAD's official script."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.tasks.question_answering.processor import QuestionProcessor
from spago_jax.tasks.question_answering.rows import SpanRows
from spago_jax.train.details import SAMPLES
from spago_jax.train.metrics.answer_scores import AnswerScores, answer_f1
from spago_jax.train.task import Scores

NONE = "(no answer)"


class SpanScorer:
    """Exact match and F1 over whole passages, whose windows are merged as they are for a user.

    Args:
        processor: decodes the answers.
        rows: the windows.

    Attributes:
        keep: how many mistakes are kept.
    """

    keep: int = SAMPLES

    def __init__(self, processor: QuestionProcessor, rows: SpanRows):
        self._processor, self._rows = processor, rows
        self._outputs: dict[int, dict[str, np.ndarray]] = {}
        self._losses: list[float] = []

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the logits of one block."""
        held = block.indices >= 0
        arrays = {name: np.asarray(outputs[name])[: block.steps][held] for name in ("start", "end", "loss")}
        self._losses += arrays["loss"].tolist()
        for place, row in enumerate(block.indices[held].tolist()):
            length = int(self._rows.lengths[row])
            self._outputs[row] = {name: arrays[name][place, :length].copy() for name in ("start", "end")}

    def compute(self) -> Scores:
        """The scores of all questions whose windows were seen."""
        metric = AnswerScores()
        state, wrong = metric.init(), []
        owned: dict[int, list[int]] = {number: [] for number in range(len(self._rows.questions))}
        for row, owner in enumerate(self._rows.owners.tolist()):
            owned[owner].append(row)
        for number, question in enumerate(self._rows.questions):
            found = [self._outputs[row] for row in owned[number] if row in self._outputs]
            encoded = self._processor.encode([question])  # cut again: the windows of a whole corpus are many
            answers = self._processor.decode(found, encoded, range(len(encoded)), question, top_k=1)
            predicted = answers[0].text if len(answers) else ""
            golds = [text for text, _ in question.answers]
            state = metric.update(state, golds, predicted)
            f1 = answer_f1(golds, predicted)
            if f1 < 1 and len(wrong) < self.keep:
                wrong.append(
                    {
                        "kind": "text",
                        "text": question.question,
                        "line": question.line,
                        "gold": golds[0] if golds else NONE,
                        "predicted": predicted or NONE,
                        "f1": round(f1, 4),
                    }
                )
        values = metric.compute(state)
        first = {name: values.pop(name) for name in ("f1", "exact_match")}
        return Scores({**first, "loss": float(np.mean(self._losses)), **values}, {"samples": wrong})
