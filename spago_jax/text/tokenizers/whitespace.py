# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of texts whose tokens are already separated by white space."""

import re
from typing import Any, ClassVar

from spago_jax.text.tokenizers.tokenizer import Encoding, Tokenizer

_TOKEN = re.compile(r"\S+")


class WhitespaceTokenizer(Tokenizer):
    """Cuts a text at white space and nowhere else.

    >>> WhitespaceTokenizer().encode("do n't").tokens
    ['do', "n't"]
    """

    kind: ClassVar[str] = "whitespace"

    def __init__(self, lowercase: bool = False):
        self.lowercase = lowercase

    def encode(self, text: str) -> Encoding:
        """Returns the pieces between white space."""
        found = list(_TOKEN.finditer(text))
        tokens = [match.group().lower() if self.lowercase else match.group() for match in found]
        return Encoding(tokens, [match.span() for match in found])

    def settings(self) -> dict[str, Any]:
        """Returns whether tokens are lower-cased."""
        return {"lowercase": self.lowercase}
