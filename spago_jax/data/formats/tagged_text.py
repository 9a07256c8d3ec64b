# SPDX-License-Identifier: BSD-2-Clause
"""The sentences of tagged corpora as a plain text, for language models of the texts that a tagger will read."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from spago_jax.data.cache import cached
from spago_jax.data.formats.conll import read_conll
from spago_jax.data.formats.conllu import read_conllu
from spago_jax.data.formats.text_files import TextFiles


class TaggedText(TextFiles):
    """CoNLL and CoNLL-U files read as text: a sentence per line, its tokens apart by blanks, its tags left out."""

    format: Literal["tagged-text"]  # pyright: ignore[reportIncompatibleVariableOverride]
    token_column: int = Field(default=0, description="column of the token, from 0; CoNLL-U (.conllu) has its own")
    comment: str | None = Field(
        default=None, min_length=1, description="lines of CoNLL files that begin with this are comments"
    )

    def files(self, split: str) -> list[Path]:
        """Returns the texts of a part's files, each written once into the cache."""
        return [self._text_of(path) for path in super().files(split)]

    def _text_of(self, path: Path) -> Path:
        def build(folder: Path) -> None:
            with open(folder / "sentences.txt", "w", encoding="utf-8", newline="") as file:
                file.writelines(" ".join(tokens) + "\n" for tokens in self._sentences(path))

        settings = {"token_column": self.token_column, "comment": self.comment}
        return cached("tagged-text", [path], settings, build) / "sentences.txt"

    def _sentences(self, path: Path):
        if path.name.removesuffix(".gz").endswith(".conllu"):
            found = read_conllu(path, column=None)
        else:
            found = read_conll(path, token_column=self.token_column, tag_column=None, comment=self.comment)
        return (sentence.tokens for sentence in found)
