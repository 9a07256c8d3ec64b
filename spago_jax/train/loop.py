# SPDX-License-Identifier: BSD-2-Clause
"""The training loop: blocks of steps on the device, evaluation, checkpoints, early stopping, resuming."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import quote
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import CompileCounter, Program
from spago_jax.compiler.cache import cache_by_default
from spago_jax.core import Precision
from spago_jax.core.disk import explain_os_error
from spago_jax.core.section import one_or_more
from spago_jax.core.show import rate_text, seconds_text
from spago_jax.core.summary import count_parameters, rows
from spago_jax.data.batching import Block
from spago_jax.data.stream import BlockStream
from spago_jax.errors import CheckpointError, InputError, SpagoError
from spago_jax.report import write_report
from spago_jax.train.checkpoint import Checkpoints, Where, json_safe
from spago_jax.train.config import dump
from spago_jax.train.console import TrainingConsole
from spago_jax.train.data_record import recorded
from spago_jax.train.evaluate import evaluate, place
from spago_jax.train.events import Events
from spago_jax.train.history import History
from spago_jax.train.interrupt import Interrupted, StopSignal
from spago_jax.train.programs import Programs
from spago_jax.train.resume import check_same_experiment, check_same_metric, check_same_schedule
from spago_jax.train.room import Room
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment, no_dev
from spago_jax.train.start import prepare
from spago_jax.train.task import Scores, Task
from spago_jax.train.together import Agreement, closing_all, failing_together, join_processes, meet
from spago_jax.train.watch.watching import HISTOGRAMS, OnEpoch, Watching, gates_for

LOGS = ("metrics.jsonl", "timings.jsonl")


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of a run."""

    run: RunFolder
    steps: int
    best_step: int
    scores: dict[str, Scores]
    baselines: dict[str, Scores]


def fit(
    experiment: Experiment,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    command: str = "",
    console: TrainingConsole | None = None,
    on_epoch: OnEpoch | None = None,
    unfreezes: str | Sequence[str] = (),
) -> Result:
    """Trains an experiment into a run folder, and scores the best checkpoint on every part of the data.

    Args:
        experiment: from ``load_experiment``.
        out: the run folder.
        resume: continue from the last checkpoint in ``out``; start afresh if there is none yet.
        overwrite: delete an existing run.
        command: the command that the report shows.
        console: where progress is shown.
        on_epoch: called at the end of each epoch with an ``EpochEnd``: the trends so far, and actions to take.
        unfreezes: path patterns that ``on_epoch`` may unfreeze; their arrays are frozen until then.

    Raises:
        InputError: for bad data or an unusable folder, before training starts.
        TrainingError: when the loss is not finite.
        CheckpointError: when a checkpoint cannot be written or read.
        Interrupted: after Ctrl-C, with a checkpoint written.
    """
    cache_by_default()  # before the first compilation: the initial weights are made by compiled functions too
    Events.check(experiment.train.tensorboard)
    join_processes(experiment.train.distributed)
    devices = experiment.train.make_devices()
    devices.check_divides(experiment.train.batch_size, "train.batch_size")
    devices.check_divides(experiment.train.eval_batch_size, "train.eval_batch_size")
    precision = Precision.parse(experiment.train.precision)
    with ExitStack() as stack:
        if experiment.train.device is not None:
            stack.enter_context(jax.default_device(devices.first))
        # Of several processes that train together, one holds and writes the folder, which all of them see.
        held = Path(out).is_dir() or not devices.leads
        if held and devices.leads:
            stack.enter_context(RunFolder.held(out))
        run = RunFolder(out, writes=devices.leads)
        resumable = resume and (run / "config.yaml").exists()
        old = run.experiment(type(experiment)) if resumable else None
        if old is not None:
            check_same_experiment(old, experiment)
        elif not overwrite:
            run.refuse_existing()
        task, weights = prepare(experiment, run if resumable else None)
        if "train" not in task.splits():
            raise InputError("data.train is missing: there is nothing to train on")
        task.metric()
        _check_needs_dev(experiment, task)
        if old is not None:
            check_same_metric(old, task)
        gates = gates_for(experiment, on_epoch, one_or_more(unfreezes))
        programs = Programs(task, devices, precision, gates, weights)
        if old is not None:
            check_same_schedule(old.train, experiment, programs.steps_per_epoch, run.path)
        watching = Watching(programs, gates or (), on_epoch)
        room = Room.of(task, programs.state, experiment.train.keep_checkpoints)
        if not resumable and devices.leads:
            room.refuse_full(out)
        # Files are written only from here on: the user's mistakes have been reported by now.
        meet(devices, "the user's mistakes have been reported")
        if not held:
            stack.enter_context(RunFolder.held(out, make=True))
        if not resumable and devices.leads:
            RunFolder.create(out, experiment, overwrite=overwrite)
        run.write("config.yaml", dump(experiment))
        run.write_json("data.json", recorded(experiment.data))
        run.write_about(command, {name: task.score(name).better for name in task.score_names()})
        run.write_state("running")
        meet(devices, "the folder of the run is there")
        shown = console if console is not None and devices.leads else TrainingConsole(quiet=not devices.leads)
        with shown, StopSignal() as stop:
            for line in room.lines():
                shown.line(line)
            try:
                result = _Training(programs, watching, run, shown, stop).run_all(resume=resumable)
            except BaseException as error:
                stopped = isinstance(error, Interrupted | KeyboardInterrupt)
                with suppress(OSError, SpagoError):  # the failure of training matters more than that of its report
                    run.write_state("interrupted" if stopped else "failed", error)
                    if isinstance(error, Exception) and run.writes:  # not for a second Ctrl-C, which ends at once
                        write_report(run)
                raise
            run.write_state("finished")
            if run.writes:
                with explain_os_error(run / "report.html"):
                    write_report(run)
            return result


