# SPDX-License-Identifier: BSD-2-Clause
"""Watch: values collected step by step, their mean by epoch, and the trends of those means."""

import fnmatch
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.watch.text_log import csv_text, log_lines, remaining
from spago_jax.train.watch.trend import Trend, TrendGroup

OnFlush = Callable[[dict[str, float]], None]


class Watch:
    """The history of a training: ``collect`` and ``record`` after each step, ``flush`` after each epoch.

    Values that are on a device stay there until they are flushed, and come in one transfer, so that collecting does
    not hold the device up. An experiment has one of its own; in a loop of your own:

        for batch in batches:
            model, found = step(model, batch)       # found: a dict of taps, returned by the compiled step
            watch.collect(found)
        watch.flush()
        if watch.trend("loss").stalled(5, 1e-3): ...

    Args:
        groups: names that stand for several others: ``{"heads": ("head_0", "head_1")}``.
        higher_is_better: the names of which more is better; of all others less is.
        on_flush: is given the means after every flush.
        clock: a function that gives the seconds.

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
        self.groups = {name: tuple(members) for name, members in (groups or {}).items()}
        self.higher_is_better = frozenset(higher_is_better)
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
        """Starts the clock; the first value does so otherwise."""
        if self._began is None:
            self._began = self._clock()

    def collect(self, found: Mapping[str, Any], *names: str) -> None:
        """Adds one step's values, of all names or of those given; a name that was not found is passed over.

        A value that is no single number counts with its mean (goDl takes its first element).

        Args:
            found: arrays by name, such as a compiled step returns of ``collect_taps``.
            names: which of them.
        """
        for name in names or found:
            if name in found:
                self.record(name, found[name])

    def record(self, name: str, *values: Any) -> None:
        """Adds values under a name: numbers, or arrays that may be on a device; without values nothing happens."""
        if not values:
            return
        self.start()
        self._waiting.setdefault(name, []).extend(_one_number(value, name) for value in values)

    def collected(self, name: str) -> list[float]:
        """What was added under a name since the last flush."""
        return [float(value) for value in jax.device_get(self._waiting.get(name, []))]

    def flush(self, *names: str) -> dict[str, float]:
        """Ends an epoch: the mean of what was added since the last flush goes into the history, by name.

        Args:
            names: which (groups and patterns are expanded); all by default.

        Returns:
            The means; a name to which nothing was added is not among them.
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
        """The names that values were added under."""
        return list(dict.fromkeys([*self._series, *self._waiting]))

    def trend(self, name: str) -> Trend:
        """The means of one name, one a flush; empty before the first.

        Raises:
            InputError: for a name under which nothing was added, where there are others.
        """
        self._known(name)
        return Trend(self._series.get(name, ()), higher_is_better=name in self.higher_is_better)

    def trends(self, *names: str) -> TrendGroup:
        """The trends of several names; groups and patterns (``"head_*"``) are expanded; all by default."""
        chosen = self._chosen(names, self.names()) if names else self.names()
        return TrendGroup({name: self.trend(name) for name in chosen})

    def reset(self, *names: str) -> None:
        """Forgets the history of some names, or all of it; what was added since the last flush stays."""
        for name in self._chosen(names, self.names()) if names else list(self._series):
            self._series.pop(name, None)

    @property
    def flush_count(self) -> int:
        """How many flushes there were that had something to flush."""
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
        """Seconds until ``total`` flushes: ``elapsed / flushes (total - flushes)``; 0 once they are done."""
        done = self.flush_count - self._restored
        return remaining(self.elapsed, done, total - self._restored)

    # -- files -----------------------------------------------------------------------------------------------------

    def export_csv(self, path: str | Path, *names: str) -> None:
        """Writes the history as CSV, see ``csv_text``.

        Raises:
            InputError: where there is no history yet.
            CheckpointError: where the file cannot be written.
        """
        self._write(path, csv_text(self._history(names)))

    def write_log(self, path: str | Path, total: int, *names: str) -> None:
        """Writes the history as a text for people, see ``log_lines``, under a line with the time.

        Args:
            path: the file.
            total: how many epochs there will be, for the time that remains.
            names: which; all by default.

        Raises:
            InputError: where there is no history yet.
            CheckpointError: where the file cannot be written.
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
            raise InputError("nothing to write: no values were flushed yet")
        return found

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The history and what waits to be flushed, as JSON."""
        waiting = {name: self.collected(name) for name in self._waiting}
        return {"series": self._series, "waiting": waiting, "seconds": self._seconds}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Takes up what ``to_json`` gave, in another process."""
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


def _one_number(value: Any, name: str) -> Any:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Tracer):
        raise InputError(
            f"the value of {name!r} is being traced: return it from the compiled function, and record what that gives"
        )
    return value if jnp.ndim(value) == 0 else jnp.mean(value, dtype=jnp.result_type(float))
