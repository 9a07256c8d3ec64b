# SPDX-License-Identifier: BSD-2-Clause
"""Scores as plain text."""

from collections.abc import Mapping

from spago_jax.train.task import Scores


def scores_table(scores: Mapping[str, Scores], baselines: Mapping[str, Scores]) -> str:
    """One row per part of the data, the baseline's row under the model's.

    >>> print(scores_table({"test": Scores({"f1": 0.5, "loss": 1.0})}, {"test": Scores({"f1": 0.25})}))
                     f1     loss
    test         0.5000   1.0000
      baseline   0.2500        -
    """
    names = list(dict.fromkeys(name for score in scores.values() for name in score.values))
    rows: list[tuple[str, Mapping[str, float]]] = []
    for split, score in scores.items():
        rows.append((split, score.values))
        if split in baselines:
            rows.append(("  baseline", baselines[split].values))
    widths = {name: max(len(name), 7) for name in names}
    first = max(len(label) for label, _ in rows) + 2 if rows else 0
    lines = [" " * first + "  ".join(name.rjust(widths[name]) for name in names)]
    for label, values in rows:
        cells = [(f"{values[name]:.4f}" if name in values else "-").rjust(widths[name]) for name in names]
        lines.append(label.ljust(first) + "  ".join(cells))
    return "\n".join(lines)
