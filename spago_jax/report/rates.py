# SPDX-License-Identifier: BSD-2-Clause
"""The curve of a learning-rate finder: as text for a terminal, and as an SVG file of its own."""

import numpy as np

from spago_jax.core.show import score, text_table
from spago_jax.drawing.charts.line_chart import Series, line_chart
from spago_jax.drawing.colours import PAGE, SERIES
from spago_jax.train.find_rate import RateCurve

ROWS, BAR = 24, 40

_INK, _MUTED, _GRID, _GROUND = (PAGE[name][0] for name in ("ink", "muted", "line", "surface"))
_STYLE = (
    f"svg{{background:{_GROUND};font:12px system-ui,sans-serif}}text{{fill:{_MUTED}}}.label{{fill:{_INK}}}"
    f".grid{{stroke:{_GRID}}}.axis{{stroke:{_MUTED}}}.mark{{stroke:{_INK};stroke-dasharray:3 4}}"
    ".line{fill:none;stroke:var(--k);stroke-width:2}.name{fill:var(--k);font-weight:600}"
) + "".join(f".k{i}{{--k:{light}}}" for i, (light, _) in enumerate(SERIES))


def rate_table(curve: RateCurve, rows: int = ROWS) -> str:
    """Returns the smoothed loss by rate with bars, the steepest descent and the least loss marked.

    >>> curve = RateCurve(np.array([0.01, 0.1, 1.0]), np.array([2.0, 1.0, 3.0]), np.array([2.0, 1.0, 3.0]))
    >>> print(rate_table(curve))
    learning rate    loss
          1.0e-02  2.0000  ####################                      steepest
          1.0e-01  1.0000                                            least
          1.0e+00  3.0000  ########################################
    """
    count = len(curve.rates)
    chosen = set(np.linspace(0, count - 1, min(rows, count)).round().astype(int).tolist())
    marks = {curve.least: "least"} | ({} if curve.steepest is None else {curve.steepest: "steepest"})
    shown = sorted(chosen | set(marks))
    low, high = (float(edge(curve.smoothed[shown])) for edge in (np.min, np.max))
    lines = []
    for i in shown:
        length = round(BAR * (float(curve.smoothed[i]) - low) / (high - low)) if high > low else 0
        bar = ("#" * length).ljust(BAR)
        lines.append([f"{curve.rates[i]:.1e}", score(float(curve.smoothed[i])), f"{bar}  {marks.get(i, '')}"])
    return text_table(["learning rate", "loss", ""], lines, align="rrl")


def rate_svg(curve: RateCurve) -> str:
    """Returns the curve as an SVG file: the loss over the logarithm of the rate, with the suggestion marked."""
    powers = np.log10(curve.rates)
    points = [list(zip(powers.tolist(), values.tolist(), strict=True)) for values in (curve.smoothed, curve.losses)]
    mark = None if curve.steepest is None else (float(powers[curve.steepest]), f"{curve.suggestion:g}")
    chart = line_chart(
        [Series("smoothed", points[0], 0), Series("of each batch", points[1], 2)],
        title="Loss over the learning rate",
        x_label="power of 10 of the learning rate",
        mark=mark,
        width=720,
    )
    head, _, rest = str(chart).partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>{rest}\n'
