# SPDX-License-Identifier: BSD-2-Clause
"""What differs between the configs of several runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

# They name a run; that they differ says nothing about what was trained.
NAMES = frozenset({"name", "description"})
LONGEST = 40


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings by dotted key; lists are values.

    >>> flatten({"seed": 1, "model": {"kind": "mlp_classifier", "hidden": [8, 4]}})
    {'seed': 1, 'model.kind': 'mlp_classifier', 'model.hidden': [8, 4]}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of flat configs that do not have one value in all of them.

    A key that is missing is one that is null or empty: an older run does not know what was made since. So is the
    share of the data that would be drawn as a part, where the part has files of its own.

    >>> differing([{"seed": 1, "model.hidden": 8}, {"seed": 2, "model.hidden": 8, "train.watch": None}])
    ['seed']
    >>> differing([{"seed": 1}, {"seed": 1, "model.dropout": 0.1}])
    ['model.dropout']
    >>> differing([{"data.dev": "a", "data.dev_fraction": 0.0}, {"data.dev": "a", "data.dev_fraction": 0.1}])
    []
    """
    keys = dict.fromkeys(key for config in configs for key in config if key not in NAMES)
    return [key for key in keys if any(_set(c, key) != _set(configs[0], key) for c in configs)]


def _set(config: Mapping[str, Any], key: str) -> Any:
    value = config.get(key)
    part = key.removesuffix("_fraction")
    if part != key and config.get(part):
        return None
    return None if value in ([], {}) else value


def setting(value: object) -> str:
    """A setting as it is written in YAML, on one line and cut where it is long.

    >>> setting(0.002), setting([128, 64]), setting(None), setting("adam"), setting(1e-05)
    ('0.002', '[128, 64]', 'null', 'adam', '1e-05')
    """
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    line = " ".join(text.removesuffix("...\n").split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
