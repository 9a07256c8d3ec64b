# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of words and marks."""

from typing import Any, ClassVar

from spago_jax.text.tokenizers.tokenizer import Encoding, Tokenizer
from spago_jax.text.words import tokenize


class WordTokenizer(Tokenizer):
    """Cuts a text into words and marks with ``text.words.tokenize``, in lower case if requested.

    >>> WordTokenizer(lowercase=True).encode("Don't!")
    Encoding(tokens=['do', "n't", '!'], offsets=[(0, 2), (2, 5), (5, 6)], breaks=(), ids=None, word_ids=None)
    """

    kind: ClassVar[str] = "words"

    def __init__(self, lowercase: bool = False):
        self.lowercase = lowercase

    def encode(self, text: str) -> Encoding:
        """Returns the words and marks of a text."""
        found = tokenize(text)
        tokens = [token.text.lower() if self.lowercase else token.text for token in found]
        return Encoding(tokens, [(token.start, token.end) for token in found])

    def settings(self) -> dict[str, Any]:
        """Returns whether tokens are lower-cased."""
        return {"lowercase": self.lowercase}
