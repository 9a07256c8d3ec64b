#!/usr/bin/env python
# SPDX-License-Identifier: BSD-2-Clause
"""A text classifier beside TF-IDF with logistic regression, on the same folds of its training data.

.venv/bin/python scripts/tfidf.py CONFIG [--folds 10] [--out FOLDER] [key=value ...]
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from spago_jax.train import fit, load_experiment  # noqa: E402
from spago_jax.train.console import TrainingConsole  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--out", default="runs/tfidf")
    chosen = parser.parse_args()
    ours, theirs = [], []
    print("fold    ours  TF-IDF, words and pairs of words, logistic regression")
    for fold in range(1, chosen.folds + 1):
        drawn = f"data.fold={{index: {fold}, of: {chosen.folds}}}"
        experiment = load_experiment(chosen.config, ["data.test_fraction=0", *chosen.overrides, drawn])
        parts = {split: list(experiment.data.read(split)) for split in experiment.data.splits()}
        train = [example for split in ("train", "dev") for example in parts.get(split, ())]  # it needs no dev part
        # C = 10 and logarithmic counts: on these folds two points above scikit-learn's defaults.
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True)
        model = make_pipeline(words, LogisticRegression(max_iter=1000, C=10))
        model.fit([example.text for example in train], [example.label for example in train])
        test = parts["test"]
        theirs.append(100 * model.score([example.text for example in test], [example.label for example in test]))
        quiet = TrainingConsole(quiet=True)
        found = fit(experiment, Path(chosen.out) / f"fold-{fold}", overwrite=True, console=quiet).scores["test"].values
        ours.append(100 * found["accuracy"])
        print(f"{fold:4}  {ours[-1]:6.2f}  {theirs[-1]:6.2f}", flush=True)
    print(f"mean  {statistics.mean(ours):6.2f}  {statistics.mean(theirs):6.2f}")


if __name__ == "__main__":
    main()
