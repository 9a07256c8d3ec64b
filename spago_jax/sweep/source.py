# SPDX-License-Identifier: BSD-2-Clause
"""From a YAML file to a checked sweep, with the line of every key."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from spago_jax.core.section import one_or_more
from spago_jax.errors import InputError
from spago_jax.sweep.schema import SPECIFIERS, Grid, Halving, Range, Sweep
from spago_jax.train.config import validate
from spago_jax.train.yaml_source import Keys, Source, parse_override, read

# Keys that a sweep sets itself, and why they cannot be parameters.
TAKEN = {
    "name": "each trial is named after the sweep",
    "description": "it changes nothing that is trained",
    "train.metric": "the trials are ranked by one score: set metric",
    "train.devices": "the devices are chosen once, before the first trial",
}
# An override of one of these is meant for the sweep, any other for the experiment of every trial.
OWN_KEYS = frozenset(Sweep.model_fields)


@dataclasses.dataclass(frozen=True)
class SweepFile:
    """A sweep as read: the settings, the base experiment's file, and where each key stands."""

    path: Path
    sweep: Sweep
    base: Path
    source: Source

    def where(self, *keys: str) -> str:
        """The file and line of a key, as a message begins with."""
        place = self.source.place(keys)
        if place is None:
            return f"{self.path}: "
        path, line = place
        return f"{path}:{line}: " if line else f"{path}: "


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> SweepFile:
    """Reads and checks a sweep; its trials are checked by ``checked_trials``.

    Args:
        path: a YAML file.
        overrides: texts like ``jobs=2`` or ``parameters.seed=[1,2]`` for the sweep; any other key, such as
            ``train.epochs=3``, is a setting of every trial.

    Raises:
        InputError: with every mistake, its key, file and line.
    """
    overrides = one_or_more(overrides)
    own = [text for text in overrides if _first(text) in OWN_KEYS]
    source = read(path, own)
    _flatten(source, "parameters", SPECIFIERS)
    _flatten(source, "settings", frozenset())
    for text in overrides:
        if text not in own:
            key, value = parse_override(text)
            source.tree["settings"][key] = value
            source.places["settings", key] = (f"override {text!r}", 0)
    sweep = validate(Sweep, source.tree, source, ())
    place, line = source.place(("base",)) or (str(path), 0)
    # A text that begins with ./ or ../ is whole already; one on the command line is relative to where one stands.
    base = Path(place).parent / sweep.base if line else Path(sweep.base)
    found = SweepFile(Path(path), sweep, base, source)
    _check(found)
    return found


def _check(file: SweepFile) -> None:
    """Refuses what does not go together."""
    sweep = file.sweep
    for key, parameter in sweep.parameters.items():
        where = file.where("parameters", key)
        if key in TAKEN:
            raise InputError(f"{where}parameters.{key} cannot be varied: {TAKEN[key]}")
        if key in sweep.settings:
            raise InputError(f"{where}{key} is both a parameter and among the settings of every trial")
        if isinstance(parameter, Range) and isinstance(sweep.method, Grid):
            raise InputError(
                f"{where}parameters.{key} is a range, and a grid needs values: list them, or use method: random"
            )
    for section in ("parameters", "settings"):
        if isinstance(sweep.method, Halving) and "train.epochs" in getattr(sweep, section):
            raise InputError(
                f"{file.where(section, 'train.epochs')}{section}.train.epochs: halving sets the epochs: "
                f"use method.min_epochs and method.max_epochs"
            )


def override(key: str, value: object) -> str:
    """A setting as ``load_experiment`` takes it.

    >>> override("model.hidden", [64, 32]), override("train.average", None), override("seed", 3)
    ('model.hidden=[64, 32]', 'train.average=null', 'seed=3')
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return f"{key}={text.removesuffix('...' + chr(10)).strip()}"


def _first(text: str) -> str:
    return text.partition("=")[0].strip().partition(".")[0]


def _flatten(source: Source, section: str, leaves: frozenset[str]) -> None:
    """Makes nested keys of a section dotted ones, as ``parameters.model.hidden=[1]`` on the command line are."""
    tree = source.tree.get(section, {} if section == "settings" else None)
    if not isinstance(tree, dict):
        return  # validation says what is wrong with it
    flat: dict[str, Any] = {}
    for keys, value in _nested(tree, (), leaves):
        dotted = ".".join(map(str, keys))
        flat.pop(dotted, None)
        flat[dotted] = value
        for place, where in list(source.places.items()):
            if place[: len(keys) + 1] == (section, *keys):
                source.places[(section, dotted, *place[len(keys) + 1 :])] = where
    source.tree[section] = flat


def _nested(tree: dict[Any, Any], above: Keys, leaves: frozenset[str]) -> Iterator[tuple[Keys, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value and not leaves.intersection(map(str, value)):
            yield from _nested(value, (*above, key), leaves)
        else:
            yield (*above, key), value
