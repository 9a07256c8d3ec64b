# SPDX-License-Identifier: BSD-2-Clause
"""English and Italian numbers, for the template of translation."""

import random
from pathlib import Path

_SMALL = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
}
_ENGLISH, _ITALIAN = _SMALL["en"].split(), _SMALL["it"].split()
_ENGLISH_TENS, _ITALIAN_TENS = _TENS["en"].split(), _TENS["it"].split()


def english(number: int) -> str:
    """Returns a number below 1000 in English.

    >>> english(121)
    'one hundred and twenty-one'
    """
    if number < 20:
        return _ENGLISH[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _ENGLISH_TENS[tens - 2] + (f"-{_ENGLISH[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ENGLISH[hundreds]} hundred" + (f" and {english(rest)}" if rest else "")


def italian(number: int) -> str:
    """Returns a number below 1000 in Italian: the last vowel of the tens is dropped before uno and otto.

    >>> italian(121), italian(388), italian(23)
    ('centoventuno', 'trecentottantotto', 'ventitré')
    """
    if number < 20:
        return _ITALIAN[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        word = _ITALIAN_TENS[tens - 2]
        if ones in (1, 8):
            word = word[:-1]
        return word + ("tré" if ones == 3 else _ITALIAN[ones] if ones else "")
    hundreds, rest = divmod(number, 100)
    word = ("" if hundreds == 1 else _ITALIAN[hundreds]) + "cento"
    if rest == 8 or 80 <= rest < 90:  # centotto and centottanta
        word = word[:-1]
    return word + ("tré" if rest == 3 else italian(rest) if rest else "")


def write_numbers(folder: Path) -> None:
    """Writes train.tsv, dev.tsv and test.tsv: the numbers below 1000, each in one of them."""
    numbers = list(range(1000))
    random.Random(1).shuffle(numbers)
    for name, part in {"test": numbers[:80], "dev": numbers[80:160], "train": numbers[160:]}.items():
        rows = "".join(f"{english(number)}\t{italian(number)}\n" for number in part)
        (folder / f"{name}.tsv").write_text(f"source\ttarget\n{rows}", encoding="utf-8")
