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


def label_scores(scores: Scores, *, most: int = 20) -> str:
    """One row per label, the most frequent first, and the most frequent confusions.

    >>> row = {"label": "PER", "precision": 1.0, "recall": 0.5, "f1": 0.667, "gold": 2, "predicted": 1, "correct": 1}
    >>> confusions = {"labels": ["O", "PER"], "matrix": [[5, 0], [1, 1]]}
    >>> print(label_scores(Scores({}, {"labels": [row], "confusions": confusions})))
    label  precision  recall      f1  gold  predicted
    PER       1.0000  0.5000  0.6670     2          1
    <BLANKLINE>
    gold  predicted  times
    PER   O              1
    """
    from spago_jax.core.show import text_table

    rows = [
        [r["label"], *(f"{r[name]:.4f}" for name in ("precision", "recall", "f1")), str(r["gold"]), str(r["predicted"])]
        for r in scores.details.get("labels", ())
    ]
    parts = [text_table(["label", "precision", "recall", "f1", "gold", "predicted"], rows)] if rows else []
    table = scores.details.get("confusions", {"labels": [], "matrix": []})
    names = table["labels"]
    wrong = [
        (times, gold, found)
        for gold, row in zip(names, table["matrix"], strict=True)
        for found, times in zip(names, row, strict=True)
        if times and gold != found
    ]
    if wrong:
        often = sorted(wrong, key=lambda item: -item[0])[:most]
        parts.append(
            text_table(["gold", "predicted", "times"], [[gold, found, str(n)] for n, gold, found in often], align="llr")
        )
    return "\n\n".join(parts)
