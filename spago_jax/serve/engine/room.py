# SPDX-License-Identifier: BSD-2-Clause
"""Room: where inputs wait, bounded in items and in tokens, and how batches are taken from it. Knows no threads."""

from collections.abc import Callable, Sequence
from itertools import count

from spago_jax.serve.engine.limits import Limits
from spago_jax.serve.engine.problems import Overloaded, TooLarge
from spago_jax.serve.engine.request import Entry


class Room:
    """Where inputs wait.

    An input has a place from its arrival to its answer (``reserve``, ``release``), so that what waits to be read, waits
    to be computed and is computed is bounded together. Once it is read it waits to be computed, and its tokens are
    counted until a batch takes it (``put``, ``take``).

    Args:
        limits: how many items and tokens it has room for.
        pace: the tokens that are answered per second, which says when it is worth another try; None where not known.
    """

    def __init__(self, limits: Limits, pace: Callable[[], float | None] = lambda: None):
        self.limits, self._pace = limits, pace
        self.items = self.tokens = 0
        self._waiting: list[Entry] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def reserve(self, items: int) -> None:
        """Reserves places for inputs that were not read yet: for all of a request, or for none.

        Raises:
            TooLarge: for more than ever fit.
            Overloaded: where they do not fit now.
        """
        self._check(items, self.items, self.limits.request_items, self.limits.queue_items, "inputs")
        self.items += items

    def release(self, items: int) -> None:
        """Gives reserved places back."""
        self.items -= items

    def put(self, entries: Sequence[Entry]) -> None:
        """Lets read inputs of one request, which have their places, wait: all of them, or none.

        Raises:
            TooLarge: for more tokens than ever fit.
            Overloaded: where they do not fit now.
        """
        tokens = sum(entry.tokens for entry in entries)
        self._check(tokens, self.tokens, self.limits.queue_tokens, self.limits.queue_tokens, "padded tokens")
        self.tokens += tokens
        for entry in entries:
            entry.number = next(self._numbers)
        self._waiting += entries

    def _check(self, more: int, held: int, at_once: int, most: int, unit: str) -> None:
        if more > at_once:
            raise TooLarge(
                f"{more} {unit}, and a request may hold {at_once}", field="inputs", hint="send several requests"
            )
        if held + more > most:
            raise Overloaded(f"{held} {unit} are waiting, and {most} may", retry_after=self.retry_after())

    def first(self) -> Entry | None:
        """The input that has waited longest."""
        return self._waiting[0] if self._waiting else None

    def dropped(self, gone: Callable[[Entry], bool]) -> list[Entry]:
        """Takes out the inputs that nobody waits for, before they cost anything."""
        out = [entry for entry in self._waiting if gone(entry)]
        if out:
            lost = {id(entry) for entry in out}
            self._take(lost)
        return out

    def take(self) -> list[Entry]:
        """Takes a batch: the input that has waited longest, and others of its kind that cost least beside it.

        It leads, whatever it costs, so none waits for ever; those of its own length come first, then shorter ones, then
        longer ones, while rows times the longest length stays within ``batch_tokens``.
        """
        head = self.first()
        if head is None:
            return []
        longest = max(head.prepared.lengths, default=1)
        rows = max(len(head.prepared.lengths), 1)
        kind, chosen = head.prepared.kind, [head]

        def rank(entry: Entry) -> tuple[bool, int, int]:
            own = max(entry.prepared.lengths, default=1)
            return own > longest, abs(own - longest), entry.number

        for entry in sorted((each for each in self._waiting[1:] if each.prepared.kind == kind), key=rank):
            own = max(entry.prepared.lengths, default=1)
            more = rows + max(len(entry.prepared.lengths), 1)
            if more * max(longest, own) <= self.limits.batch_tokens:
                chosen.append(entry)
                rows, longest = more, max(longest, own)
        self._take({id(entry) for entry in chosen})
        return sorted(chosen, key=lambda entry: entry.number)

    def _take(self, chosen: set[int]) -> None:
        self.tokens -= sum(entry.tokens for entry in self._waiting if id(entry) in chosen)
        self._waiting = [entry for entry in self._waiting if id(entry) not in chosen]

    def retry_after(self) -> int:
        """Returns the seconds in which what waits may be answered, at least 1 and at most 30."""
        pace = self._pace()
        return 1 if not pace else int(min(max(self.tokens / pace, 1), 30))
