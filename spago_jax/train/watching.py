# SPDX-License-Identifier: BSD-2-Clause
"""What happens at the end of each epoch of a watched run: the history grows, actions are done, histograms are made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.optim import controls, set_controls
from spago_jax.train.events import Events
from spago_jax.train.programs import Programs
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment
from spago_jax.train.state import TrainState
from spago_jax.train.watch.actions import Actions, describe, gates_of
from spago_jax.train.watch.histograms import record
from spago_jax.train.watch.run_watch import RunWatch
from spago_jax.train.watch.watch import Watch
from spago_jax.train.watch_config import Do, as_patterns

HISTOGRAMS = "histograms.jsonl"


class EpochEnd:
    """The end of an epoch, as ``fit(on_epoch=...)`` is given it: what was seen, and what may be done about it.

    Attributes:
        epoch: how many epochs are done.
        step: how many steps.
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
        """Multiplies the learning rate from here on."""
        self.scale *= factor
        self.done.append(f"learning rate times {factor:g}")

    def unfreeze(self, pattern: str) -> None:
        """Trains the arrays of a pattern from here on.

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
        """Does what an action of the config says."""
        if what.scale_learning_rate is not None:
            self.scale_learning_rate(what.scale_learning_rate)
        for pattern in as_patterns(what.unfreeze or ()):
            self.unfreeze(pattern)
        if what.stop:
            self.stop()


OnEpoch = Callable[[EpochEnd], None]


class Watching:
    """The watch, the actions and the histograms of one run.

    Args:
        programs: of the run.
        gates: the patterns that may be unfrozen.
        on_epoch: called at the end of each epoch, after the actions of the config.

    Raises:
        InputError: for an action on something that is not watched.
    """

    def __init__(self, programs: Programs, gates: Sequence[str], on_epoch: OnEpoch | None = None):
        self.programs, self.gates, self.on_epoch = programs, list(gates), on_epoch
        recipe, self.config = programs.recipe, programs.config
        scores = recipe.score_names() if "dev" in recipe.splits() else ()
        better = {name for name in scores if name in recipe.higher_is_better}
        metric = recipe.chosen_metric()
        self.watch = RunWatch(programs.measures, better | ({metric.name} if metric.mode == "max" else set()))
        self.actions = Actions(self.config.actions, self.watch.names(scores))
        self.on = self.config.watch is not None

    def begin(self, run: RunFolder, events: Events) -> None:
        """Tells where the records go."""
        self.run, self.events = run, events

    def place(self, totals: Mapping[str, Any]) -> str | None:
        """The first value of a bad step that was not finite, in words."""
        return self.programs.measures.describe(int(totals["bad_place"])) if "bad_place" in totals else None

    def end_epoch(
        self, epoch: int, step: int, state: TrainState, scores: Mapping[str, float] | None
    ) -> tuple[TrainState, list[str], bool]:
        """Flushes the epoch, does what is due, makes the histograms.

        Args:
            epoch: how many epochs are done.
            step: how many steps are done.
            state: on the devices.
            scores: of the dev data, where they were computed.

        Returns:
            The state with its controls changed, what was done in words, and whether training is to end.
        """
        means = self.watch.end_epoch(scores)
        about = {"step": step, "epoch": epoch}
        if self.on:
            self.events.write({**about, "kind": "watch", **means})
            self.watch.history.export_csv(self.run / "watch.csv")
            self.watch.history.write_log(self.run / "watch.log", self.config.epochs)
        if self.programs.histograms is not None:
            found = self.programs.histograms(state.model, *self.programs.fixed_batch())
            self.run.append(HISTOGRAMS, {**about, **record(found)})
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
        assert old is not None  # whoever may act has an optimizer with controls, see `gates_for`
        scale = float(old.scale) * end.scale
        return state.replace(optimizer=set_controls(state.optimizer, scale=scale, opened=end.opened))

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"watch": self.watch.to_json(), "actions": self.actions.to_json()}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Takes up what ``to_json`` gave."""
        self.watch.restore(value["watch"])
        self.actions.restore(value["actions"])


def gates_for(experiment: Experiment, on_epoch: OnEpoch | None, unfreezes: Sequence[str]) -> list[str] | None:
    """The gates that the optimizer needs; None where nobody will touch its controls."""
    actions = experiment.train.actions
    gates = list(dict.fromkeys([*gates_of(actions), *unfreezes]))
    acts = any(action.do.scale_learning_rate is not None for action in actions)
    return gates if gates or acts or on_epoch is not None else None
