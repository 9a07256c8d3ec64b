# SPDX-License-Identifier: BSD-2-Clause
"""Names that configs use, and the classes behind them, imported when they are asked for."""

import importlib
from collections.abc import Mapping
from typing import Any

from spago_jax.errors import InputError, did_you_mean


class Registry:
    """A table from names to ``package.module:Class``; nothing is imported before a name is looked up.

    Args:
        what: what the names name, for messages.
        targets: the names known from the start.

    >>> shapes = Registry("shape", {"fraction": "fractions:Fraction"})
    >>> shapes.find("fraction")
    <class 'fractions.Fraction'>
    >>> shapes.find("fractoin")
    Traceback (most recent call last):
    spago_jax.errors.InputError: unknown shape 'fractoin': did you mean 'fraction'?
    """

    def __init__(self, what: str, targets: Mapping[str, str]):
        self.what = what
        self._targets: dict[str, str | type] = dict(targets)

    def register(self, name: str, target: str | type) -> None:
        """Makes ``name`` mean a class, or the class at ``package.module:Class``, which is then imported when needed."""
        self._targets[name] = target

    def names(self) -> list[str]:
        """The known names, sorted."""
        return sorted(self._targets)

    def find(self, name: str) -> Any:
        """The class behind a name.

        Raises:
            InputError: for an unknown name, with the nearest known one.
        """
        if name not in self._targets:
            raise InputError(f"unknown {self.what} {name!r}: {did_you_mean(name, self._targets)}")
        target = self._targets[name]
        if not isinstance(target, str):
            return target
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)
