# SPDX-License-Identifier: BSD-2-Clause
"""Which trials a sweep has: a pure function of its settings, the same on every machine."""

import dataclasses
import itertools
import math
import random
import re
from typing import Any

from spago_jax.errors import InputError
from spago_jax.report.compare.differences import setting
from spago_jax.sweep.schema import Grid, Parameter, Range, Sweep, Values
from spago_jax.sweep.source import override

LONGEST_NAME = 60


@dataclasses.dataclass(frozen=True)
class Trial:
    """One combination of values, counted from 1.

    >>> trial = Trial(7, {"model.hidden": [64, 32], "optimizer.learning_rate": 0.002})
    >>> trial.folder
    '007-hidden-64-32-learning_rate-0.002'
    >>> trial.overrides
    ['model.hidden=[64, 32]', 'optimizer.learning_rate=0.002']
    """

    number: int
    values: dict[str, Any]

    @property
    def label(self) -> str:
        """Its number, as tables and curves call it."""
        return f"{self.number:03d}"

    @property
    def folder(self) -> str:
        """The name of its run folder."""
        parts = [f"{key.rpartition('.')[2]}-{setting(value)}" for key, value in self.values.items()]
        words = re.sub(r"[^\w.]+", "-", "-".join(parts)).strip("-.")
        return f"{self.label}-{words[:LONGEST_NAME].rstrip('-.')}"

    @property
    def overrides(self) -> list[str]:
        """Its settings, as the command line takes them."""
        return [override(key, value) for key, value in self.values.items()]

    @property
    def about(self) -> str:
        """Its settings for a message."""
        return ", ".join(f"{key}={setting(value)}" for key, value in self.values.items())


def trials(sweep: Sweep) -> list[Trial]:
    """All trials of a sweep.

    A grid has every combination, the last parameter changing fastest. Draws depend on the seed, the trial's number
    and the parameter's key alone: a parameter more changes no other, and of more trials the first stay the same.

    Raises:
        InputError: where more trials are to be drawn than there are combinations.
    """
    if isinstance(sweep.method, Grid):
        choices = [parameter.choice for parameter in sweep.parameters.values() if isinstance(parameter, Values)]
        return [
            Trial(i + 1, dict(zip(sweep.parameters, values, strict=True)))
            for i, values in enumerate(itertools.product(*choices))
        ]
    wanted, seed = sweep.method.trials, sweep.method.seed
    possible = math.prod(combinations(parameter) for parameter in sweep.parameters.values())
    if wanted > possible:
        raise InputError(
            f"method.trials = {wanted}: the parameters have only {possible:,.0f} combinations, "
            f"and none is tried twice; try fewer, or use method: grid"
        )
    found: list[Trial] = []
    seen: set[str] = set()
    for attempt in itertools.count():
        if len(found) == wanted:
            break
        values = {
            key: draw(parameter, random.Random(f"{seed}/{attempt}/{key}").random())
            for key, parameter in sweep.parameters.items()
        }
        if repr(values) not in seen:
            seen.add(repr(values))
            found.append(Trial(len(found) + 1, values))
    return found


def combinations(parameter: Parameter) -> float:
    """How many values a parameter has.

    >>> combinations(Range(low=3, high=5, integer=True)), combinations(Range(low=0, high=1))
    (3.0, inf)
    """
    if isinstance(parameter, Range):
        return parameter.high - parameter.low + 1 if parameter.integer else math.inf
    return len(parameter.choice)


def draw(parameter: Parameter, part: float) -> Any:
    """The value at a part in [0, 1) of a parameter's values: an even part gives values drawn evenly on their scale.

    A number that is not whole is rounded, to four digits or as many as its range needs, so that it can be typed.

    >>> draw(Range(low=1e-4, high=1e-2, scale="log"), 0.5), draw(Range(low=1, high=6, integer=True), 0.99)
    (0.001, 6)
    >>> draw(Values(choice=("a", "b", "c")), 0.4)
    'b'
    """
    if isinstance(parameter, Values):
        return parameter.choice[int(part * len(parameter.choice))]
    low, high = parameter.low, parameter.high + (1 if parameter.integer else 0)
    if parameter.scale == "log":
        value = low * (high / low) ** part
    else:
        value = low + (high - low) * part
    if parameter.integer:
        return min(math.floor(value), int(parameter.high))
    narrow = max(abs(low), abs(high)) / (high - low)
    digits = 4 + max(0, math.floor(math.log10(narrow)))
    return min(max(float(f"{value:.{digits}g}"), low), high)
