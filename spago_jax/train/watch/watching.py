# SPDX-License-Identifier: BSD-2-Clause
"""The watch of a run: the sums of each epoch, their history, and the actions at the end of an epoch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from spago_jax.errors import InputError, did_you_mean
from spago_jax.optim import controls, set_controls
from spago_jax.train.events import Events
from spago_jax.train.programs import Programs
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment
from spago_jax.train.state import TrainState
from spago_jax.train.watch.actions import Actions, describe, gates_of
from spago_jax.train.watch.config import Do, as_patterns
from spago_jax.train.watch.histograms import record
from spago_jax.train.watch.measures import Measures
from spago_jax.train.watch.watch import Watch

HISTOGRAMS = "histograms.jsonl"


class EpochEnd:
    """The argument of ``fit(on_epoch=...)`` at the end of an epoch: the history so far, and actions to take.

    Attributes:
        epoch: the number of finished epochs.
        step: the number of finished steps.
        watch: the history so far.
    """

    def __init__(self, epoch: int, step: int, watch: Watch, gates: Sequence[str]):
        self.epoch, self.step, self.watch = epoch, step, watch
        self._gates = list(gates)
        self.scale = 1.0
        self.opened: list[int] = []
        self.stopped = False
        self.done: list[str] = []

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the learning rate from now on."""
        self.scale *= factor
        self.done.append(f"learning rate times {factor:g}")

    def unfreeze(self, pattern: str) -> None:
        """Trains the arrays that match a pattern from now on.

        Raises:
            InputError: for a pattern that neither an action nor ``fit(unfreezes=...)`` has declared.
        """
        if pattern not in self._gates:
            raise InputError(
                f"unfreeze({pattern!r}): arrays that will be unfrozen are frozen from the start, so declare the "
                f"pattern by fit(unfreezes=[...]) or an action: {did_you_mean(pattern, self._gates)}"
            )
        self.opened.append(self._gates.index(pattern))
        self.done.append(f"unfreeze {pattern}")

    def stop(self) -> None:
        """Ends the training after this epoch."""
        self.stopped = True
        self.done.append("stop")

    def do(self, what: Do) -> None:
        """Takes the actions of one section of the config."""
        if what.scale_learning_rate is not None:
            self.scale_learning_rate(what.scale_learning_rate)
        for pattern in as_patterns(what.unfreeze or ()):
            self.unfreeze(pattern)
        if what.stop:
            self.stop()


