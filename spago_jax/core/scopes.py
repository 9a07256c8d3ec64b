# SPDX-License-Identifier: BSD-2-Clause
"""Names in traced programs: what a module computes is traced under its path in the model that calls it."""

import dataclasses
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

import jax


class _Active(threading.local):
    def __init__(self) -> None:
        self.modules: list[Any] = []


_active = _Active()


def name_methods(cls: type) -> None:
    """Makes the public methods of a Module class trace under its name; ``Module`` calls it at class definition.

    A sub-module is named by its path below the module that calls it (``layers.0``), and the outermost one by its
    class, so that pictures, profiles and reports of a program speak of the model's own parts.
    """
    for name, value in list(vars(cls).items()):
        if inspect.isfunction(value) and (name == "__call__" or not name.startswith("_")) and name != "replace":
            setattr(cls, name, _scoped(value))


def _scoped(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        active = _active.modules
        if active and active[-1] is self:
            return method(self, *args, **kwargs)
        name = next((found for outer in reversed(active) if (found := _path_below(outer, self))), type(self).__name__)
        active.append(self)
        try:
            with jax.named_scope(name):
                return method(self, *args, **kwargs)
        finally:
            active.pop()

    return call


def _path_below(outer: Any, module: Any) -> str:
    """The path of ``module`` among the fields of ``outer``, or "" where it is not there."""
    if dataclasses.is_dataclass(outer):
        children = [(field.name, getattr(outer, field.name, None)) for field in dataclasses.fields(outer)]
    elif isinstance(outer, dict):
        children = [(str(key), value) for key, value in outer.items()]
    elif isinstance(outer, tuple | list):
        children = [(str(index), value) for index, value in enumerate(outer)]
    else:
        return ""
    for name, value in children:
        if value is module:
            return name
        if below := _path_below(value, module):
            return f"{name}.{below}"
    return ""
