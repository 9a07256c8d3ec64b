# SPDX-License-Identifier: BSD-2-Clause
"""Numbers for people."""

import math
from typing import Any


def finite(value: Any) -> float | None:
    """The number, or None for what is not a finite number.

    >>> finite(3), finite(float("nan")), finite(None), finite(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def score(value: Any) -> str:
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


def count(value: Any) -> str:
    """A whole number with thousands apart.

    >>> count(1234567), count(None)
    ('1,234,567', '')
    """
    number = finite(value)
    return "" if number is None else f"{number:,.0f}"


def size(value: Any, unit: str = "B") -> str:
    """An amount with a metric prefix.

    >>> size(1_234_567), size(12), size(None)
    ('1.23 MB', '12 B', '')
    """
    number = finite(value)
    if number is None:
        return ""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def title(name: str) -> str:
    """A score's name as it is read.

    >>> title("macro_f1"), title("bits_per_character"), title("accuracy")
    ('macro F1', 'bits per character', 'accuracy')
    """
    words = {"f1": "F1", "nats": "nats"}
    return " ".join(words.get(word, word) for word in name.split("_"))