class RunWatch:
    """Adds up the sums that the train program returns, and flushes them once per epoch.

    Always there: ``loss`` (the mean over the epoch), ``gradient_norm``, ``learning_rate`` and, after an evaluation,
    ``dev.NAME`` of each score. With ``train.watch`` also the measures. Checkpoints hold all of it.

    Args:
        measures: the measures of the train program.
        higher_is_better: the dev scores for which higher is better.
    """

    def __init__(self, measures: Measures, higher_is_better: Iterable[str] = ()):
        self.measures = measures
        self.history = Watch(higher_is_better=[f"dev.{name}" for name in higher_is_better])
        self._sums = np.zeros(len(measures.names))
        self._plain = {"loss": 0.0, "weight": 0.0, "gradient_norm": 0.0}
        self._steps = 0
        self._learning_rate = 0.0

    def add(self, totals: Mapping[str, Any], steps: int) -> None:
        """Adds the sums of one call, fetched from the device."""
        if self.measures.on:
            self._sums += np.asarray(totals["watch"], np.float64)
        for name in self._plain:
            self._plain[name] += float(totals[name])
        self._learning_rate = float(totals["learning_rate"])
        self._steps += steps

    def end_epoch(self, scores: Mapping[str, float] | None) -> dict[str, float]:
        """Flushes the epoch into the history.

        Args:
            scores: the dev scores, if they were computed.

        Returns:
            The means of the measures with those of loss, gradient norm and rate: a record for the log.
        """
        steps, plain = max(self._steps, 1), self._plain
        means = {
            "loss": plain["loss"] / max(plain["weight"], 1e-8),
            "gradient_norm": plain["gradient_norm"] / steps,
            "learning_rate": self._learning_rate,
        }
        watched = self._sums / steps
        roots = np.array(self.measures.roots, bool)
        watched[roots] = np.sqrt(watched[roots])
        means |= dict(zip(self.measures.names, watched.tolist(), strict=True))
        for name, value in means.items():
            self.history.record(name, value)
        for name, value in (scores or {}).items():
            self.history.record(f"dev.{name}", float(value))
        self.history.flush()
        self._sums[:] = 0.0
        self._plain = dict.fromkeys(plain, 0.0)
        self._steps = 0
        return means

    def names(self, scores: Iterable[str]) -> list[str]:
        """Returns every name that the history will have, before it has any."""
        return ["loss", "gradient_norm", "learning_rate", *self.measures.names, *(f"dev.{name}" for name in scores)]

    def to_json(self) -> dict[str, Any]:
        """Returns the history and the sums of the epoch so far, by name, as JSON."""
        return {
            "history": self.history.to_json(),
            "sums": dict(zip(self.measures.names, self._sums.tolist(), strict=True)),
            "plain": self._plain,
            "steps": self._steps,
            "learning_rate": self._learning_rate,
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Restores what ``to_json`` returned; values that were not watched then start empty."""
        self.history.restore(value["history"])
        self._sums = np.array([value["sums"].get(name, 0.0) for name in self.measures.names])
        self._plain = dict(value["plain"])
        self._steps = int(value["steps"])
        self._learning_rate = float(value["learning_rate"])


OnEpoch = Callable[[EpochEnd], None]


class Watching:
    """The watch, the actions and the histograms of one run.

    Args:
        programs: the programs of the run.
        gates: the patterns that may be unfrozen.
        on_epoch: called at the end of each epoch, after the actions of the config.

    Raises:
        InputError: for an action on something that is not watched.
    """

    def __init__(self, programs: Programs, gates: Sequence[str], on_epoch: OnEpoch | None = None):
        self.programs, self.gates, self.on_epoch = programs, list(gates), on_epoch
        task, self.config = programs.task, programs.config
        scores = task.score_names() if "dev" in task.splits() else ()
        better = {name for name in scores if task.score(name).better == "max"}
        self.watch = RunWatch(programs.measures, better)
        self.actions = Actions(self.config.actions, self.watch.names(scores))
        self.on = self.config.watch is not None

    def begin(self, run: RunFolder, events: Events) -> None:
        """Sets where the records go."""
        self.run, self.events = run, events

    def start(self) -> None:
        """Starts the clock for the remaining time; compiling before it does not count."""
        self.watch.history.start()

    def place(self, totals: Mapping[str, Any]) -> str | None:
        """Describes the first non-finite value of a bad step."""
        return self.programs.measures.describe(int(totals["bad_place"])) if "bad_place" in totals else None

    def end_epoch(
        self, epoch: int, step: int, state: TrainState, scores: Mapping[str, float] | None
    ) -> tuple[TrainState, list[str], bool]:
        """Flushes the epoch, takes the actions that are due, and makes the histograms.

        Args:
            epoch: the number of finished epochs.
            step: the number of finished steps.
            state: the state on the devices.
            scores: the dev scores, if they were computed.

        Returns:
            The state with its controls changed, the actions taken in words, and whether training is to end.
        """
        means = self.watch.end_epoch(scores)
        about = {"step": step, "epoch": epoch}
        if self.on:
            self.events.write({**about, "kind": "watch", **means})
            if self.run.writes:
                self.watch.history.export_csv(self.run / "watch.csv")
                self.watch.history.write_log(self.run / "watch.log", self.config.epochs)
        if self.programs.histograms is not None:
            found = self.programs.histograms(state.model, *self.programs.fixed_batch())
            self.run.append(HISTOGRAMS, {**about, **record(self.programs.devices.fetch(found))})
        end = EpochEnd(epoch, step, self.watch.history, self.gates)
        lines = []
        for i in self.actions.due(self.watch.history, epoch):
            when, did = describe(self.actions.configs[i])
            end.do(self.actions.configs[i].do)
            self.events.write({**about, "kind": "action", "action": i, "when": when, "did": did})
            lines.append(f"{when}: {did}")
        before = len(end.done)
        if self.on_epoch is not None:
            self.on_epoch(end)
        for did in end.done[before:]:
            self.events.write({**about, "kind": "action", "action": None, "when": "on_epoch", "did": did})
            lines.append(f"on_epoch: {did}")
        return self._controlled(state, end), lines, end.stopped

    def _controlled(self, state: TrainState, end: EpochEnd) -> TrainState:
        if end.scale == 1.0 and not end.opened:
            return state
        old = controls(state.optimizer)
        assert old is not None  # actions need an optimizer with controls, see `gates_for`
        scale = float(old.scale) * end.scale
        return state.replace(optimizer=set_controls(state.optimizer, scale=scale, opened=end.opened))

    def to_json(self) -> dict[str, Any]:
        """Returns what a checkpoint saves."""
        return {"watch": self.watch.to_json(), "actions": self.actions.to_json()}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Restores what ``to_json`` returned."""
        self.watch.restore(value["watch"])
        self.actions.restore(value["actions"])


def gates_for(experiment: Experiment, on_epoch: OnEpoch | None, unfreezes: Sequence[str]) -> list[str] | None:
    """The gates that the optimizer needs; None if no action changes the optimizer's controls."""
    actions = experiment.train.actions
    gates = list(dict.fromkeys([*gates_of(actions), *unfreezes]))
    acts = any(action.do.scale_learning_rate is not None for action in actions)
    return gates if gates or acts or on_epoch is not None else None
