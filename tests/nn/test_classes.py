# SPDX-License-Identifier: BSD-2-Clause
"""Classes of Modules are abstract or final: nothing concrete is inherited, and nothing abstract is made."""

import importlib
import inspect
import pkgutil

import spago_jax
import spago_jax.flow
import spago_jax.models
import spago_jax.nn
from spago_jax.core import Module


def classes():
    """Every Module class of the package's layers, flows and models."""
    for package in (spago_jax.nn, spago_jax.flow, spago_jax.models):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, Module) and value.__module__ == module.name:
                    yield value


def test_no_concrete_class_is_subclassed():
    found = set(classes())
    assert len(found) > 70
    inherited = {base for cls in found for base in cls.__mro__[1:] if issubclass(base, Module) and base is not Module}
    assert sorted(base.__name__ for base in inherited if not inspect.isabstract(base)) == []


def test_an_override_takes_what_its_base_takes():
    """A subclass may be used wherever its base is: its methods have the parameters that the base names."""
    wrong = []
    for cls in set(classes()):
        for base in cls.__mro__[1:]:
            for name, method in vars(base).items() if issubclass(base, Module) and base is not Module else ():
                own = vars(cls).get(name)
                if inspect.isfunction(method) and own and (name == "__call__" or not name.startswith("__")):
                    taken = inspect.signature(own).parameters.values()
                    named = {p.name for p in inspect.signature(method).parameters.values()} - {"inputs", "options"}
                    if named - {p.name for p in taken} and not any(p.kind is p.VAR_KEYWORD for p in taken):
                        wrong.append(f"{cls.__name__}.{name}")
    assert sorted(wrong) == []
