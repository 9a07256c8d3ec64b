"""Scores of written texts: the package's own numbers, published ones, and chrF by brute force."""

import sys
from collections import Counter

import pytest
from helpers import refuses

from spago_jax.train.metrics import TextScores

WRITTEN = ["the cat sat on the mat", "a dog ran away from the old house", "nothing at all is here", ""]
WANTED = ["the cat is sitting on the mat", "a dog ran away from the house", "nothing at all is there", "one word"]


def scores(names, written=WRITTEN, wanted=WANTED, **how):
    metric = TextScores(names, **how)
    return metric.compute(metric.update(metric.init(), written, wanted))


def brute_chrf(written, wanted):
    """Popović (2015): means of precision and recall over n = 1 to 6 of the whole corpus, without blanks."""
    precisions, recalls = [], []
    for n in range(1, 7):
        same = total = gold = 0
        for one, other in zip(written, wanted, strict=True):
            ours, theirs = (
                Counter(text[i : i + n] for i in range(len(text) - n + 1))
                for text in (one.replace(" ", ""), other.replace(" ", ""))
            )
            same += sum((ours & theirs).values())
            total += sum(ours.values())
            gold += sum(theirs.values())
        precisions.append(same / total)
        recalls.append(same / gold)
    p, r = sum(precisions) / 6, sum(recalls) / 6
    return 100 * 5 * p * r / (4 * p + r)


def test_chrf_is_that_of_its_definition():
    pytest.importorskip("sacrebleu")
    assert scores(["chrf"])["chrf"] == pytest.approx(brute_chrf(WRITTEN, WANTED))


def test_bleu_is_that_of_the_package_and_merges():
    sacrebleu = pytest.importorskip("sacrebleu")
    metric = TextScores(["bleu", "exact_match"])
    a = metric.update(metric.init(), WRITTEN[:2], WANTED[:2])
    b = metric.update(metric.init(), WRITTEN[2:], WANTED[2:])
    found = metric.compute(metric.merge(a, b))
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(WRITTEN, [WANTED]).score)
    assert 10 < found["bleu"] < 90
    assert found["exact_match"] == 0


def test_chinese_is_cut_into_characters_for_bleu():
    pytest.importorskip("sacrebleu")
    written, wanted = ["我喜欢你的狗。"], ["我喜欢你的猫。"]
    assert scores(["bleu"], written, wanted)["bleu"] < 1
    assert scores(["bleu"], written, wanted, tokenize="zh")["bleu"] > 40


def test_exact_match_needs_no_package_and_the_others_name_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    assert scores(["exact_match"], [" a", "b"], ["a ", "c"]) == {"exact_match": 0.5}
    with refuses("chrF and BLEU need the package sacrebleu: pip install 'spago_jax[scores]'"):
        TextScores(["chrf"])


def test_unknown_names_are_refused():
    with refuses("unknown score 'blue': did you mean 'bleu'?"):
        TextScores(["blue"])
    pytest.importorskip("sacrebleu")
    with refuses("tokenize '13b': did you mean '13a'?"):
        TextScores(["bleu"], tokenize="13b")


def test_no_texts_score_nothing():
    pytest.importorskip("sacrebleu")
    assert scores(["chrf", "bleu", "exact_match"], [], []) == {"chrf": 0.0, "bleu": 0.0, "exact_match": 0.0}
