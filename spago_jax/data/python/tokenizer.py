# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of Python source."""

import re
from typing import Any, ClassVar

from spago_jax.data.python.sources import read_python
from spago_jax.text.tokenizers.tokenizer import Encoding, Tokenizer

_LINE_END = re.compile(r"\r\n|\r|\n")


class PythonTokenizer(Tokenizer):
    """Cuts Python source into the tokens and windows of the corpus of Python's standard library.

    Args:
        window: the most tokens, in whole lines, that are read together.

    >>> encoding = PythonTokenizer(window=5).encode("import os\\nx = os.sep")
    >>> encoding.tokens, encoding.offsets[2], encoding.breaks
    (['import', 'os', 'x', '=', 'os', '.', 'sep'], (10, 11), (0, 2))
    """

    kind: ClassVar[str] = "python"

    def __init__(self, window: int = 64):
        self.window = window

    def encode(self, text: str) -> Encoding:
        """Returns the tokens of a source; text that is not valid Python is cut as well."""
        starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        if text.startswith("\ufeff"):  # columns do not count it
            starts[0] = 1
        tokens: list[str] = []
        offsets: list[tuple[int, int]] = []
        breaks: list[int] = []
        for unit in read_python(text, max_tokens=self.window, tagged=False):
            breaks.append(len(tokens))
            tokens += unit.tokens
            offsets += [(starts[row - 1] + column, starts[last - 1] + end) for (row, column), (last, end) in unit.spans]
        return Encoding(tokens, offsets, tuple(breaks))

    def settings(self) -> dict[str, Any]:
        """Returns the size of a window."""
        return {"window": self.window}
