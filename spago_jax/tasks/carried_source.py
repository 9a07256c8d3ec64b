# SPDX-License-Identifier: BSD-2-Clause
"""The source that an exported folder carries: the processor's modules and all that they import, under another name."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "processor"
"""The name of the carried package."""

_ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"\bspago_jax(?=\.)")  # of modules; other names, such as formats of files, stay


def carried_source(modules: Iterable[str]) -> dict[str, bytes]:
    """The files of a package that holds these modules and what they import from this library.

    Args:
        modules: dotted names, ``spago_jax.text.words``.

    Returns:
        Contents by path: ``{"processor/text/words.py": ...}``; packages have empty ``__init__`` files.

    >>> sorted(carried_source(["spago_jax.text.tokenizers.whitespace"]))[:3]
    ['processor/__init__.py', 'processor/errors.py', 'processor/registry.py']
    """
    files: dict[str, bytes] = {}
    for module in sorted(imported_modules(modules)):
        path = Path(PACKAGE, *module.split(".")[1:]).with_suffix(".py")
        text = _file(module).read_text(encoding="utf-8")
        files[path.as_posix()] = _NAME.sub(PACKAGE, text).encode("utf-8")
        for folder in path.parents[:-1]:
            files.setdefault((folder / "__init__.py").as_posix(), b"")
    return files


def imported_modules(modules: Iterable[str]) -> set[str]:
    """These modules of the library, and every module of it that they import when they are imported."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [name for name in imports(module) if name.partition(".")[0] == "spago_jax"]
    return found


def imports(module: str) -> list[str]:
    """The modules that a module of the library imports at its top."""
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names if _is_package(node.module)]
            names += submodules or [node.module]
    return names


def _is_package(module: str) -> bool:
    return module.partition(".")[0] == "spago_jax" and _ROOT.joinpath(*module.split(".")[1:]).is_dir()


def _file(module: str) -> Path:
    return _ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
