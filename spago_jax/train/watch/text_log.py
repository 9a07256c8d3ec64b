# SPDX-License-Identifier: BSD-2-Clause
"""Histories as text: a CSV file of the epochs, and a log for people."""

import csv
import io
from collections.abc import Mapping, Sequence

from spago_jax.core.show import score, seconds_text


def csv_text(series: Mapping[str, Sequence[float]]) -> str:
    """Returns CSV lines ``epoch,tag,...``: epochs from 1, numbers as ``%.8g``, blank where a series is shorter.

    >>> print(csv_text({"loss": [1.0, 0.5], "dev": [0.25]}), end="")
    epoch,loss,dev
    1,1,0.25
    2,0.5,
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *series])
    for i in range(max(map(len, series.values()), default=0)):
        cells = ["" if i >= len(values) else f"{values[i]:.8g}" for values in series.values()]
        writer.writerow([i + 1, *cells])
    return text.getvalue()


def log_lines(series: Mapping[str, Sequence[float]], seconds: Sequence[float], total: int) -> list[str]:
    """Returns one line per epoch: ``epoch   1  loss=0.5000  [1.2 s  ETA 2 min 5 s]``.

    Args:
        series: values by name, one per epoch.
        seconds: the duration of each epoch.
        total: the total number of epochs.

    >>> log_lines({"loss": [0.5, 0.0001]}, [2.0, 2.0], 4)
    ['epoch   1  loss=0.5000  [2.0 s  ETA 6.0 s]', 'epoch   2  loss=1.000e-04  [2.0 s  ETA 4.0 s]']
    """
    lines = []
    for i in range(max(map(len, series.values()), default=0)):
        cells = [f"{name}={score(values[i])}" for name, values in series.items() if i < len(values)]
        took = seconds[i] if i < len(seconds) else 0.0
        left = remaining(sum(seconds[: i + 1]), i + 1, total)
        lines.append(f"epoch {i + 1:3d}  {' '.join(cells)}  [{seconds_text(took)}  ETA {seconds_text(left)}]")
    return lines


def remaining(elapsed: float, done: int, total: int) -> float:
    """Returns the remaining seconds, ``elapsed / done (total - done)``; 0 before the first and after the last.

    >>> remaining(10.0, 2, 6), remaining(10.0, 6, 6), remaining(0.0, 0, 6)
    (20.0, 0.0, 0.0)
    """
    return elapsed / done * (total - done) if 0 < done < total else 0.0
