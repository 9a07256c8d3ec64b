# SPDX-License-Identifier: BSD-2-Clause
"""Call: one method of another system, as inputs of a task and an answer made of its outcome."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from spago_jax.serve.engine import Engine, Outcome, Request, Served
from spago_jax.serve.engine.problems import Refused

POOLINGS = (("pooler",), ("mean",), ("max",), ("mean", "max"))
"""The pooling strategies of both systems, by their numbers."""

Fields = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Call:
    """One method of another system.

    Attributes:
        name: of the method.
        tasks: those that can do it, the best one first.
        ask: from the fields of a request and the model to an input and options.
        tell: from an outcome and the fields of its request to those of the answer.
    """

    name: str
    tasks: tuple[str, ...]
    ask: Callable[[Fields, Served], tuple[Any, dict[str, Any]]]
    tell: Callable[[Any, Fields], dict[str, Any]]

    def submit(self, engine: Engine, fields: Fields, timeout: float | None, model: str | None = None) -> Request:
        """Asks the model that is named, or the first that has the task.

        Raises:
            Problem: where there is none, or it refuses.
        """
        served = engine.model_of(*self.tasks) if model is None else engine.model(model)
        if served.task not in self.tasks:
            raise Refused(f"{served.name!r} does {served.task}, not {' or '.join(self.tasks)}", field="model")
        value, options = self.ask(fields, served)
        section = served.Options
        if section is not None:  # a model that a run has trained knows fewer options than a pre-trained one
            options = {name: value for name, value in options.items() if name in section.model_fields}
        return engine.submit(served, [value], options, timeout=timeout, truncate=True)

    def answer(self, outcome: Outcome, fields: Fields) -> dict[str, Any]:
        """Returns the fields of the answer.

        Raises:
            Problem: where there is no answer.
        """
        if outcome.problem is not None:
            raise outcome.problem
        return self.tell(outcome.answer, fields)


def text(fields: Fields, name: str = "text") -> str:
    """Returns a text of a request; one that is left out is empty, as in Go."""
    return fields.get(name) or ""


def encoded(fields: Fields, name: str) -> tuple[Any, dict[str, Any]]:
    """Returns the text of a request for a vector, and its pooling.

    Raises:
        Refused: for a strategy that there is not.
    """
    number = fields.get("pooling_strategy") or 0
    if not (isinstance(number, int) and 0 <= number < len(POOLINGS)):
        raise Refused(f"pooling_strategy = {number!r}, expected 0 to 3", field="pooling_strategy")
    return text(fields, name), {"pooling": POOLINGS[number], "normalize": False}


def masks(source: str, served: Served) -> str:
    """Returns a text in which the masks are those of the model's own tokenizer."""
    return source.replace("[MASK]", getattr(served.predictor.processor, "mask", "[MASK]"))


def places_of_masks(source: str) -> list[tuple[int, int]]:
    """Returns where the masks of a text stand, in code points.

    >>> places_of_masks("a [MASK] b [MASK]")
    [(2, 8), (11, 17)]
    """
    found, at = [], source.find("[MASK]")
    while at >= 0:
        found.append((at, at + 6))
        at = source.find("[MASK]", at + 6)
    return found


def tagged_tokens(answer: Any, *, merge: bool, drop: bool) -> list[dict[str, Any]]:
    """Returns the tokens of a tagged text.

    Args:
        answer: the tagged text.
        merge: whether tokens of one entity are one, with the label of the entity.
        drop: whether tokens outside of entities are left out.
    """
    scores = answer.scores or (1.0,) * len(answer.tokens)
    if not merge or answer.plain:
        found = [
            {"text": token, "start": start, "end": end, "label": tag, "score": score}
            for token, (start, end), tag, score in zip(answer.tokens, answer.offsets, answer.tags, scores, strict=True)
        ]
    else:
        found, inside = [], set()
        for span in answer.spans:
            inside |= {n for n, (start, end) in enumerate(answer.offsets) if start < span.end and end > span.start}
            found.append(
                {"text": span.text, "start": span.start, "end": span.end, "label": span.label, "score": span.score}
            )
        for number, (token, (start, end)) in enumerate(zip(answer.tokens, answer.offsets, strict=True)):
            if number not in inside:
                found.append({"text": token, "start": start, "end": end, "label": "O", "score": scores[number]})
        found.sort(key=lambda token: token["start"])
    return [token for token in found if not (drop and token["label"] == "O")]
