# SPDX-License-Identifier: BSD-2-Clause
"""The engine without a server: a file of a million lines is answered by the queue that requests go through."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spago_jax.data.processor import Answer
from spago_jax.errors import InputError
from spago_jax.serve.engine.engine import Engine
from spago_jax.serve.engine.limits import Limits
from spago_jax.serve.engine.models import Served
from spago_jax.serve.engine.problems import Refused
from spago_jax.tasks.predictor import Predictor

_ANY = 2**31


def answers_of(predictor: Predictor, inputs: Iterable[Any], options: Mapping[str, Any]) -> Iterator[Answer]:
    """Yields the answers to many inputs in order: texts are read beside the call that runs, and few are held.

    Args:
        predictor: what answers; it is not warmed, for a short file would not pay for it.
        inputs: as the task takes them.
        options: what the task lets a user set.

    Raises:
        InputError: for the first input that the task does not read; those before it have been answered.
    """
    # What a server refuses so that others get their turn, a file may have.
    limits = Limits(item_tokens=_ANY, queue_tokens=_ANY, item_characters=_ANY, most_timeout=1e9, timeout=1e9)
    with Engine(limits) as engine:
        served = Served(predictor.name, predictor.name, predictor)
        engine.ready()
        for outcome in engine.answer_all(served, iter(inputs), options):
            if outcome.problem is None:
                assert outcome.answer is not None
                yield outcome.answer
            elif isinstance(outcome.problem, Refused):
                hint = f": {outcome.problem.hint}" if outcome.problem.hint else ""
                raise InputError(outcome.problem.message + hint)
            else:
                raise outcome.problem
