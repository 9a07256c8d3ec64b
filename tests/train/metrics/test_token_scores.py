# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.errors import InputError
from spago_jax.train.metrics import Confusion, TokenScores

LABELS = ("A", "B", "C", "D", "E")
CASES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@settings(deadline=None)
@given(CASES, st.sampled_from([(), ("A",), ("A", "C")]))
def test_against_scikit_learn(pairs, ignore):
    sk = pytest.importorskip("sklearn.metrics")
    gold, predicted = np.array(pairs).T
    metric = TokenScores(LABELS, ignore=ignore)
    state = metric.update(metric.init(), gold, predicted)
    np.testing.assert_array_equal(state, sk.confusion_matrix(gold, predicted, labels=range(5)))
    scores = metric.compute(state)
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(gold, predicted))
    labels = [i for i in sorted({*gold.tolist(), *predicted.tolist()}) if LABELS[i] not in ignore]
    rows = metric.rows(state)
    assert [r.label for r in rows] == [LABELS[i] for i in labels]
    if not labels:
        assert scores["macro_f1"] == scores["micro_f1"] == 0
        return
    for average in ("macro", "micro"):
        p, r, f, _ = sk.precision_recall_fscore_support(
            gold, predicted, labels=labels, average=average, zero_division=0
        )
        assert scores[f"{average}_f1"] == pytest.approx(f)
        if average == "macro":
            assert (scores["macro_precision"], scores["macro_recall"]) == (pytest.approx(p), pytest.approx(r))
    p, r, f, n = sk.precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
    for i, row in enumerate(rows):
        assert (row.precision, row.recall, row.f1) == (pytest.approx(p[i]), pytest.approx(r[i]), pytest.approx(f[i]))
        assert (row.gold, row.predicted) == (n[i], (predicted == labels[i]).sum())


@settings(deadline=None)
@given(CASES, st.integers(0, 30))
def test_merge_is_the_whole(pairs, cut):
    metric = TokenScores(LABELS)

    def run(part):
        ids = np.array(part, np.int64).reshape(-1, 2)
        return metric.update(metric.init(), ids[:, 0], ids[:, 1])

    np.testing.assert_array_equal(metric.merge(run(pairs[:cut]), run(pairs[cut:])), run(pairs))


def test_names_ids_padding_and_lengths_are_the_same():
    metric = TokenScores(LABELS)
    state = metric.update(metric.init(), ["A", "B", "A"], ["A", "A", "C"])
    by_padding = metric.update(metric.init(), np.array([[0, 1], [0, -1]]), np.array([[0, 0], [2, 4]]))
    np.testing.assert_array_equal(state, by_padding)
    by_length = metric.update(
        metric.init(), np.array([[0, 1], [0, 3]], np.int32), np.array([[0, 0], [2, 4]], np.int32), lengths=[2, 1]
    )
    np.testing.assert_array_equal(state, by_length)
    assert metric.init().sum() == 0
    assert metric.update(state, [], []).sum() == 3


def test_confusions_are_the_most_frequent_mistakes():
    metric = TokenScores(LABELS)
    state = metric.update(metric.init(), list("AABBBCC"), list("ABAACDC"))
    assert metric.confusions(state, most=2) == [Confusion("B", "A", 2), Confusion("A", "B", 1)]
    assert len(metric.confusions(state)) == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.update(m.init(), ["A"], ["AA"]), "predicted label 'AA' is unknown; did you mean 'A'?"),
        (lambda m: m.update(m.init(), [0], [5]), "predicted id 5 is not the id of one of 5 labels: expected 0 to 4"),
        (lambda m: m.update(m.init(), [0], [-1]), "predicted id -1 is not the id of one of 5 labels: expected 0 to 4"),
        (lambda m: m.update(m.init(), [7], [0]), "gold id 7 is not the id of one of 5 labels: expected 0 to 4"),
        (
            lambda m: m.update(m.init(), [0, 1], [0]),
            "gold labels have shape (2,), predicted ones (1,): expected equal shapes",
        ),
        (
            lambda m: m.update(m.init(), [0.5], [0]),
            "gold labels are of type float64, expected strings or ids (integers)",
        ),
        (lambda m: TokenScores(["A", "A"]), "label 'A' is given twice among the labels to score"),
        (lambda m: TokenScores(["NOUN"], ignore=["NOUNS"]), "cannot ignore label 'NOUNS': did you mean 'NOUN'?"),
    ],
)
def test_messages(call, message):
    with pytest.raises(InputError) as error:
        call(TokenScores(LABELS))
    assert str(error.value) == message
