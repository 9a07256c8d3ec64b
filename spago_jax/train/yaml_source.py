# SPDX-License-Identifier: BSD-2-Clause
"""Reads a YAML experiment with `extends:`, environment variables and overrides, and keeps the line of every key."""

import copy
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spago_jax.core.section import one_or_more
from spago_jax.errors import InputError
from spago_jax.train.yaml_text import Keys, YamlError, parse, parse_value

Place = tuple[str, int]


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

    ``extends: other.yaml`` (relative to the file) is read first and then overlaid, section by section; the name is
    then that of the file where it gives none, and the description is its own. In a text ``${NAME}`` and
    ``${NAME:-default}`` stand for environment variables. A text that begins with ``./`` or ``../`` is a path relative
    to the file, one that begins with ``~/`` a path in the user's home.

    Raises:
        InputError: for a missing file, bad YAML, a circular ``extends``, or an override without ``=``.
    """
    source = Source()
    if isinstance(path, Mapping):
        source.tree = copy.deepcopy(dict(path))
    else:
        _read_into(source, Path(path), ())
    for text in one_or_more(overrides):
        key, value = parse_override(text)
        _set(source, [int(k) if k.isascii() and k.isdecimal() else k for k in key.split(".")], value, text)
    return source


def parse_override(text: str) -> tuple[str, Any]:
    """Splits an override into its dotted key and its value.

    >>> parse_override("model.hidden=[64, 32]")
    ('model.hidden', [64, 32])
    >>> parse_override("name=a #b")
    ('name', 'a #b')

    Raises:
        InputError: for an override without ``=``, or a value that is not YAML.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise InputError(f"override {text!r} is not of the form key.sub=value")
    try:
        parsed = parse_value(value)
    except YamlError as error:
        raise InputError(f"override {text!r}: the value is not YAML: {error}") from None
    return key.strip(), _anchor_paths(_expand(parsed, f"override {text!r}"), None)


def _read_into(source: Source, path: Path, seen: tuple[Path, ...]) -> None:
    try:
        resolved = path.resolve()
    except (OSError, ValueError) as error:  # a zero byte in the name, a link to itself
        raise InputError(f"cannot read the config: {error}", path=repr(str(path))) from None
    if resolved in seen:
        raise InputError(f"extends goes round in a circle: {' -> '.join(p.name for p in (*seen, resolved))}", path=path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no such config file{_siblings(path)}", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the config: {error}", path=path) from None
    try:
        tree, lines = parse(text)
    except YamlError as error:
        raise InputError(f"not valid YAML: {error}", path=path, line=error.line) from None
    if not isinstance(tree, dict):
        raise InputError("an experiment is a YAML mapping with data, model and optimizer", path=path)
    parent = tree.pop("extends", None)
    if parent is not None:
        _read_into(source, path.parent / os.path.expanduser(str(_expand(parent, str(path)))), (*seen, resolved))
        if "name" in source.tree:  # those of the other file say nothing about this one
            source.tree["name"] = path.stem
        source.tree.pop("description", None)
    tree = _anchor_paths(_expand(tree, str(path)), path.resolve().parent)
    _overlay(source.tree, tree)
    for keys, line in lines.items():
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


def _set(source: Source, keys: list[str | int], value: object, text: str) -> None:
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


def _expand(value: object, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, where) for item in value]
    if not isinstance(value, str):
        return value

    def value_of(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name)
        if not found and default is None:
            state = "not set" if found is None else "set, but empty"
            raise InputError(f"{where}: the environment variable {name} is {state}, and {value!r} gives no default")
        return found or default

    return _VARIABLE.sub(value_of, value)


def _anchor_paths(value: object, folder: Path | None) -> Any:
    """Resolves texts that begin with ./ or ../ against the config's folder, so that it runs from anywhere; and ~/."""
    if isinstance(value, dict):
        return {key: _anchor_paths(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_anchor_paths(item, folder) for item in value]
    if isinstance(value, str) and value.startswith("~/"):
        return os.path.expanduser(value)
    if folder is not None and isinstance(value, str) and value.startswith(("./", "../")):
        return os.path.normpath(folder / value)
    return value


def _siblings(path: Path) -> str:
    import difflib

    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return f"; the folder {path.parent} does not exist" if not path.parent.is_dir() else ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; configs there: {', '.join(sorted(names))}" if names else ""
