# SPDX-License-Identifier: BSD-2-Clause
"""Numbers, durations and tables as text for people."""

import math
from collections.abc import Iterable, Sequence

_LARGE = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SMALL = ((1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def finite(value: object) -> float | None:
    """The number, or None for what is not a finite number.

    >>> finite(3), finite(float("nan")), finite(None), finite(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def score(value: object) -> str:
    """A score or a loss: four decimals, or four digits when it is large or small.

    >>> score(0.93127), score(12.34567), score(1234.5), score(0.000012345), score(None)
    ('0.9313', '12.35', '1,234', '1.234e-05', 'n/a')
    """
    number = finite(value)
    if number is None:
        return "n/a"
    size = abs(number)
    if size >= 1000:
        return f"{number:,.0f}"
    if size >= 10:
        return f"{number:.2f}"
    return f"{number:.4f}" if size >= 1e-3 or size == 0 else f"{number:.3e}"


def count(value: object) -> str:
    """A whole number with separators between thousands; empty for what is not a number.

    >>> count(1234567), count(None)
    ('1,234,567', '')
    """
    number = finite(value)
    return "" if number is None else f"{number:,.0f}"


def amount(value: object, unit: str = "") -> str:
    """Three digits with a metric prefix; empty for what is not a number.

    Seconds also have prefixes below one.

    >>> amount(1_234_567, "FLOP"), amount(12, "B"), amount(2500), amount(0.00025, "s"), amount(None, "B")
    ('1.23 MFLOP', '12 B', '2.5 k', '250 us', '')
    """
    number = finite(value)
    if number is None:
        return ""
    for factor, prefix in (*_LARGE, *(_SMALL if unit == "s" else ())):
        if abs(number) >= factor:
            return f"{number / factor:.3g} {prefix}{unit}".rstrip()
    return f"{number:.3g} {unit}".rstrip()


def memory(value: float) -> str:
    """Bytes in binary units.

    >>> memory(3 * 2**20), memory(100)
    ('3 MiB', '100 B')
    """
    for factor, unit in _BINARY:
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} B"


def seconds_text(seconds: float) -> str:
    """A duration, from a tenth of a second to hours.

    >>> seconds_text(7.25), seconds_text(75), seconds_text(4000)
    ('7.2 s', '1 min 15 s', '1 h 6 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def rate_text(count: float, seconds: float, unit: str) -> str:
    """A rate per second.

    >>> rate_text(12000, 2.0, "tokens")
    '6.0k tokens/s'
    """
    rate = count / max(seconds, 1e-9)
    return f"{rate / 1000:.1f}k {unit}/s" if rate >= 1000 else f"{rate:.3g} {unit}/s"


def letters(index: int) -> str:
    """Names by number: a, b, ..., z, aa, ab, ...

    >>> letters(0), letters(25), letters(26), letters(27)
    ('a', 'z', 'aa', 'ab')
    """
    name = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        name = chr(ord("a") + digit) + name
    return name


def title(name: str) -> str:
    """The name of a score as words.

    >>> title("macro_f1"), title("bits_per_character"), title("accuracy")
    ('macro F1', 'bits per character', 'accuracy')
    """
    words = {"f1": "F1", "nats": "nats"}
    return " ".join(words.get(word, word) for word in name.split("_"))


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "lr") -> str:
    """Columns of text.

    Args:
        heads: the first row.
        rows: the other rows.
        align: ``l`` or ``r`` for each column; the last one holds for all columns after it.

    >>> print(text_table(["run", "f1"], [["one", "0.5000"], ["another", "-"]]))
    run          f1
    one      0.5000
    another       -
    """
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    align = align.ljust(len(widths), align[-1])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(line, widths, align, strict=False)
        ).rstrip()
        for line in lines
    )
