# SPDX-License-Identifier: BSD-2-Clause
"""The host half of pooled contextual embeddings: the characters of a sentence, and what was seen of each word."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.contextual_index import ContextualIndexer
from spago_jax.embeddings.memory import WordMemory
from spago_jax.embeddings.saved_settings import load_settings, save_settings


class PooledIndexer(ContextualIndexer):
    """What a ``ContextualIndexer`` gives, and ``NAME_pooled``, the vector in memory of each word, where it has one.

    Args:
        name: of its arrays in a batch.
        models: as for ``ContextualIndexer``, as are ``reading``.
        memory: the vectors of words, which predictions read and do not change.
        only_capitalized: whether words without a capital are left out of the memory.
        reading: how sentences are read.
    """

    kind: ClassVar[str] = "pooled-strings"

    def __init__(
        self,
        name: str,
        models: Mapping[str, Mapping[str, Any]],
        memory: WordMemory,
        *,
        only_capitalized: bool = False,
        **reading: Any,
    ):
        super().__init__(name, models, **reading)
        self.memory, self.only_capitalized = memory, only_capitalized

    def kept(self, form: str) -> bool:
        """Whether a form has a place in the memory."""
        return form[:1].isupper() or not self.only_capitalized

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The characters of each form, and its row in the memory, int32 [forms + 1]; -1 for none."""
        rows = self.memory.rows_of([form if self.kept(form) else "" for form in lexicon])
        return {**super().tables(lexicon), f"{self.name}_rows": np.append(rows, -1).astype(np.int32)}

    def arrays(self, tables: Mapping[str, np.ndarray], forms: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The arrays of ``ContextualIndexer``, the vectors in memory, and which words have one."""
        rows = tables[f"{self.name}_rows"][forms]
        return {
            **super().arrays(tables, forms, length),
            f"{self.name}_pooled": self.memory.vectors(rows),
            f"{self.name}_known": (rows >= 0).astype(np.int32),
        }

    def specs(self) -> dict[str, str]:
        """Those of ``ContextualIndexer``, and one vector per token."""
        return {
            **super().specs(),
            f"{self.name}_pooled": f"f32[batch, time, {self.memory.size}]",
            f"{self.name}_known": "i32[batch, time]",
        }

    def save(self, folder: Path) -> None:
        """Writes what ``ContextualIndexer`` does, the memory, and ``NAME.settings.json``."""
        super().save(folder)
        self.memory.save(folder, self.name)
        save_settings(folder, self.name, only_capitalized=self.only_capitalized)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote; the memory stays on disk."""
        plain = ContextualIndexer.load(folder, name)
        reading = {key: getattr(plain, key) for key in ("start", "end", "after", "lowercase")}
        settings = load_settings(folder, name, only_capitalized=bool)
        return cls(name, plain.models, WordMemory.load(folder, name), **settings, **reading)
