# SPDX-License-Identifier: BSD-2-Clause
"""What a sweep found: its trials in the order of their scores."""

import dataclasses

from spago_jax.sweep.folder import Record, SweepFolder
from spago_jax.sweep.halving import ranked
from spago_jax.sweep.schema import Sweep
from spago_jax.sweep.trials import Trial
from spago_jax.train.task import Score


@dataclasses.dataclass(frozen=True)
class SweepResult:
    """A sweep as far as it got.

    Attributes:
        sweep: what was asked for.
        folder: where everything is.
        metric: the dev score that ranks the trials.
        trials: all of them, by number.
        records: the lines of ``trials.jsonl``.
    """

    sweep: Sweep
    folder: SweepFolder
    metric: Score
    trials: tuple[Trial, ...]
    records: list[Record]

    def best_first(self) -> list[Record]:
        """The last record of each trial, the best first: those of a later rung before all of an earlier one.

        Of equal scores the earlier trial's is the better one; trials that failed come last, by number.
        """
        last: dict[int, Record] = {}
        for record in sorted(self.records, key=lambda r: r["rung"]):
            last[record["trial"]] = record
        found: list[Record] = []
        for rung in sorted({record["rung"] for record in last.values()}, reverse=True):
            scores = {number: record["score"] for number, record in last.items() if record["rung"] == rung}
            found += [last[number] for number in ranked(scores, self.metric)]
        failed = [record for _, record in sorted(last.items()) if record["state"] == "failed"]
        return found + failed

    @property
    def keys(self) -> list[str]:
        """The parameters, in the order of the file."""
        return list(self.sweep.parameters)


def label(record: Record) -> str:
    """A trial's number, as tables and curves call it.

    >>> label({"folder": "012-hidden-64"})
    '012'
    """
    return record["folder"].partition("-")[0]
