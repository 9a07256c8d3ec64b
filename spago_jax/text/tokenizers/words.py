# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of English words and marks."""

import re
from typing import ClassVar

from spago_jax.text.tokenizers.tokenizer import PatternTokenizer
from spago_jax.text.words import WORDS


class WordTokenizer(PatternTokenizer):
    """Cuts a text into words and marks as ``text.words.tokenize`` does, in lower case if requested.

    >>> found = WordTokenizer(lowercase=True).encode("Don't!")
    >>> found.tokens, found.offsets
    (['do', "n't", '!'], [(0, 2), (2, 5), (5, 6)])
    """

    kind: ClassVar[str] = "words"
    pattern: ClassVar[re.Pattern[str]] = WORDS
