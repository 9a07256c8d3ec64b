# SPDX-License-Identifier: BSD-2-Clause
"""Curves in a terminal, as Unicode braille: two by four dots per character."""

from collections.abc import Iterable, Sequence

Point = tuple[float, float]
Cell = tuple[str, int]
# The bit of each dot of a braille character, by row and column (Unicode chapter 21.1).
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
NOBODY = -1


def braille(series: Sequence[Sequence[Point]], width: int, height: int) -> list[list[Cell]]:
    """Draws curves on a grid of characters over their common range.

    Args:
        series: points in ascending x; each curve joins its points by straight lines.
        width: characters per line.
        height: number of lines.

    Returns:
        Lines of cells from the top; a cell is its character and the curve that was drawn through it last (-1: none).

    >>> ["".join(character for character, _ in line) for line in braille([[(0, 0.0), (1, 1.0)]], 4, 2)]
    ['⠀⠀⡠⠊', '⡠⠊⠀⠀']
    """
    columns, rows = 2 * width, 4 * height
    points = [point for one in series for point in one]
    if not points:
        return [[(chr(0x2800), NOBODY)] * width for _ in range(height)]
    (x_low, x_high), (y_low, y_high) = (_range(point[i] for point in points) for i in (0, 1))
    bits = [[0] * width for _ in range(height)]
    owner = [[NOBODY] * width for _ in range(height)]
    for index, one in enumerate(series):
        places = [
            (round((x - x_low) / (x_high - x_low) * (columns - 1)), round((y_high - y) / (y_high - y_low) * (rows - 1)))
            for x, y in one
        ]
        for column, row in _dots(places):
            bits[row // 4][column // 2] |= _BITS[row % 4][column % 2]
            owner[row // 4][column // 2] = index
    return [
        [(chr(0x2800 + dots), curve) for dots, curve in zip(*line, strict=True)]
        for line in zip(bits, owner, strict=True)
    ]


def _range(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    low, high = min(found), max(found)
    pad = 0.0 if high > low else abs(low) * 0.1 or 1.0
    return low - pad, high + pad


def _dots(places: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Yields the dots of straight lines from each place to the next."""
    if places:
        yield places[0]
    for (x0, y0), (x1, y1) in zip(places, places[1:], strict=False):  # noqa: RUF007
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(1, steps + 1):
            yield x0 + round(i * (x1 - x0) / steps), y0 + round(i * (y1 - y0) / steps)
