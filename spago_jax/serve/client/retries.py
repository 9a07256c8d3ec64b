# SPDX-License-Identifier: BSD-2-Clause
"""Retries: when a refused request is worth another try, and how much later."""

import dataclasses
import random
from collections.abc import Iterator

from spago_jax.errors import SpagoError


class ServerError(SpagoError):
    """What a server says instead of an answer.

    Attributes:
        status: of HTTP, whichever door it came through.
        type: a word for programs.
        field: the part of the request that it is about.
        hint: the way out.
        retry_after: seconds after which the server wants to be asked again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        type: str = "failed",
        field: str | None = None,
        hint: str | None = None,
        retry_after: float = 0.0,
    ):
        super().__init__(": ".join(part for part in (message, hint) if part))
        self.status, self.message, self.type, self.field, self.hint = status, message, type, field, hint
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True)
class Retries:
    """How often a request is tried again that was refused before any work was done (429, 503).

    Attributes:
        most: how often it is tried again.
        longest: seconds that are waited between two tries, at most.
        jitter: the share of a wait that is drawn, so that callers do not come back together.
    """

    most: int = 4
    longest: float = 30.0
    jitter: float = 0.5

    def waits(self, draw: random.Random | None = None) -> Iterator[float]:
        """Yields the seconds before each further try, doubled each time, where the server does not ask for more.

        >>> [round(wait, 2) for wait in Retries(most=3, jitter=0.0).waits()]
        [0.25, 0.5, 1.0]
        """
        drawn = draw or random.Random()
        for number in range(self.most):
            wait = 0.25 * 2**number
            yield min(wait * (1 + self.jitter * drawn.random()), self.longest)

    def pause(self, waits: Iterator[float], error: ServerError) -> float:
        """Returns the seconds before the next try, which are what the server asks for at least.

        Args:
            waits: of the request, see ``waits``.
            error: what came of the last try.

        Raises:
            ServerError: the given one, where nothing is gained by another try.
        """
        wait = next(waits, None) if self.worth(error) else None
        if wait is None:
            raise error from None
        return min(max(wait, error.retry_after), self.longest)

    def worth(self, error: ServerError) -> bool:
        """Whether the request was refused before any work was done."""
        return error.status in (429, 503)
