# SPDX-License-Identifier: BSD-2-Clause
"""The tokenizer of words and marks of any script."""

import re
from typing import ClassVar

from spago_jax.text.graphemes import MARK
from spago_jax.text.tokenizers.tokenizer import PatternTokenizer

# Scripts without blanks between words whose characters are words or syllables: Han and Hiragana.
_ALONE = "\u3005-\u3007\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"(?:(?![{_ALONE}])[\w{MARK}])"
BEFORE_WORDS = rf"""
      (?:https?://|www\.)[^\s<>"']*[^\s<>"'.,;:!?)\]}}…]  # links, without the stop that ends the sentence
    | [\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+     # e-mail addresses (bounded: no quadratic search)
    | [@\#]{_LETTER}+                                      # @mentions and #tags
    | \d+(?:[.,:/'’\u066b\u066c]\d+)+                     # 1,000.50  10:30  3/4  1'000, in any digits
    | (?:[^\W\d_]{MARK}*\.){{2,}}                          # U.S.A.
"""
AFTER_WORDS = rf"""
      [{_ALONE}]                                          # one character of Han or Hiragana
    | \.{{2,}}|-{{2,}}                                      # ...  --
    | [^\w\s]                                             # any other mark, by itself
"""
# The joints within a word: apostrophes, the Catalan and the Hebrew marks, hyphens.
WORD = rf"{_LETTER}+(?:['’·\u05f3\u05f4\u2010\u2011-]{_LETTER}+)*"


class GeneralTokenizer(PatternTokenizer):
    """Cuts a text of any script into words and marks, in lower case if requested.

    A word is a run of letters, digits and their marks, with apostrophes and hyphens in it. Characters of Han and
    Hiragana are tokens by themselves; in other scripts that are written without blanks (Thai, Khmer, Lao) a run is
    one token, since only a dictionary knows its words. Links, e-mail addresses, @mentions, #tags, numbers and
    abbreviations stay whole; every other mark is a token.

    >>> GeneralTokenizer().encode("नमस्ते, 今日は don't").tokens
    ['नमस्ते', ',', '今', '日', 'は', "don't"]
    """

    kind: ClassVar[str] = "general"
    pattern: ClassVar[re.Pattern[str]] = re.compile(
        rf"(?:{BEFORE_WORDS} | {WORD} | {AFTER_WORDS}){MARK}*", re.VERBOSE | re.IGNORECASE
    )
