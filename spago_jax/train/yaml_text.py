# SPDX-License-Identifier: BSD-2-Clause
"""Reads YAML as a person means it: no key twice, no alias of itself, no bomb of aliases, no comment in a value."""

from collections.abc import Iterator
from typing import Any

import yaml

Keys = tuple[str | int, ...]

# More values than any experiment has; a few lines of nested aliases can stand for billions.
MOST_VALUES = 200_000


class YamlError(ValueError):
    """What is wrong with a text, and the line (from 1) where that is known."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


def parse(text: str) -> tuple[Any, dict[Keys, int]]:
    """Returns the values of a YAML text, and the line of every key and list item.

    >>> parse("a:\\n  b: [1, 2]")
    ({'a': {'b': [1, 2]}}, {('a',): 1, ('a', 'b'): 2, ('a', 'b', 0): 2, ('a', 'b', 1): 2})

    Raises:
        YamlError: for a text that is not YAML, and for a key that is there twice.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(node, (), [], [0]))
        return _value(node), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise YamlError(_first_line(error), mark.line + 1 if mark else None) from None
    except RecursionError:
        raise YamlError("nested too deeply") from None
    except YamlError:
        raise
    except (TypeError, ValueError) as error:  # a date such as 2024-13-01; a list as a key
        raise YamlError(_first_line(error)) from None


def parse_value(text: str) -> Any:
    """Returns the value of one setting on the command line, in which ``#`` begins no comment.

    >>> parse_value("[1, 2]"), parse_value("a#b"), parse_value("a #b"), parse_value("#fff"), parse_value("'x' ")
    ([1, 2], 'a#b', 'a #b', '#fff', 'x')

    Raises:
        YamlError: for a text that is not YAML.
    """
    stripped = text.strip()
    if stripped.startswith("#"):
        return stripped
    value, _ = parse(stripped)
    node = yaml.compose(stripped, Loader=yaml.SafeLoader)
    rest = "" if node is None else stripped[node.end_mark.index :].strip()
    if not rest.startswith("#"):
        return value
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        return stripped
    raise YamlError(f"after the value there is {rest!r}")


def _value(node: yaml.Node) -> Any:
    if node is None:
        return None
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _lines(node: yaml.Node, keys: Keys, above: list[Any], count: list[int]) -> Iterator[tuple[Keys, int]]:
    """The line of each key, by a walk that also finds what would take for ever, or take the last of two values."""
    count[0] += 1
    if count[0] > MOST_VALUES:
        raise YamlError(f"its aliases stand for more than {MOST_VALUES:,} values")
    if any(node is parent for parent in above):
        raise YamlError("an alias stands for a part that it is in itself", node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    name = ".".join(map(str, (*keys, key.value)))
                    where = f"lines {seen[key.value]} and {line}" if seen[key.value] != line else f"line {line}"
                    raise YamlError(f"the key {name!r} is there twice, in {where}", line)
                seen[key.value] = line
                yield (*keys, key.value), line
            yield from _lines(value, (*keys, str(key.value)), [*above, node], count)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*keys, i), value.start_mark.line + 1
            yield from _lines(value, (*keys, i), [*above, node], count)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
