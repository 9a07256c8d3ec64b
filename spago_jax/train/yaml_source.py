# SPDX-License-Identifier: BSD-2-Clause
"""Reads a YAML experiment with `extends:`, environment variables and overrides, and keeps the line of every key."""

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from spago_jax.errors import InputError

Place = tuple[str, int]
Keys = tuple[str | int, ...]


class Source:
    """A merged tree of settings, with the file and line of each key."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.places: dict[Keys, Place] = {}

    def place(self, keys: Sequence[str | int]) -> Place | None:
        """Returns where a key was set; for a key that was never set, where its nearest parent was."""
        for n in range(len(keys), 0, -1):
            if tuple(keys[:n]) in self.places:
                return self.places[tuple(keys[:n])]
        return None


def read(path: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Source:
    """Reads a YAML file, or a mapping of the same settings, then the overrides ``key.sub=value`` (values are YAML).

    ``extends: other.yaml`` (relative to the file) is read first and then overlaid, section by section. In a text
    ``${NAME}`` and ``${NAME:-default}`` stand for environment variables. A text that begins with ``./`` or ``../`` is
    a path relative to the file.

    Raises:
        InputError: for a missing file, bad YAML, a circular ``extends``, or an override without ``=``.
    """
    source = Source()
    if isinstance(path, Mapping):
        source.tree = copy.deepcopy(dict(path))
    else:
        _read_into(source, Path(path), ())
    for text in overrides:
        key, value = parse_override(text)
        _set(source, [int(k) if k.isdigit() else k for k in key.split(".")], value, text)
    return source


def parse_override(text: str) -> tuple[str, Any]:
    """Splits an override into its dotted key and its value.

    >>> parse_override("model.hidden=[64, 32]")
    ('model.hidden', [64, 32])

    Raises:
        InputError: for an override without ``=``, or a value that is not YAML.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise InputError(f"override {text!r} is not of the form key.sub=value")
    try:
        parsed = yaml.safe_load(value) if value.strip() else None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"override {text!r}: the value is not YAML: {_first_line(error)}") from None
    return key.strip(), _expand(parsed, text)


def _read_into(source: Source, path: Path, seen: tuple[Path, ...]) -> None:
    resolved = path.resolve()
    if resolved in seen:
        raise InputError(f"extends goes round in a circle: {' -> '.join(p.name for p in (*seen, resolved))}", path=path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no such config file{_siblings(path)}", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the config: {error}", path=path) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-01
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise InputError(f"not valid YAML: {_first_line(error)}", path=path, line=line) from None
    if not isinstance(tree, dict):
        raise InputError("an experiment is a YAML mapping with data, model and optimizer", path=path)
    parent = tree.pop("extends", None)
    if parent is not None:
        _read_into(source, path.parent / str(parent), (*seen, resolved))
    tree = _anchor_paths(_expand(tree, str(path)), path.resolve().parent)
    _overlay(source.tree, tree)
    for keys, line in _lines(node, ()):
        source.places[keys] = (str(path), line)


def _overlay(base: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and _same_kind(value, old):
            _overlay(old, value)
        else:
            base[key] = value


def _same_kind(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether two sections may be merged: another kind or format has other keys, and the parent's would be refused."""
    return all(new.get(key, old.get(key)) == old.get(key) for key in ("kind", "format"))


def _lines(node: Any, keys: Keys) -> Iterator[tuple[Keys, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*keys, key.value)
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*keys, i), value.start_mark.line + 1
            yield from _lines(value, (*keys, i))


def _set(source: Source, keys: list[str | int], value: Any, text: str) -> None:
    node: Any = source.tree
    for i, key in enumerate(keys[:-1]):
        if isinstance(node, list):
            if not isinstance(key, int) or key >= len(node):
                raise InputError(f"override {text!r}: {'.'.join(map(str, keys[: i + 1]))} is not an item of the list")
            node = node[key]
            if not isinstance(node, dict | list):
                raise InputError(f"override {text!r}: {'.'.join(map(str, keys[: i + 1]))} has no settings of its own")
            continue
        if not isinstance(node.get(key), dict | list):
            node[key] = {}
            source.places[tuple(keys[: i + 1])] = (f"override {text!r}", 0)
        node = node[key]
    last: Any = keys[-1]
    if isinstance(node, list) and (not isinstance(last, int) or last >= len(node)):
        raise InputError(f"override {text!r}: the list has {len(node)} items, counted from 0")
    node[last] = value
    source.places[tuple(keys)] = (f"override {text!r}", 0)


_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def _expand(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, where) for item in value]
    if not isinstance(value, str):
        return value

    def value_of(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise InputError(f"{where}: the environment variable {name} is not set, and {value!r} gives no default")
        return found

    return _VARIABLE.sub(value_of, value)


def _anchor_paths(value: Any, folder: Path) -> Any:
    """Resolves texts that begin with ./ or ../ against the config's folder, so that it runs from anywhere."""
    if isinstance(value, dict):
        return {key: _anchor_paths(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_anchor_paths(item, folder) for item in value]
    if isinstance(value, str) and value.startswith(("./", "../")):
        return os.path.normpath(folder / value)
    return value


def _first_line(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _siblings(path: Path) -> str:
    import difflib

    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return f"; the folder {path.parent} does not exist" if not path.parent.is_dir() else ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; configs there: {', '.join(sorted(names))}" if names else ""
