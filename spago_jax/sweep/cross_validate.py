# SPDX-License-Identifier: BSD-2-Clause
"""Cross-validation: one run per fold of the training data, and the mean and the spread of their scores."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spago_jax.core.disk import explain_os_error, replace_file
from spago_jax.core.lock import locked
from spago_jax.core.show import finite, text_table
from spago_jax.core.show import score as score_text
from spago_jax.errors import InputError
from spago_jax.train.loop import Result
from spago_jax.train.schema import Experiment

FOLDS = "folds.json"

Values = dict[str, dict[str, float | None]]
Load = Callable[[Sequence[str]], Experiment]
Train = Callable[[Experiment, Path], Result]


@dataclasses.dataclass(frozen=True)
class Folds:
    """The scores of the folds that are done.

    Attributes:
        of: the number of folds.
        scores: of each fold by its number, from 1: part of the data, score, value.
        best_steps: the step of the checkpoint that each was scored with.
    """

    of: int
    scores: Mapping[int, Values]
    best_steps: Mapping[int, int]

    def columns(self) -> list[tuple[str, str]]:
        """Returns the part of the data and the name of every score."""
        every = self.scores.values()
        return list(dict.fromkeys((part, name) for one in every for part, values in one.items() for name in values))

    def values(self, part: str, name: str) -> list[float]:
        """Returns the finite values of a score, one per fold that has it."""
        found = [values.get(part, {}).get(name) for values in self.scores.values()]
        return [value for value in found if value is not None]

    def mean(self, part: str, name: str) -> float | None:
        """Returns the mean of a score over the folds; None unless all of them have it."""
        values = self.values(part, name)
        return math.fsum(values) / len(values) if values and len(values) == len(self.scores) else None

    def deviation(self, part: str, name: str) -> float | None:
        """Returns the sample standard deviation over the folds, with n - 1 below; None for fewer than two."""
        mean, values = self.mean(part, name), self.values(part, name)
        if mean is None or len(values) < 2:
            return None
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as JSON."""
        means: dict[str, dict[str, Any]] = {}
        for part, name in self.columns():
            about = {"mean": self.mean(part, name), "deviation": self.deviation(part, name)}
            means.setdefault(part, {})[name] = about
        folds = [
            {"fold": i, "folder": folder_of(i), "best_step": self.best_steps[i], "scores": values}
            for i, values in self.scores.items()
        ]
        return {"of": self.of, "folds": folds, "scores": means}

    def table(self) -> str:
        """Returns a row per fold, then the mean and the standard deviation.

        >>> print(Folds(2, {1: {"dev": {"f1": 0.5}}, 2: {"dev": {"f1": 0.7}}}, {1: 8, 2: 8}).table())
        fold       dev f1
        1          0.5000
        2          0.7000
        mean       0.6000
        deviation  0.1414
        """
        columns = self.columns()

        def row(label: str, value: Callable[[str, str], float | None]) -> list[str]:
            found = (value(part, name) for part, name in columns)
            return [label, *("-" if one is None else score_text(one) for one in found)]

        rows = [row(str(i), lambda part, name, one=one: one.get(part, {}).get(name)) for i, one in self.scores.items()]
        rows += [row("mean", self.mean), row("deviation", self.deviation)]
        return text_table(["fold", *(f"{part} {name}" for part, name in columns)], rows)


def folder_of(fold: int) -> str:
    """Returns the name of the run folder of a fold."""
    return f"fold-{fold}"


def overrides_of(name: str, fold: int, of: int) -> list[str]:
    """Returns the settings of one fold, as the command line takes them.

    >>> overrides_of("topics", 2, 5)
    ['data.fold={index: 2, of: 5}', 'name="topics/fold-2"']
    """
    return [f"data.fold={{index: {fold}, of: {of}}}", f"name={json.dumps(f'{name}/{folder_of(fold)}')}"]


def check_folds(experiment: Experiment, folds: int) -> None:
    """Refuses what cannot be cut into folds.

    Raises:
        InputError: for fewer than two folds, or data of a format whose parts cannot be drawn.
    """
    if folds < 2:
        raise InputError(f"{folds} folds: expected 2 or more")
    if "fold" not in type(experiment.data).model_fields:
        name = getattr(experiment.data, "format", type(experiment.data).__name__)
        raise InputError(f"data.format = {name!r}: data of this format cannot be cut into folds")


def cross_validate(
    load: Load,
    train: Train,
    name: str,
    folds: int,
    out: str | Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Folds:
    """Trains one run per fold into ``out/fold-i``, and writes their scores into ``out/folds.json``.

    Args:
        load: gives the experiment for some overrides.
        train: trains an experiment into a folder.
        name: of the whole.
        folds: how many.
        out: the folder.
        resume: go on in a folder that holds folds already.
        say: takes a line about each fold as it ends.

    Raises:
        InputError: for a mistake in any fold's experiment, before any is trained; for a folder that is in use.
    """
    experiments = {i: load(overrides_of(name, i, folds)) for i in range(1, folds + 1)}
    target = Path(out)
    taken = [found for found in (FOLDS, "config.yaml", "sweep.yaml", folder_of(1)) if (target / found).exists()]
    if taken and not (resume and taken[0] in (FOLDS, folder_of(1))):
        way_out = "go on with --resume, or write elsewhere with --out" if taken[0] in (FOLDS, folder_of(1)) else (
            "write elsewhere with --out"
        )  # fmt: skip
        raise InputError(f"{target} holds {taken[0]} already; {way_out}")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write the folder {out}: {error.strerror}") from None
    done = Folds(folds, {}, {})
    with locked(target, "cross-validation"):
        for i, experiment in experiments.items():
            result = train(experiment, target / folder_of(i))
            values: Values = {
                part: {name: finite(value) for name, value in scores.values.items()}
                for part, scores in result.scores.items()
            }
            done = Folds(folds, {**done.scores, i: values}, {**done.best_steps, i: result.best_step})
            with explain_os_error(target / FOLDS):
                replace_file(target / FOLDS, json.dumps(done.to_json(), indent=1) + "\n")
            shown = "; ".join(
                f"{part} " + ", ".join(f"{name} {score_text(value)}" for name, value in found.items())
                for part, found in values.items()
            )
            say(f"[{i}/{folds}] {folder_of(i)}: {shown}")
    return done
