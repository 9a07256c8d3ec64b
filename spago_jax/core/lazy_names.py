# SPDX-License-Identifier: BSD-2-Clause
"""Names of a package that are imported when they are first asked for, so that its own import stays light."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Returns a package's ``__getattr__`` and ``__dir__``: its public names, and those that are found in ``modules``.

    Args:
        package: its ``__name__``.
        modules: for each lazy name, the module that has it.

    >>> find, names = lazy_names("spago_jax.core", {"Program": "spago_jax.compiler.program"})
    >>> find("Program").__name__, "Program" in names()
    ('Program', True)
    """

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    def names() -> list[str]:
        own = vars(sys.modules[package])
        return sorted({name for name in own if not name.startswith("_") or name.startswith("__")} | set(modules))

    return find, names
