# SPDX-License-Identifier: BSD-2-Clause
"""Request: some inputs of one caller, each with its own fate."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from spago_jax.data.processor import Answer
from spago_jax.serve.engine.problems import Cancelled, Expired, Problem
from spago_jax.tasks.predictor import Prepared


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        answer: None where there is a problem.
        problem: why there is no answer.
        tokens: the padded tokens that it was.
        dropped: how many tokens of it were not read, where the caller allowed that.
    """

    answer: Answer | None = None
    problem: Problem | None = None
    tokens: int = 0
    dropped: int = 0

    @property
    def status(self) -> int:
        """That of HTTP."""
        return 200 if self.problem is None else self.problem.status


@dataclasses.dataclass(eq=False)
class Entry:
    """One input that waits for its answer.

    Attributes:
        request: that it belongs to.
        place: among the inputs of the request.
        prepared: what the model reads.
        number: of all entries, in the order in which they came.
    """

    request: "Request"
    place: int
    prepared: Prepared
    number: int = 0

    @property
    def tokens(self) -> int:
        """Its padded tokens."""
        return self.prepared.cost


@dataclasses.dataclass
class Times:
    """Seconds that the stages of a request took."""

    tokenize: float = 0.0
    queue: float = 0.0
    compute: float = 0.0


class Request:
    """Some inputs of one caller.

    Args:
        count: how many inputs.
        deadline: when it is over, on the clock of the engine.
        began: when it came.
        timeout: how long it has in all, in seconds, for the message.
        settled: is called once when every input has an outcome.
        model: its name, for the log.
        revision: that of the model.

    Attributes:
        outcomes: one per input, None while it is not known.
        done: becomes the outcomes, or raises a ``Problem`` of the whole request.
        cancelled: whether the caller has left.
        times: of its stages.
    """

    def __init__(
        self,
        count: int,
        deadline: float,
        began: float,
        timeout: float,
        settled: Callable[["Request"], None],
        model: str = "",
        revision: str = "",
    ):
        self.deadline, self.began, self.timeout, self.model, self.revision = deadline, began, timeout, model, revision
        self.outcomes: list[Outcome | None] = [None] * count
        self.done: Future[list[Outcome]] = Future()
        self.cancelled = False
        self.times = Times()
        self.queued = began
        self._left, self._settled, self._lock = count, settled, threading.Lock()

    def gone(self, now: float) -> Problem | None:
        """Why nobody waits for the answers any more; None while somebody does."""
        if self.cancelled:
            return Cancelled("the caller has left")
        if now >= self.deadline:
            return Expired(
                f"not answered within {self.timeout:g} s",
                hint="ask for more time (X-Request-Timeout, in milliseconds), or for less work",
            )
        return None

    def settle(self, place: int, outcome: Outcome) -> None:
        """Sets the outcome of an input; the last one ends the request."""
        with self._lock:
            if self.outcomes[place] is not None:
                return
            self.outcomes[place] = outcome
            self._left -= 1
            if self._left:
                return
        self._end(lambda: self.done.set_result([found for found in self.outcomes if found is not None]))

    def fail(self, problem: Problem) -> None:
        """Ends the whole request."""
        with self._lock:
            if not self._left:
                return
            self._left = 0
            self.outcomes = [Outcome(problem=problem)] * len(self.outcomes)
        self._end(lambda: self.done.set_exception(problem))

    def cancel(self) -> None:
        """Says that nobody waits for the answers any more."""
        self.cancelled = True

    def _end(self, tell: Callable[[], None]) -> None:
        self._settled(self)
        if self.done.set_running_or_notify_cancel():
            tell()

    def over(self) -> None:
        """Says that a text that was streamed is at its end: its place is free."""
        self._settled(self)

    def result(self, timeout: float | None = None) -> list[Outcome]:
        """Waits for the outcomes.

        Raises:
            Problem: of the whole request.
        """
        return self.done.result(timeout)

    async def wait(self, left: float) -> Sequence[Outcome]:
        """Waits for the outcomes in an event loop, for so many seconds; whoever stops waiting cancels the request.

        Raises:
            Problem: of the whole request, and where its time is over.
        """
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(over.set)

        self.done.add_done_callback(tell)
        try:
            # A little longer than the deadline, at which the engine itself says that it is over.
            await asyncio.wait_for(over.wait(), max(left, 0.0) + 0.05)
            return self.done.result()
        except TimeoutError:
            problem: Any = self.gone(self.deadline)
            raise problem from None
        finally:
            if not self.done.done():
                self.cancel()
