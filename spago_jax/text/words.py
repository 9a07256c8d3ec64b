# SPDX-License-Identifier: BSD-2-Clause
"""A small, fast tokenizer for words with their places in the text, and the forms of a word."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from spago_jax.text.graphemes import MARK, cut

__all__ = ["WORDS", "Token", "normalise", "tokenize", "word_shape", "words"]


class Token(NamedTuple):
    """A piece of a text: ``text[start:end]``, with offsets in code points."""

    text: str
    start: int
    end: int


# Alternatives are tried in order, so specific ones come before general ones. A MARK belongs to the character before it.
WORDS = re.compile(
    rf"""(?:
      (?:https?://|www\.)[^\s<>"']*[^\s<>"'.,;:!?)\]}}…]    # links, without the stop that ends the sentence
    | [\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+       # e-mail addresses (bounded: no quadratic search)
    | [@\#][\w{MARK}]+                                      # @mentions and #tags
    | <\/?[A-Za-z][^<>\s]*>                                 # <tags>
    | [:;=8][-o'^]?[)(\]\[dDpP/\\|*](?![\w{MARK}])          # :-) and the like
    | \d+(?:[.,:/]\d+)+                                     # 1,000.50  10:30  3/4
    | (?:[^\W\d_]{MARK}*\.){{2,}}                            # U.S.  e.g.
    | (?:can(?=not(?![\w{MARK}])))                           # can|not
    | [\w{MARK}]+?(?=n['’]t(?![\w{MARK}]))                   # do|n't
    | n['’]t(?![\w{MARK}])
    | ['’](?:s|S|m|M|d|D|ll|LL|re|RE|ve|VE)(?![\w{MARK}])    # 's  'll  're
    | [\w{MARK}]+(?:-[\w{MARK}]+)*                           # words, also with hyphens in them
    | \.{{2,}}|-{{2,}}                                        # ...  --
    | [^\w\s]                                               # any other mark, by itself
    ){MARK}*""",
    re.VERBOSE | re.IGNORECASE,
)
"""The words and marks of English."""


def tokenize(text: str) -> list[Token]:
    """Splits a text into words and marks, with their places.

    Links, e-mail addresses, @mentions, #tags, numbers, abbreviations (U.S.) and simple smileys stay whole;
    contractions split as in the Penn Treebank (do n't, it 's); every other mark is a token. Combining marks and
    joiners stay with their character, and emoji are whole. Nothing but white space is left out:
    ``text[t.start:t.end] == t.text`` for every token.

    >>> [t.text for t in tokenize("Don't @me: it's 3.5% off at https://a.io/x, ok?")]
    ['Do', "n't", '@me', ':', 'it', "'s", '3.5', '%', 'off', 'at', 'https://a.io/x', ',', 'ok', '?']
    >>> tokenize("So #cool")
    [Token(text='So', start=0, end=2), Token(text='#cool', start=3, end=8)]
    """
    return [Token(text[start:end], start, end) for start, end in cut(WORDS, text)]


def words(text: str, *, lower: bool = True) -> list[str]:
    """Returns the words of a text without their places, for the classification of texts.

    >>> words("My card hasn't arrived.")
    ['my', 'card', 'has', "n't", 'arrived', '.']
    """
    text = text.lower() if lower else text
    return [text[start:end] for start, end in cut(WORDS, text)]


_DIGIT = re.compile(r"\d")


def normalise(token: str, *, lower: bool = True, digits: str | None = "0", unicode: bool = False) -> str:
    """Returns the form under which a token is looked up among word vectors.

    >>> normalise("Route66"), normalise("Route66", lower=False, digits=None), normalise("ﬁn", unicode=True)
    ('route00', 'Route66', 'fin')

    Args:
        token: one word.
        lower: lower-case it.
        digits: the replacement of every decimal digit; None leaves them.
        unicode: apply Unicode NFKC first: compatibility forms become plain letters.
    """
    if unicode:
        token = unicodedata.normalize("NFKC", token)
    if lower:
        token = token.lower()
    if digits is not None:
        token = _DIGIT.sub(digits, token)
    return token


@lru_cache(maxsize=65536)
def word_shape(token: str, *, run: int = 4) -> str:
    """Returns the shape of a word: ``X`` upper case, ``x`` other letters, ``d`` digits, marks as they are.

    A run of one class is cut at `run`, so that the number of shapes stays small.

    >>> word_shape("McDonald's"), word_shape("2026-07-30"), word_shape("Constantinople")
    ("XxXxxxx'x", 'dddd-dd-dd', 'Xxxxx')
    """
    shape: list[str] = []
    length = 0
    for char in token:
        if char.isdigit():
            kind = "d"
        elif char.isalpha():
            kind = "X" if char.isupper() else "x"
        else:
            kind = char
        length = length + 1 if shape and shape[-1] == kind else 1
        if length <= run:
            shape.append(kind)
    return "".join(shape)
