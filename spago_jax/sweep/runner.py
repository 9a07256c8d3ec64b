# SPDX-License-Identifier: BSD-2-Clause
"""Runs a sweep, or the rest of one that was stopped or killed: the same trials, with the same scores."""

import dataclasses
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from spago_jax.compiler.cache import cache_by_default
from spago_jax.core.disk import explain_os_error
from spago_jax.core.show import score as score_text
from spago_jax.core.show import seconds_text
from spago_jax.errors import CheckpointError, SpagoError, TrainingError
from spago_jax.optim.schedules import follows_length
from spago_jax.sweep.checks import base_experiment, checked_trials, chosen_metric, settings_of
from spago_jax.sweep.folder import Record, SweepFolder, SweepResult
from spago_jax.sweep.halving import Rung, ranked, rungs, survivors
from spago_jax.sweep.page import write_page
from spago_jax.sweep.processes import Workers, one_by_one
from spago_jax.sweep.schema import Halving
from spago_jax.sweep.source import SweepFile
from spago_jax.sweep.trials import Trial
from spago_jax.sweep.worker import Job, Outcome
from spago_jax.tasks.experiment import load_experiment
from spago_jax.train.interrupt import Interrupted
from spago_jax.train.task import Score

Run = Callable[[Sequence[Job]], Generator[tuple[int, Outcome]]]


def run_sweep(
    file: SweepFile, out: str | Path, *, resume: bool = False, say: Callable[[str], None] = lambda line: None
) -> SweepResult:
    """Runs every trial of a sweep into a folder, and draws them in one page.

    Args:
        file: from ``load_sweep``.
        out: the sweep's folder; each trial is a run folder in it.
        resume: go on with the sweep that is there; starts anew where there is none yet.
        say: takes a line about each trial as it ends.

    Raises:
        InputError: for a mistake in any trial, before any is run; for a folder that cannot be used; on a resume, for
            a sweep that is another one.
        TrainingError: when all trials failed.
        CheckpointError: when the disk is full or cannot be written.
        Interrupted: after Ctrl-C, with a checkpoint of every trial that was under way.
    """
    cache_by_default()
    found = checked_trials(file)
    experiment = base_experiment(file)
    folder = SweepFolder(out)
    if not resume:
        folder.refuse_runs([trial.folder for trial in found])
    metric = chosen_metric(file, experiment)
    folder.begin(file, resume=resume)
    with ExitStack() as stack:
        lock = stack.enter_context(folder.locked())
        jobs = min(file.sweep.jobs, len(found))
        run: Run = one_by_one
        if jobs > 1:
            run = stack.enter_context(Workers(jobs, experiment.train.devices, lock)).run
        work = _Work(file, folder, found, metric, run, say)
        try:
            work.all_rungs()
        except (Interrupted, KeyboardInterrupt) as error:
            with suppress(OSError, SpagoError):
                write_page(work.result())
            where = f" in {error}" if str(error) else ""
            raise Interrupted(f"interrupted{where}; what was trained is kept. {_go_on(folder)}") from None
        except CheckpointError as error:
            raise CheckpointError(f"{error}. The sweep has stopped. {_go_on(folder)}") from None
    result = work.result()
    with explain_os_error(folder / "report.html"):
        write_page(result)
    if not any(record["state"] == "finished" for record in result.records):
        first = result.records[0]
        raise TrainingError(f"all {len(found)} trials failed; the first: {first['reason']}")
    return result


def _go_on(folder: SweepFolder) -> str:
    where = quote(str(folder / "sweep.yaml"))
    return f"Go on with: spago-jax sweep {where} --out {quote(str(folder.path))} --resume"


@dataclasses.dataclass
class _Work:
    """What the parts of one call of ``run_sweep`` share."""

    file: SweepFile
    folder: SweepFolder
    trials: list[Trial]
    metric: Score
    run: Run
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        method = self.file.sweep.method
        self.rungs = rungs(method) if isinstance(method, Halving) else [Rung(len(self.trials), 0)]
        self.ended: dict[tuple[int, int], Record] = {(r["trial"], r["rung"]): r for r in self.folder.records()}

    def result(self) -> SweepResult:
        """What there is so far."""
        return SweepResult(self.file.sweep, self.folder, self.metric, tuple(self.trials), self.folder.records())

    def all_rungs(self) -> None:
        """Every rung that has not ended."""
        sweep = self.file.sweep
        self.say(f"{sweep.name}: {len(self.trials)} trials by {sweep.method.kind}, folder {self.folder.path}")
        if self.ended:
            self.say(f"resumed: {len(self.ended)} ended before")
        going = self.trials
        for i, rung in enumerate(self.rungs):
            if i > 0:
                going = self._survivors(i - 1, rung.trials)
                if not going:
                    return
            self._rung(i, rung, going)

    def _survivors(self, rung: int, count: int) -> list[Trial]:
        kept = set(survivors(self._scores(rung), count, self.metric))
        return [trial for trial in self.trials if trial.number in kept]

    def _scores(self, rung: int) -> dict[int, float | None]:
        return {number: record["score"] for (number, at), record in self.ended.items() if at == rung}

    def _rung(self, i: int, rung: Rung, going: Sequence[Trial]) -> None:
        epochs = rung.epochs or None
        if len(self.rungs) > 1:
            trials = f"{len(going)} trial{'s' if len(going) > 1 else ''}"
            self.say(f"rung {i + 1}/{len(self.rungs)}: {trials}, {rung.epochs} epochs in all")
        waiting = [trial for trial in going if (trial.number, i) not in self.ended]
        jobs = [self._job(trial, epochs, first=i == 0) for trial in waiting]
        with closing(self.run(jobs)) as outcomes:
            for place, outcome in outcomes:
                record = self._record(waiting[place], i, outcome)
                self.folder.add(record)
                self.ended[record["trial"], i] = record
                self._tell(record, i, len(going))

    def _job(self, trial: Trial, epochs: int | None, *, first: bool) -> Job:
        base = self.folder / "base.yaml"
        overrides = settings_of(self.file.sweep, trial, epochs)
        reason = None if first else follows_length(load_experiment(base, overrides).optimizer)
        if reason is not None:
            self.say(f"{trial.folder} starts anew: {reason}")
        return Job(str(base), tuple(overrides), str(self.folder / trial.folder), anew=reason is not None)

    def _record(self, trial: Trial, rung: int, outcome: Outcome) -> Record:
        record: dict[str, Any] = {
            "trial": trial.number,
            "rung": rung,
            "folder": trial.folder,
            "settings": trial.values,
        }
        if outcome["state"] == "finished":
            score = outcome["scores"]["dev"].get(self.metric.name)
            if score is None:
                outcome = {"state": "failed", "reason": f"its dev {self.metric.name} is not a finite number"}
        else:
            score = None
        return record | {"metric": self.metric.name, "score": score} | outcome

    def _tell(self, record: Record, rung: int, of: int) -> None:
        scores = self._scores(rung)
        done, best = len(scores), list(ranked(scores, self.metric)[:1]) == [record["trial"]]
        if record["state"] == "failed":
            self.say(f"[{done}/{of}] {record['folder']}: failed: {record['reason']}")
            return
        shown = f"{self.metric.name} {score_text(record['score'])}{' *' if best else ''}"
        self.say(f"[{done}/{of}] {record['folder']}: dev {shown}  ({seconds_text(record['seconds'])})")
