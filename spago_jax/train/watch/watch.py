# SPDX-License-Identifier: BSD-2-Clause
"""Watch: values collected step by step, their means by epoch, and the trends of those means."""

import fnmatch
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.core.section import one_or_more
from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.watch.text_log import csv_text, log_lines, remaining
from spago_jax.train.watch.trend import Trend, TrendGroup

OnFlush = Callable[[dict[str, float]], None]


class Watch:
    """The history of a training: ``collect`` and ``record`` after each step, ``flush`` after each epoch.

    Values on a device stay there until they are flushed, all in one transfer, so that collecting does not hold up
    the device. An experiment has a watch of its own; in a loop of your own:

        for batch in batches:
            model, found = step(model, batch)       # found: a dict of taps, returned by the compiled step
            watch.collect(found)
        watch.flush()
        if watch.trend("loss").stalled(5, 1e-3): ...

    Args:
        groups: names that stand for several others, such as ``{"heads": ("head_0", "head_1")}``.
        higher_is_better: the names for which higher is better; for all others lower is.
        on_flush: called with the means after every flush.
        clock: a function that returns the time in seconds.

    >>> watch = Watch()
    >>> for value in (2.0, 4.0, 6.0):
    ...     watch.record("loss", value)
    >>> watch.flush()
    {'loss': 4.0}
    >>> watch.record("loss", jnp.float32(3.0))
    >>> watch.flush()
    {'loss': 3.0}
    >>> watch.trend("loss").slope()
    -1.0
    """

    def __init__(
        self,
        *,
        groups: Mapping[str, Iterable[str]] | None = None,
        higher_is_better: Iterable[str] = (),
        on_flush: OnFlush | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.groups = {name: tuple(one_or_more(members)) for name, members in (groups or {}).items()}
        self.higher_is_better = frozenset(one_or_more(higher_is_better))
        self._on_flush = on_flush
        self._clock = clock
        self._series: dict[str, list[float]] = {}
        self._waiting: dict[str, list[Any]] = {}
        self._seconds: list[float] = []  # of each flush that was not empty
        self._began: float | None = None
        self._flushed: float | None = None
        self._restored = 0

    # -- while training --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the clock, which otherwise starts with the first value."""
        if self._began is None:
            self._began = self._clock()

    def collect(self, found: Mapping[str, Any], *names: str) -> None:
        """Adds the values of one step, for all names or for those given; a name that was not found is skipped.

        A value that is not a single number counts as its mean (goDl takes its first element).

        Args:
            found: arrays by name, such as the taps that a compiled step returns from ``collect_taps``.
            names: the ones to add; all by default.
        """
        for name in names or found:
            if name in found:
                self.record(name, found[name])

    def record(self, name: str, *values: Any) -> None:
        """Adds values under a name: numbers, or arrays that may be on a device; without values it does nothing."""
        if not values:
            return
        self.start()
        self._waiting.setdefault(name, []).extend(_one_number(value, name) for value in values)

    def collected(self, name: str) -> list[float]:
        """Returns the values added under a name since the last flush."""
        return [float(value) for value in jax.device_get(self._waiting.get(name, []))]

    def flush(self, *names: str) -> dict[str, float]:
        """Ends an epoch: moves the mean of the values added since the last flush into the history, by name.

        Args:
            names: the ones to flush (groups and patterns are expanded); all by default.

        Returns:
            The means; a name without new values is not among them.
        """
        chosen = self._chosen(names, self._waiting) if names else list(self._waiting)
        waiting = [(name, self._waiting.pop(name)) for name in chosen if self._waiting.get(name)]
        fetched = zip(waiting, jax.device_get([values for _, values in waiting]), strict=True)
        means = {name: sum(map(float, values)) / len(values) for (name, _), values in fetched}
        if not means:
            return {}
        for name, mean in means.items():
            self._series.setdefault(name, []).append(mean)
        now = self._clock()
        self._seconds.append(now - (self._flushed if self._flushed is not None else self._began or now))
        self._flushed = now
        if self._on_flush is not None:
            self._on_flush(dict(means))
        return means

    # -- what it says ----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Returns the names under which values were added."""
        return list(dict.fromkeys([*self._series, *self._waiting]))

    def trend(self, name: str) -> Trend:
        """Returns the means of one name, one per flush; empty before the first.

        Raises:
            InputError: for a name without values, if there are others.
        """
        self._known(name)
        return Trend(self._series.get(name, ()), higher_is_better=name in self.higher_is_better)

    def trends(self, *names: str) -> TrendGroup:
        """Returns the trends of several names; groups and patterns (``"head_*"``) are expanded; all by default."""
        chosen = self._chosen(names, self.names()) if names else self.names()
        return TrendGroup({name: self.trend(name) for name in chosen})

    def reset(self, *names: str) -> None:
        """Forgets the history of some names, or of all; values added since the last flush stay."""
        for name in self._chosen(names, self.names()) if names else list(self._series):
            self._series.pop(name, None)

    @property
    def flush_count(self) -> int:
        """The number of flushes that had something to flush."""
        return len(self._seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the first value (in this process); 0 before."""
        return 0.0 if self._began is None else self._clock() - self._began

    @property
    def last_flush_duration(self) -> float:
        """Seconds between the last two flushes; 0 before there are two."""
        return self._seconds[-1] if self.flush_count - self._restored >= 2 else 0.0

    def eta(self, total: int) -> float:
        """Estimates the seconds until ``total`` flushes: ``elapsed / flushes (total - flushes)``; 0 once done."""
        done = self.flush_count - self._restored
        return remaining(self.elapsed, done, total - self._restored)

    # -- files -----------------------------------------------------------------------------------------------------

    def export_csv(self, path: str | Path, *names: str) -> None:
        """Writes the history as CSV; see ``csv_text``.

        Raises:
            InputError: if there is no history yet.
            CheckpointError: if the file cannot be written.
        """
        self._write(path, csv_text(self._history(names)))

    def write_log(self, path: str | Path, total: int, *names: str) -> None:
        """Writes the history as readable text, below a line with the time; see ``log_lines``.

        Args:
            path: the file.
            total: the total number of epochs, for the remaining time.
            names: the ones to write; all by default.

        Raises:
            InputError: if there is no history yet.
            CheckpointError: if the file cannot be written.
        """
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [f"# {stamp}", *log_lines(self._history(names), self._seconds, total)]
        self._write(path, "\n".join(lines) + "\n")

    def _write(self, path: str | Path, text: str) -> None:
        with explain_os_error(Path(path)):
            replace_file(Path(path), text)

    def _history(self, names: Iterable[str]) -> dict[str, list[float]]:
        found = {name: list(trend) for name, trend in self.trends(*names).items() if trend}
        if not found:
            raise InputError("nothing to write: no values have been flushed yet")
        return found

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Returns the history and the values not flushed yet, as JSON."""
        waiting = {name: self.collected(name) for name in self._waiting}
        return {"series": self._series, "waiting": waiting, "seconds": self._seconds}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Restores what ``to_json`` returned, in another process."""
        self._series = {name: list(values) for name, values in value["series"].items()}
        self._waiting = {name: list(values) for name, values in value["waiting"].items()}
        self._seconds = list(value["seconds"])
        self._restored = len(self._seconds)

    # -- names -----------------------------------------------------------------------------------------------------

    def _known(self, name: str) -> None:
        known = self.names()
        if known and name not in known:
            raise InputError(f"nothing is watched under {name!r}: {did_you_mean(name, [*known, *self.groups])}")

    def _chosen(self, names: Iterable[str], among: Iterable[str]) -> list[str]:
        found: list[str] = []
        for name in names:
            for member in self.groups.get(name, (name,)):
                hits = [other for other in among if fnmatch.fnmatchcase(other, member)]
                if not hits and member not in self.names():
                    self._known(member)
                found += hits
        return list(dict.fromkeys(found))


def _one_number(value: ArrayLike, name: str) -> Any:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Tracer):
        raise InputError(
            f"the value of {name!r} is being traced: return it from the compiled function, and record the result"
        )
    return value if jnp.ndim(value) == 0 else jnp.mean(value, dtype=jnp.result_type(float))
