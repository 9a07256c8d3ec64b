# SPDX-License-Identifier: BSD-2-Clause
"""Limits on the time that texts may take: a deadline, and a way to stop from outside."""

import dataclasses
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Limits:
    """When writing ends before the texts do. It is looked at between segments of the loop.

    Attributes:
        seconds: from ``started`` on; None for no deadline.
        cancelled: says when nobody waits for the texts any more; None: somebody does.
        started: on the clock of ``time.monotonic``.

    >>> Limits(cancelled=lambda: True).reached()
    True
    """

    seconds: float | None = None
    cancelled: Callable[[], bool] | None = None
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def any(self) -> bool:
        """Whether there are limits at all."""
        return self.seconds is not None or self.cancelled is not None

    def reached(self) -> bool:
        """Whether it is time to end."""
        if self.seconds is not None and time.monotonic() - self.started >= self.seconds:
            return True
        return self.cancelled is not None and self.cancelled()
