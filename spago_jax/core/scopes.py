# SPDX-License-Identifier: BSD-2-Clause
"""Names in traced programs: what a module computes is traced under its path in the model that calls it."""

import dataclasses
import functools
import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from spago_jax.core.taps import listening, tap_module

if TYPE_CHECKING:
    from spago_jax.core.module import Module


class _Active(threading.local):
    def __init__(self) -> None:
        self.modules: list[Any] = []
        self.paths: list[str] = []  # of each, below the outermost one, whose own is empty


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
    is_call = method.__name__ == "__call__"

    @functools.wraps(method)
    def call(self: "Module", *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        active = _active.modules
        if active and active[-1] is self:
            return method(self, *args, **kwargs)
        name, outer_path = _place(self)
        active.append(self)
        _active.paths.append(f"{outer_path}.{name}" if outer_path else name if len(active) > 1 else "")
        try:
            with jax.named_scope(name):
                result = method(self, *args, **kwargs)
            if is_call and listening():
                tap_module(_active.paths[-1] or name, result)
            return result
        finally:
            active.pop()
            _active.paths.pop()

    return call


def _place(module: "Module") -> tuple[str, str]:
    """The name of a module that is called now, and the path of the active module that has it or that calls it."""
    active, paths = _active.modules, _active.paths
    for outer, path in zip(reversed(active), reversed(paths), strict=True):
        if found := _path_below(outer, module):
            return found, path
    return type(module).__name__, paths[-1] if paths else ""


def _path_below(outer: object, module: "Module") -> str:
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