class _Training:
    """The state that the parts of one call of ``fit`` share."""

    def __init__(
        self, programs: Programs, watching: Watching, run: RunFolder, console: TrainingConsole, stop: StopSignal
    ):
        self.watching = watching
        self.programs, self.task, self.devices = programs, programs.task, programs.devices
        self.run, self.console, self.stop = run, console, stop
        self.config = programs.config
        self.unit = self.task.processor.unit
        self.metric = self.task.metric()
        self.state = programs.state
        self.history = History(metric=self.metric.name, better=self.metric.better, min_delta=self._min_delta)
        self.position = {"epoch": 0, "block": 0}
        self.step = 0
        self.warmup_compilations = self.later_compilations = 0
        self.pending: list[tuple[Any, int, int]] = []
        self.agreement = Agreement(self.devices)
        self.stopping = False

    def run_all(self, *, resume: bool) -> Result:
        kept = self.config.keep_checkpoints
        with (
            closing_all(
                Checkpoints(self.run.checkpoints, metric=self.metric, keep=kept), self.devices
            ) as self.checkpoints,
            failing_together(self.devices, self._advice),
            Events(self.run, self.config.tensorboard) as self.events,
            ExitStack() as stack,
        ):
            stack.callback(self._let_go)
            self._begin(resume)
            self.watching.begin(self.run, self.events)
            started = time.perf_counter()
            with CompileCounter() as counter:
                self.programs.warm_up(self.state)
                self.agreement.warm_up()
            self.warmup_compilations = counter.compilations
            self.console.line(
                f"{counter.compilations} programs compiled in {seconds_text(time.perf_counter() - started)}; "
                f"{self.programs.steps_per_epoch} steps per epoch, {self._length()}"
            )
            with CompileCounter() as counter:
                try:
                    self._epochs()
                finally:
                    self.later_compilations = counter.compilations
            return self._finish()

    # -- before the first step -------------------------------------------------------------------------------------

    def _begin(self, resume: bool) -> None:
        latest = self.checkpoints.latest() if resume else None
        self.run.write_json("model.json", [dataclasses.asdict(row) for row in rows(self.state.model)])
        if latest is not None:
            self.state, about = self.checkpoints.load(latest, self.state, where=self._where())
            try:
                self.history = History.from_json(about["history"])
                self.position = about["position"]
                if "watching" in about:  # absent in runs older than the watch
                    self.watching.restore(about["watching"])
            except (KeyError, TypeError):
                raise self.checkpoints.damaged(latest, "its metadata are missing") from None
            self.step = latest
            if self.programs.rows is not None:
                self.programs.rows.begin(about)
            for name in (*LOGS, HISTOGRAMS):
                self.run.keep_until(name, latest)
            self.console.line(f"resumed from step {latest}, epoch {self.position['epoch'] + 1}")
            self._take_rules()
        else:
            if self.programs.rows is not None:
                self.programs.rows.begin(None)
            for name in (*LOGS, HISTOGRAMS):
                self.run.drop(name)
            if self.run.writes:
                with explain_os_error(self.run.assets):
                    self.run.assets.mkdir(exist_ok=True)
                    self.task.processor.save(self.run.assets)
        for line in self.task.remarks():
            self.console.line(line)
        self.console.line(
            f"{self.task.experiment.name}: {count_parameters(self.state.model):,} parameters, "
            f"{self._devices_text()}, run folder {self.run.path}"
        )
        self.state = self.programs.placed(self.state)

    def _devices_text(self) -> str:
        devices, sharding = self.devices, self.config.sharding
        mesh = f" as {devices.data} x {devices.size // devices.data}" if devices.size > devices.data else ""
        kind = f", {sharding if isinstance(sharding, str) else 'sharded by patterns'}" if devices.size > 1 else ""
        shared = f" of {devices.processes} processes" if devices.processes > 1 else ""
        return f"{devices.size} device(s){mesh}{shared}{kind if sharding != 'replicated' else ''}"

    def _where(self) -> Where | None:
        """Where a checkpoint is read to: with several processes, each reads its parts of the arrays."""
        layout = self.programs.layout
        return layout.where if layout is not None and self.devices.processes > 1 else None

    def _advice(self) -> str:
        latest = self.checkpoints.latest()
        if latest is None:
            return "There is no checkpoint yet."
        return f"The last checkpoint is step {latest}; --resume goes on from it"

    def _take_rules(self) -> None:
        """Lets a resumed run go on by its own rules of early stopping, and says if there is nothing left to do."""
        stopping = self.config.early_stopping
        records = (record for record in self.run.lines("metrics.jsonl") if record.get("kind") == "dev")
        self.history.go_on(records, self.metric, stopping.patience if stopping else None, self._min_delta)
        if self.history.stopped == "patience":
            more = "give more train.early_stopping.patience to go on"
            self.console.line(f"nothing to train: stopped early, {self._no_gain()}; {more}")
        elif self.history.stopped == "action":
            self.console.line("nothing to train: an action of the run ended it")
        elif self._complete or self.position["epoch"] >= self.programs.epochs:
            key = "epochs" if self.config.steps is None else "steps"
            self.console.line(f"nothing to train: the {self._length()} are done; give more train.{key} to go on")

    @property
    def _min_delta(self) -> float:
        stopping = self.config.early_stopping
        return stopping.min_delta if stopping else 0.0

    def _no_gain(self) -> str:
        count = self.history.evaluations_without_gain
        return f"no gain in {count} evaluation{'' if count == 1 else 's'}"

    # -- epochs ----------------------------------------------------------------------------------------------------

    def _epochs(self) -> None:
        def collate(block: Block) -> tuple[Any, Any]:
            return block, self.programs.train_arrays(block)

        with BlockStream(self.programs.batches, collate) as stream:  # type: ignore[arg-type]
            stream.seek(self.position)
            self.watching.start()  # the estimate of the remaining time leaves out compilation
            while self.position["epoch"] < self.programs.epochs and not (self._complete or self.history.finished):
                self._epoch(stream)

    def _epoch(self, stream: BlockStream) -> None:
        epoch, first = self.position["epoch"], self.position["block"]
        started, units, steps = time.perf_counter(), 0, 0
        label = f"epoch {epoch + 1}/{self.programs.epochs}"
        self.console.begin(label, self.programs.steps_per_epoch, self.step - epoch * self.programs.steps_per_epoch)
        evaluated = None
        for _ in range(first, self.programs.blocks_per_epoch):
            _, (block, arrays) = next(stream)
            if getattr(block, "first", False):
                self.state = self.state.replace(carry=self.programs.fresh_carry())
            count = min(block.steps, self.programs.steps - self.step)
            rows, held = self.programs.rows, []
            if rows is not None:
                self.state, arrays, held = rows.gather(self.state, arrays)
            self.state, totals = self.programs.train(self.state, place(arrays, block, self.devices), np.int32(count))
            if rows is not None:
                self.state = rows.scatter(self.state, held)
            self.step += count
            steps += count
            units += self.task.units("train", block)
            self.position = stream.position
            self.pending.append((totals, count, self.step))
            if len(self.pending) > 2:  # the newer ones keep the device busy
                self._fetch(self.pending.pop(0))
            self.stopping = self.agreement.asked(self.stop.asked)
            self.console.advance(count, rate_text(units, time.perf_counter() - started, self.unit))
            if self.position["block"] == 0 or self._complete:
                break  # the end of the epoch is evaluated and checkpointed below
            evaluated = self._inside_epoch(count, started)
            if evaluated or self.stopping or self._due(self.config.checkpoint_every, count):
                self._save(evaluated[-1] if evaluated else None)
            if self.stopping:
                self._interrupt()
            if self.history.finished:  # patience ran out inside the epoch, at this evaluation
                break
        self._flush()
        seconds = time.perf_counter() - started
        last = epoch + 1 == self.programs.epochs or self._complete
        scores, shown, score = (evaluated if self.history.finished else None) or (None, "", None)
        if scores is None and "dev" in self.task.splits() and (last or (epoch + 1) % self.config.evaluate_every == 0):
            scores, shown, score = self._evaluate()
        self.state, done, stopped = self.watching.end_epoch(epoch + 1, self.step, self.state, scores)
        if done and self.programs.layout is not None:  # controls that were set lie on the host
            self.state = self.programs.layout.put(self.state)
        history = self.watching.watch.history
        self._show({name: history.trend(name).latest for name in self.programs.measures.names}, self.step)
        if stopped and not self.history.finished:
            self.history.stopped = "action"
        self._save(score)
        self._tell(label, shown, seconds, units, done)
        self.run.append(
            "timings.jsonl",
            {
                "step": self.step,
                "epoch": epoch + 1,
                "seconds": round(seconds, 3),
                "steps": steps,
                "units": units,
                "unit": self.unit,
                "total_seconds": round(time.perf_counter() - started, 3),
            },
        )

        if self.stopping or (self.devices.processes == 1 and self.stop.asked):
            self._interrupt()

    @property
    def _complete(self) -> bool:
        """Whether every step was taken. Not saved in checkpoints: a resumed run may have more steps to take."""
        return self.step >= self.programs.steps

    def _due(self, every: int | None, count: int) -> bool:
        """Whether one of the last ``count`` steps is a multiple of ``every``."""
        return every is not None and self.step // every > (self.step - count) // every

    def _inside_epoch(self, count: int, started: float) -> tuple[dict[str, float], str, float] | None:
        """Evaluates inside an epoch if that is due, and returns the result of ``_evaluate``."""
        if "dev" not in self.task.splits() or not self._due(self.config.evaluate_steps, count):
            return None
        self._flush()
        found = self._evaluate()
        self.console.line(
            f"step {self.step}: {found[1]}  ({seconds_text(time.perf_counter() - started)} into the epoch)"
        )
        return found

    def _length(self) -> str:
        """Returns the planned length of training in words."""
        if self.config.steps is not None:
            return f"{self.config.steps} steps"
        return f"{self.config.epochs} epoch{'' if self.config.epochs == 1 else 's'}"

    def _interrupt(self) -> None:
        self.checkpoints.wait()
        raise Interrupted(
            f"interrupted at step {self.step}; a checkpoint is written. Go on with: "
            f"spago-jax train {quote(str(self.run / 'config.yaml'))} --out {quote(str(self.run.path))} --resume"
        )

    def _fetch(self, waiting: tuple[Any, int, int]) -> None:
        totals, steps, step = waiting
        latest = self.checkpoints.latest()
        advice = f"The last good checkpoint is step {latest}." if latest else "There is no checkpoint before it."
        totals = jax.device_get(totals)
        self.history.add(totals, steps, advice, self.watching.place(totals))
        self.watching.watch.add(totals, steps)
        if self.history.window_steps >= self.config.log_every:
            line = {**self.history.close_window(), "learning_rate": float(totals["learning_rate"])}
            self.events.write({"step": step, "kind": "train", **line})
            self._show(line, step)

    def _flush(self) -> None:
        while self.pending:
            self._fetch(self.pending.pop(0))

    # -- evaluation and checkpoints --------------------------------------------------------------------------------

    def _evaluate(self) -> tuple[dict[str, float], str, float]:
        """Scores the dev data; returns the scores, the same in words, and the one that picks the best checkpoint."""
        model = self.state.model_for_evaluation()
        scores = evaluate(self.task, self.programs.evaluation, model, "dev", self.devices, quick=True)
        score = scores.values[self.metric.name]
        stopping = self.config.early_stopping
        best = self.history.judge(score, self.step, self.metric, self._min_delta)
        if stopping and self.history.evaluations_without_gain >= stopping.patience:
            self.history.stopped = "patience"
        if self.programs.plateau is not None:
            self.state = self.state.replace(optimizer=self.programs.plateau(self.state.optimizer, np.float32(score)))
        self.events.write({"step": self.step, "kind": "dev", "epoch": self.position["epoch"], **scores.values})
        self._show({f"dev.{name}": value for name, value in scores.values.items()}, self.step)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.values.items())
        return scores.values, f"dev {shown}{' *' if best else ''}", score

    def _show(self, values: Mapping[str, float], step: int) -> None:
        """Passes values to the console, which may draw curves."""
        for name, value in values.items():
            self.console.value(name, step, value)

    def _tell(self, label: str, shown: str, seconds: float, units: int, done: list[str]) -> None:
        """Prints the line of an epoch, and the actions taken at its end."""
        rate = rate_text(units, seconds, self.unit)
        left = 0.0 if self.history.finished else self.watching.watch.history.eta(self.programs.epochs)
        remains = f", {seconds_text(left)} left" if left else ""
        times = f"({seconds_text(seconds)}{remains}, {rate})"
        self.console.line(
            f"{label}: {shown}  {times}" if shown else f"{label}: {seconds_text(seconds)}{remains}, {rate}"
        )
        for line in done:
            self.console.line(f"  {line}")
        if self.history.stopped == "patience":
            self.console.line(f"{self._no_gain()}: stopped early")

    def _save(self, score: float | None = None) -> None:
        self._flush()
        about = {
            "history": self.history.to_json(),
            "watching": self.watching.to_json(),
            "position": self.position,
            "config": self.task.experiment.model_dump(mode="json"),
        }
        rows = self.programs.rows
        if rows is not None:
            about["stores"] = rows.save(self.step)
        self.checkpoints.save(self.step, self.state, json_safe(about), score)
        if rows is not None:
            rows.forget([*self.checkpoints.steps(), self.step])

    def _let_go(self) -> None:
        if self.programs.rows is not None:
            self.programs.rows.close()

    def _finish(self) -> Result:
        self.checkpoints.wait()
        best = self.checkpoints.best()
        if best is None:
            raise CheckpointError(f"no checkpoint in {self.run.checkpoints}")
        model, _ = self.checkpoints.load(best, self.state.model, ("model", "average"))
        layout = self.programs.layout
        model = self.devices.replicate(model) if layout is None else layout.put(model)
        if self.programs.rows is not None:  # a store is left as the best checkpoint saw it
            self.programs.rows.move_to(best)
        scores, baselines = {}, {}
        with CompileCounter() as counter:
            for split in self.programs.evaluated():
                scores[split] = evaluate(self.task, self.programs.evaluation, model, split, self.devices)
        self.later_compilations += counter.compilations
        for split in scores:
            baseline = self.task.baseline(split)
            if baseline is not None:
                baselines[split] = baseline
        written = {(r.get("kind"), r["step"]) for r in self.run.lines("metrics.jsonl")}
        if "test" in scores and ("test", best) not in written:
            self.events.write({"step": best, "kind": "test", **scores["test"].values})
        self.run.write_json("details.json", {split: score.details for split, score in scores.items()})
        self.run.write_json(
            "scores.json",
            {
                "best_step": best,
                "metric": {"name": self.metric.name, "mode": self.metric.better},
                "scores": {split: score.values for split, score in scores.items()},
                "baselines": {split: score.values for split, score in baselines.items()},
            },
        )
        self.run.write_json("programs.json", self._programs())
        return Result(self.run, self.step, best, scores, baselines)

    def _programs(self) -> dict[str, Any]:
        def one(program: Program) -> dict[str, Any]:
            report = program.report(roofline=False)
            return {
                "name": report.name,
                "traces": report.traces,
                "signatures": [dataclasses.asdict(cost) for cost in report.costs],
            }

        return {
            "compilations_in_warm_up": self.warmup_compilations,
            "compilations_after_warm_up": self.later_compilations,
            "programs": [one(program) for program in self.programs.all()],
        }


def _check_needs_dev(experiment: Experiment, task: Task) -> None:
    """Refuses settings that follow the dev score if there is none: they would silently do nothing."""
    if "dev" in task.splits():
        return
    asked = {
        "train.early_stopping": experiment.train.early_stopping,
        "train.metric": experiment.train.metric,
        "train.evaluate_steps": experiment.train.evaluate_steps,
        "optimizer.plateau": experiment.optimizer.plateau,
    }
    for key, value in asked.items():
        if value is not None:
            raise InputError(f"{key} follows the dev score, but {no_dev(experiment)}")


__all__ = ["Result", "fit"]
