# SPDX-License-Identifier: BSD-2-Clause
"""What a store is, as one file that changes in one piece: each change of it is a commit."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from spago_jax.core.disk import replace_file
from spago_jax.errors import InputError

NAME = "store.json"
FORMAT = "spago-jax vectors"


@dataclasses.dataclass
class Manifest:
    """The settings and the state of a store.

    Attributes:
        dimensions: of a vector.
        count: the number of keys.
        keys: their kind.
        key_bytes: the bytes of all keys.
        index: the number of the index's files.
        slots: the names of what an optimizer keeps per number.
        tags: the states that the store can go back and forth between, in their order.
        segments: the log between each tag and the one before it; "" before the first.
        at: which tag is the present state's; -1 for none.
        log: the number of the log of what changed since then.
        pending: a move that is under way: the log that is applied, and what the state is after it.
        about: what the maker said: the file that the vectors come from.
    """

    dimensions: int
    count: int = 0
    keys: str = "words"
    key_bytes: int = 0
    index: int = 0
    slots: list[str] = dataclasses.field(default_factory=list)
    tags: list[str] = dataclasses.field(default_factory=list)
    segments: list[int] = dataclasses.field(default_factory=list)
    at: int = -1
    log: int = 0
    pending: dict[str, Any] | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def width(self) -> int:
        """Numbers per row, with those of the slots."""
        return self.dimensions * (1 + len(self.slots))

    def save(self, folder: Path) -> None:
        """Writes it in one piece."""
        replace_file(folder / NAME, json.dumps({"format": FORMAT, "version": 1, **dataclasses.asdict(self)}, indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Reads it.

        Raises:
            InputError: where it is missing, or not that of a store.
        """
        path = folder / NAME
        if not folder.is_dir():
            raise InputError("no such store; make one with: spago-jax vectors convert FILE STORE", path=folder)
        try:
            found = json.loads(path.read_text("utf-8"))
            if found.pop("format") != FORMAT or found.pop("version") != 1:
                raise ValueError("of another format or version")
            made = cls(**found)
            numbers = (made.dimensions, made.count, made.key_bytes, made.index, made.log)
            if any(type(number) is not int or number < 0 for number in numbers) or made.dimensions < 1:
                raise ValueError("a count that is not a number")
        except FileNotFoundError:
            raise InputError(f"the folder is not a store of vectors: it has no {NAME}", path=folder) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"cannot be read as a store of vectors: {error}", path=path) from None
        return made
