# SPDX-License-Identifier: BSD-2-Clause
"""The tags that a model may give, in its own scheme, and the scheme of the files."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spago_jax.errors import InputError
from spago_jax.text.tags import OUTSIDE


@dataclasses.dataclass(frozen=True)
class TagSet:
    """Tags by id, the scheme that the model writes, and the scheme that the files are written in.

    Attributes:
        spans: how spans are read off the tags, by the rules of the ``scheme``, those of ``flair``, or the older ones of
            ``flair-0.10``.
    """

    names: tuple[str, ...]
    scheme: str
    written: str
    spans: str = "scheme"

    def table(self, names: Sequence[str], where: str) -> np.ndarray:
        """From a file's tag ids to the model's; a tag that training never saw becomes -1.

        Raises:
            InputError: where not one of the file's tags, ``O`` apart, is known: it is another kind of file.
        """
        ids = {tag: number for number, tag in enumerate(self.names)}
        told = [name for name in names if name != OUTSIDE]
        if told and not any(name in ids for name in told):
            raise InputError(
                f"{where}: none of its tags ({', '.join(told[:5])}) is one of the model's "
                f"({', '.join(name for name in self.names[:6] if name != OUTSIDE)}, ...)"
            )
        return np.array([ids.get(name, -1) for name in names], np.int32)

    def save(self, folder: Path) -> None:
        """Writes ``tags.json``."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        (folder / "tags.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "TagSet":
        """Reads ``tags.json``.

        Raises:
            InputError: where it is missing or damaged.
        """
        try:
            read = json.loads((folder / "tags.json").read_text(encoding="utf-8"))
            return cls(tuple(read["names"]), read["scheme"], read["written"], read.get("spans", "scheme"))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"the run's tags cannot be read: {error}", path=folder / "tags.json") from None
