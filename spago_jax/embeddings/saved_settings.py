# SPDX-License-Identifier: BSD-2-Clause
"""The settings of a host half among the assets of a model: an object of JSON in a file of its own."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Writes them in ASCII, which keeps whatever strings hold."""
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")


@contextmanager
def settings_of(path: Path) -> Iterator[dict[str, Any]]:
    """Reads what ``write_settings`` wrote; what fails within the block is said of the file.

    Raises:
        InputError: where it is missing, damaged or of something else.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "words.json")
    >>> write_settings(path, {"size": 3})
    >>> with settings_of(path) as found:
    ...     size = int(found["size"])
    >>> size
    3
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}, expected an object")
        yield found
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        why = f"{error.args[0]!r} is missing" if type(error) is KeyError else str(error)
        raise InputError(f"the assets cannot be read: {why}", path=path) from None


def save_settings(folder: Path, name: str, **settings: object) -> None:
    """Writes the settings of an indexer beside its vocabulary."""
    write_settings(folder / f"{name}.settings.json", settings)


def load_settings(folder: Path, name: str, optional: Mapping[str, type] | None = None, /, **kinds: type) -> dict:
    """Reads the settings of an indexer, each of which has to be of its type; those of ``optional`` may be absent.

    Raises:
        InputError: where they are missing or damaged.
    """
    with settings_of(folder / f"{name}.settings.json") as found:
        kinds |= {key: kind for key, kind in (optional or {}).items() if key in found}
        if {key: type(value) for key, value in found.items()} != kinds:
            wanted = ", ".join(f"{key}: {kind.__name__}" for key, kind in kinds.items())
            raise ValueError(f"{found}, expected {wanted}")
        return found
