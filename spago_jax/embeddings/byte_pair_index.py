# SPDX-License-Identifier: BSD-2-Clause
"""The first and the last piece of each word."""

import re
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.saved_settings import load_settings, save_settings
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.sentence_pieces import sentencepiece_engine

_DIGIT = re.compile(r"\d")


class BytePairIndexer(TokenIndexer):
    """The ids of a word's first and last piece, and 1 more; 0 for a blank word and for padding.

    Args:
        name: of its array in a batch.
        model: the SentencePiece model, the content of a ``.model`` file.
        plain: whether words are read in lower case, with their digits as zeros.
    """

    kind: ClassVar[str] = "byte-pair"

    def __init__(self, name: str, model: bytes, plain: bool = True):
        self.name, self.model, self.plain = name, model, plain
        self._engine = sentencepiece_engine(model, name)

    @property
    def size(self) -> int:
        """The number of pieces, and 1 more for none."""
        return self._engine.get_piece_size() + 1

    def ends(self, form: str) -> tuple[int, int]:
        """The first and the last piece of a form."""
        if not form.strip():
            return 0, 0
        word = _DIGIT.sub("0", form).lower() if self.plain else form
        ids = self._engine.encode(word)
        return (ids[0] + 1, ids[-1] + 1) if ids else (0, 0)

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """Both pieces of each form, int32 [forms + 1, 2]."""
        return {self.name: np.array([*map(self.ends, lexicon), (0, 0)], np.int32)}

    def specs(self) -> dict[str, str]:
        """Two ids per token."""
        return {self.name: "i32[batch, time, 2]"}

    def save(self, folder: Path) -> None:
        """Writes ``NAME.model`` and ``NAME.settings.json``."""
        (folder / f"{self.name}.model").write_bytes(self.model)
        save_settings(folder, self.name, plain=self.plain)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        path = folder / f"{name}.model"
        try:
            model = path.read_bytes()
        except OSError as error:
            raise InputError(f"the assets cannot be read: {error.strerror}", path=path) from None
        return cls(name, model, **load_settings(folder, name, plain=bool))
