# SPDX-License-Identifier: BSD-2-Clause
"""The names that `model.kind` may have, and where each recipe lives. Imported only when one is asked for."""

import importlib
from typing import Any

from spago_jax.errors import InputError, did_you_mean

_RECIPES: dict[str, str] = {}


def register(kind: str, target: str) -> None:
    """Makes ``model.kind: KIND`` mean the recipe at ``package.module:Class`` (a string, so nothing is imported)."""
    _RECIPES[kind] = target


def kinds() -> list[str]:
    """The known values of ``model.kind``."""
    _load_own()
    return sorted(_RECIPES)


def recipe_class(kind: str) -> Any:
    """The recipe of one kind of model.

    Raises:
        InputError: for an unknown kind, with the nearest known one.
    """
    _load_own()
    if kind not in _RECIPES:
        raise InputError(f"unknown model.kind {kind!r}: {did_you_mean(kind, _RECIPES)}")
    module, _, name = _RECIPES[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def _load_own() -> None:
    # Models stand above train in the house, so train must not import them; their package registers itself.
    importlib.import_module("spago_jax.models")
