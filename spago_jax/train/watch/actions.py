# SPDX-License-Identifier: BSD-2-Clause
"""Actions that a run takes when a trend reaches a state: lower the rate, unfreeze a part, stop."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.watch.config import ActionConfig, as_patterns
from spago_jax.train.watch.watch import Watch


@dataclasses.dataclass
class Fired:
    """How often an action was taken, and the length of the trend at the last time."""

    times: int = 0
    length: int = 0


class Actions:
    """The actions of an experiment, and which of them were taken.

    Args:
        configs: ``train.actions``.
        names: the names that can be watched.

    Raises:
        InputError: for a trend that is not watched.
    """

    def __init__(self, configs: Sequence[ActionConfig], names: Iterable[str]):
        self.configs = tuple(configs)
        known = list(names)
        for i, action in enumerate(self.configs):
            if action.when.trend not in known:
                raise InputError(
                    f"train.actions[{i}].when.trend: nothing is watched under {action.when.trend!r}: "
                    f"{did_you_mean(action.when.trend, known)}"
                )
        self._fired = [Fired() for _ in self.configs]

    def due(self, watch: Watch, epochs: int) -> list[int]:
        """Returns the actions to take now, after so many epochs; they then count as taken."""
        found = []
        for i, (action, fired) in enumerate(zip(self.configs, self._fired, strict=True)):
            when = action.when
            if (fired.times and not action.repeat) or epochs < max(when.after_epoch, 1):
                continue
            trend = watch.trend(when.trend)
            if len(trend) - fired.length < when.window:  # a window of values since the last time
                continue
            if trend.state(when.state, when.window, when.tolerance):
                fired.times += 1
                fired.length = len(trend)
                found.append(i)
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """Returns which actions were taken, as JSON."""
        return [dataclasses.asdict(fired) for fired in self._fired]

    def restore(self, value: Sequence[Mapping[str, Any]]) -> None:
        """Restores what ``to_json`` returned."""
        self._fired = [Fired(**item) for item in value]


def gates_of(configs: Iterable[ActionConfig]) -> list[str]:
    """Returns the patterns that actions unfreeze; each is one gate of the optimizer."""
    patterns = [as_patterns(action.do.unfreeze) for action in configs if action.do.unfreeze is not None]
    return list(dict.fromkeys(pattern for several in patterns for pattern in several))


def describe(action: ActionConfig) -> tuple[str, str]:
    """Describes an action in words: what it waited for, and what it does.

    >>> from spago_jax.train.watch.config import ActionConfig
    >>> section = {"when": {"trend": "dev.loss", "state": "stalled"}, "do": {"scale_learning_rate": 0.5, "stop": True}}
    >>> describe(ActionConfig.model_validate(section))
    ('dev.loss stalled over 5 epochs', 'learning rate times 0.5, stop')
    """
    do = action.do
    what = [
        f"learning rate times {do.scale_learning_rate:g}" if do.scale_learning_rate is not None else "",
        f"unfreeze {', '.join(as_patterns(do.unfreeze))}" if do.unfreeze is not None else "",
        "stop" if do.stop else "",
    ]
    when = action.when
    return f"{when.trend} {when.state} over {when.window} epochs", ", ".join(filter(None, what))
