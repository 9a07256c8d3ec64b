"""Scores of answers. Oracle: the rules of SQuAD's evaluate-v2.0.py, written down as that script has them."""

import collections
import re
import string

import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.train.metrics.answer_scores import (
    AnswerScores,
    NullScore,
    answer_f1,
    best_null_threshold,
    exact_match,
    normal_form,
)


def normalize_answer(s):
    def remove_articles(text):
        return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)

    def remove_punc(text):
        return "".join(ch for ch in text if ch not in set(string.punctuation))

    return " ".join(remove_articles(remove_punc(s.lower())).split())


def compute_f1(a_gold, a_pred):
    gold_toks, pred_toks = normalize_answer(a_gold).split(), normalize_answer(a_pred).split()
    num_same = sum((collections.Counter(gold_toks) & collections.Counter(pred_toks)).values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = num_same / len(pred_toks), num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def raw_scores(golds, prediction):
    golds = [gold for gold in golds if normalize_answer(gold)] or [""]
    exact = max(int(normalize_answer(gold) == normalize_answer(prediction)) for gold in golds)
    return exact, max(compute_f1(gold, prediction) for gold in golds)


answers = st.text(st.sampled_from("aAnNtThHeE  .,-'1ü–\u00a0\t"), max_size=12)


@given(st.lists(answers, max_size=3), answers)
def test_scores_are_those_of_the_official_script(golds, predicted):
    assert normal_form(predicted) == normalize_answer(predicted)
    exact, f1 = raw_scores(golds, predicted)
    assert exact_match(golds, predicted) == exact
    assert answer_f1(golds, predicted) == pytest.approx(f1, abs=1e-12)


@pytest.mark.parametrize(
    ("golds", "predicted", "exact", "f1"),
    [
        (["Denver Broncos", "The Broncos"], "the broncos!", 1, 1),
        (["308"], "just 308 points", 0, 0.5),
        (["a cat a cat"], "cat cat cat", 0, 0.8),  # words count as often as they stand in both
        ([], "", 1, 1),
        ([], "Denver", 0, 0),
        (["Denver"], "", 0, 0),
        (["the"], "", 1, 1),  # a gold answer without words does not count
        (["the", "x"], "", 0, 0),
    ],
)
def test_cases_by_hand(golds, predicted, exact, f1):
    assert exact_match(golds, predicted) == exact
    assert answer_f1(golds, predicted) == pytest.approx(f1)


def test_means_over_both_kinds_of_questions():
    metric = AnswerScores()
    rows = [(["Ada"], "Ada"), (["the cat"], "a cat sat"), ([], ""), ([], "x"), (["y"], "")]
    states = [metric.update(metric.init(), *row) for row in rows]
    whole = states[0]
    for state in states[1:]:
        whole = metric.merge(whole, state)
    counted = metric.init()
    for row in rows:
        counted = metric.update(counted, *row)
    assert counted == whole
    assert metric.compute(whole) == pytest.approx(
        {
            "exact_match": 2 / 5, "f1": (1 + 2 / 3 + 1) / 5, "exact_match/answerable": 1 / 3,
            "f1/answerable": (1 + 2 / 3) / 3, "exact_match/impossible": 1 / 2, "f1/impossible": 1 / 2,
        }
    )  # fmt: skip
    assert metric.compute(states[0]) == {"exact_match": 1.0, "f1": 1.0}
    with refuses("gold answers: 'Ada' is a text, expected a list of texts"):
        metric.update(metric.init(), "Ada", "Ada")


rows = st.lists(
    st.builds(
        lambda score, gain, answerable, answered: NullScore(score, gain if answered else 0.0, answerable, answered),
        st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0]), st.sampled_from([0.0, 0.5, 1.0]), st.booleans(), st.booleans(),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@given(rows)
def test_no_threshold_is_better(questions):
    def mean(threshold):
        gains = [
            (row.gain if row.answerable else float(not row.answered)) if row.score <= threshold else not row.answerable
            for row in questions
        ]
        return sum(gains) / len(questions)

    threshold, best = best_null_threshold(questions)
    assert mean(threshold) == pytest.approx(best)
    assert best == pytest.approx(max(map(mean, [-9.0, *(row.score for row in questions)])))


def test_no_questions_have_no_threshold():
    with refuses("no threshold can be found without questions"):
        best_null_threshold([])
