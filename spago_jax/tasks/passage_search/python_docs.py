# SPDX-License-Identifier: BSD-2-Clause
"""Passages from the documentation that comes with every Python: docstrings of the standard library, and help topics."""

import ast
import importlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spago_jax.data.cache import cached
from spago_jax.interop.checkpoints.find import find_checkpoint
from spago_jax.interop.huggingface import find_model
from spago_jax.tasks.passage_search.index import Passage

if TYPE_CHECKING:
    from spago_jax.tasks.passage_search.predictor import PassageSearch

FORMAT = 1
"""To be raised when the passages change: those that are kept are then made again."""
LONGEST = 400
"""Characters of a docstring, at most: whole paragraphs from its beginning, of which the first is always there."""
_SKIPPED = {"idlelib", "lib2to3", "test", "tkinter", "turtledemo", "pydoc_data", "this", "antigravity", "ensurepip"}


def load_python_passages(search: "PassageSearch", model: str | Path, progress: Any = None) -> None:
    """Lets a search have these passages: encoded once with a model, and kept in the cache.

    Args:
        search: a ``PassageSearch``.
        model: the folder, or the name, of its encoder.
        progress: as for ``PassageSearch.index``.
    """
    weights = find_checkpoint(find_model(model))
    assert weights is not None  # find_model has looked

    def build(place: Path) -> None:
        search.index(python_passages(), progress=progress)
        search.save(place / "index")

    search.load(cached("python-passages", [weights], {"python": sys.version, "format": FORMAT}, build) / "index")


def python_passages() -> Iterator[Passage]:
    """Yields the beginning of every public docstring of the standard library, and the sections of `help()`.

    Modules in Python are parsed, not imported; those in C are looked at. The id is the name that ``help()`` takes, such
    as ``random.shuffle``.
    """
    root = Path(sysconfig.get_path("stdlib"))
    for name in sorted({*sys.builtin_module_names, *sys.stdlib_module_names} - _SKIPPED):
        if name.startswith("_"):
            continue
        paths = [path for path in (root / f"{name}.py", root / name / "__init__.py") if path.is_file()]
        yield from _parsed(name, paths[0]) if paths else _compiled(name)
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    for name in sorted(topics):
        for part in _sections(topics[name]):
            yield Passage(part, name)


def _compiled(name: str) -> Iterator[Passage]:
    try:
        module = importlib.import_module(name)
    except ImportError:  # of another system
        return
    for key, value in sorted(vars(module).items()):
        if key.startswith("_") or not callable(value):
            continue
        full = key if name == "builtins" else f"{name}.{key}"
        yield from _passage(full, getattr(value, "__doc__", None))
        if inspect.isclass(value):
            for method, found in sorted(vars(value).items()):
                if not method.startswith("_") and callable(found):
                    yield from _passage(f"{full}.{method}", getattr(found, "__doc__", None))


def _parsed(name: str, path: Path) -> Iterator[Passage]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in a source
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    yield from _passage(name, ast.get_docstring(tree))
    yield from _members(name, tree)


def _members(name: str, node: ast.Module | ast.ClassDef) -> Iterator[Passage]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            full = f"{name}.{child.name}"
            yield from _passage(full, ast.get_docstring(child))
            if isinstance(child, ast.ClassDef):
                yield from _members(full, child)


def _passage(name: str, text: object) -> Iterator[Passage]:
    if isinstance(text, str) and len(text.split()) > 3:
        yield Passage(f"{name}: {_beginning(inspect.cleandoc(text))}", name)


def _beginning(text: str) -> str:
    first, *more = [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]
    for paragraph in more:
        if len(first) + len(paragraph) > LONGEST:
            break
        first = f"{first} {paragraph}"
    return first


def _sections(text: str) -> Iterator[str]:
    """Paragraphs, joined while they are short."""
    part = ""
    for paragraph in text.split("\n\n"):
        plain = " ".join(paragraph.split()).strip("*=- ")
        if part and len(part) + len(plain) > 2 * LONGEST:
            yield part
            part = ""
        part = f"{part} {plain}".strip()
    if part:
        yield part
