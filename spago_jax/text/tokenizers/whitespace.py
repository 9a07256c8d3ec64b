# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of texts whose tokens are already separated by white space."""

import re
from typing import ClassVar

from spago_jax.text.tokenizers.tokenizer import PatternTokenizer


class WhitespaceTokenizer(PatternTokenizer):
    """Cuts a text at white space and nowhere else.

    >>> WhitespaceTokenizer().encode("do n't").tokens
    ['do', "n't"]
    """

    kind: ClassVar[str] = "whitespace"
    pattern: ClassVar[re.Pattern[str]] = re.compile(r"\S+")
