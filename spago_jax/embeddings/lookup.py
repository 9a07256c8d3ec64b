# SPDX-License-Identifier: BSD-2-Clause
"""The rules by which the vector of a word is found, by name. Needs the standard library alone."""

from collections.abc import Container, Iterator
from typing import Literal, get_args

Rule = Literal["exact", "lower", "digits"]
RULES: tuple[str, ...] = get_args(Rule)

_AS_SIGNS = str.maketrans("0123456789", "##########")
_AS_ZEROS = str.maketrans("0123456789", "0000000000")


def variants(word: str, rule: Rule | str) -> Iterator[str]:
    """Yields the forms under which a word is looked up, in their order.

    ``exact``: as it stands. ``lower``: also in lower case (spaGO). ``digits``: also in lower case with every digit as
    ``#``, then with every digit as ``0`` (Flair).

    >>> list(variants("B52s", "digits"))
    ['B52s', 'b52s', 'b##s', 'b00s']
    """
    yield word
    if rule == "exact":
        return
    lower = word.lower()
    if lower != word:
        yield lower
    if rule == "digits" and any("0" <= each <= "9" for each in lower):
        yield lower.translate(_AS_SIGNS)
        yield lower.translate(_AS_ZEROS)


def found_form(word: str, rule: Rule | str, known: Container[str]) -> str | None:
    """Returns the first form of a word that is known, or None.

    >>> found_form("Paris", "lower", {"paris"}), found_form("Paris", "exact", {"paris"})
    ('paris', None)
    """
    return next((form for form in variants(word, rule) if form in known), None)
