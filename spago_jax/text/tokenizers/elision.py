# SPDX-License-Identifier: BSD-2-Clause
"""Tokenizers of languages whose short words lose their vowel before another: l'amico, l'ami."""

import re
from typing import ClassVar

from spago_jax.text.graphemes import MARK
from spago_jax.text.tokenizers.general import AFTER_WORDS, BEFORE_WORDS, WORD
from spago_jax.text.tokenizers.tokenizer import PatternTokenizer


def _pattern(elided: str) -> re.Pattern[str]:
    """The pattern of ``general`` with the alternatives of one language before its words."""
    return re.compile(rf"(?:{BEFORE_WORDS} | {elided} | {WORD} | {AFTER_WORDS}){MARK}*", re.VERBOSE | re.IGNORECASE)


class ItalianTokenizer(PatternTokenizer):
    """Cuts an Italian text as ``general`` does, but after each elided word.

    >>> ItalianTokenizer().encode("Dell'arte un po' d'acqua").tokens
    ["Dell'", 'arte', 'un', "po'", "d'", 'acqua']
    """

    kind: ClassVar[str] = "italian"
    pattern: ClassVar[re.Pattern[str]] = _pattern(
        rf"(?:[^\W\d_]{MARK}*){{1,20}}['’](?=\w) | (?:po|mo|be|ca)['’](?![\w{MARK}])"
    )


class FrenchTokenizer(PatternTokenizer):
    """Cuts a French text as ``general`` does, but after the words that are elided; others keep their apostrophe.

    >>> FrenchTokenizer().encode("Qu'est-ce que l'ami d'aujourd'hui").tokens
    ["Qu'", 'est-ce', 'que', "l'", 'ami', "d'", "aujourd'hui"]
    """

    kind: ClassVar[str] = "french"
    pattern: ClassVar[re.Pattern[str]] = _pattern(
        r"(?:[cdjlmnst]|(?:jus|lors|puis|quoi|quel|pres)?qu|entr)['’](?=[^\W\d_])"
    )
