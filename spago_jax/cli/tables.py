# SPDX-License-Identifier: BSD-2-Clause
"""Scores as plain text."""

from collections.abc import Iterable, Mapping, Sequence

from spago_jax.train.recipe import Scores


def scores_table(scores: Mapping[str, Scores], baselines: Mapping[str, Scores]) -> str:
    """One row a part of the data, the baseline's row under the model's.

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


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Columns of text, the first `left` of them flush left and the others flush right.

    >>> print(text_table(["run", "f1"], [["one", "0.5000"], ["another", "-"]]))
    run          f1
    one      0.5000
    another       -
    """
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
