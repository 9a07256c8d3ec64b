# SPDX-License-Identifier: BSD-2-Clause
"""Oracles: the published F1 of seven shared-task systems, sets of spans by brute force, hand-made files."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.errors import InputError
from spago_jax.train.metrics import EntityF1, EntityRow, score_conll_files

SYSTEMS = ["arcada", "drexel_cci", "flytxt", "mic-cis.txt", "sjtu_adapt.txt", "spinningbytes.txt", "uh_ritual"]


@pytest.mark.shared_data
@pytest.mark.parametrize("system", SYSTEMS)
def test_published_scores_of_wnut17(shared_data, system):
    folder = shared_data / "ner-wnut17"
    expected = json.loads((folder / "submissions_expected_scores.json").read_text())["scores"]
    assert sorted(expected) == SYSTEMS
    metric = EntityF1()
    state = score_conll_files(folder / "test.conll", folder / "submissions" / system)
    row = metric.overall(state)
    got = {"P": row.precision, "R": row.recall, "F1": row.f1}
    assert {name: round(100 * score, 2) for name, score in got.items()} == expected[system]
    assert (state["tokens"], row.gold) == (23394, 1079)


TAGS = st.sampled_from(["O", *(f"{p}-{x}" for p in "BIES" for x in "XYZ")])
PAIRS = st.lists(st.tuples(TAGS, TAGS), max_size=10).map(lambda p: ([a for a, _ in p], [b for _, b in p]))


def brute_spans(tags):
    """All (start, end, label) such that the tags inside are one chunk, by looking at every pair of ends."""
    n = len(tags)

    def begins(i):
        p, _, x = tags[i].partition("-")
        q, _, y = tags[i - 1].partition("-") if i else ("O", "", "")
        return p in "BS" or (p in "IE" and (q in "OES" or x != y))

    return {
        (i, j, tags[i][2:])
        for i in range(n)
        for j in range(i + 1, n + 1)
        if tags[i] != "O"
        and begins(i)
        and all(tags[k] != "O" and not begins(k) for k in range(i + 1, j))
        and (j == n or tags[j] == "O" or begins(j))
    }


@settings(deadline=None)
@given(st.lists(PAIRS, max_size=4))
def test_counts_against_sets_of_spans(sentences):
    metric = EntityF1()
    state = metric.init()
    gold, predicted = set(), set()
    for i, (a, b) in enumerate(sentences):
        state = metric.update(state, a, b)
        gold |= {(i, *s) for s in brute_spans(a)}
        predicted |= {(i, *s) for s in brute_spans(b)}
    row = metric.overall(state)
    assert (row.gold, row.predicted, row.correct) == (len(gold), len(predicted), len(gold & predicted))
    for part in metric.rows(state):
        mine = [{s for s in found if s[3] == part.label} for found in (gold, predicted)]
        assert (part.gold, part.predicted, part.correct) == (len(mine[0]), len(mine[1]), len(mine[0] & mine[1]))
    if gold and predicted and gold & predicted:
        p, r = len(gold & predicted) / len(predicted), len(gold & predicted) / len(gold)
        assert row.f1 == pytest.approx(2 * p * r / (p + r))


@settings(deadline=None)
@given(st.lists(PAIRS, max_size=6), st.integers(0, 6))
def test_merge_is_the_whole_and_states_are_json(sentences, cut):
    metric = EntityF1()

    def run(part):
        state = metric.init()
        for a, b in part:
            state = metric.update(state, a, b)
        return json.loads(json.dumps(state))

    assert metric.merge(run(sentences[:cut]), run(sentences[cut:])) == run(sentences)


def test_update_changes_nothing_in_place():
    metric = EntityF1()
    state = metric.init()
    first = metric.update(state, ["B-X"], ["B-X"])
    metric.update(first, ["B-X"], ["O"])
    assert state == metric.init()
    assert first["spans"] == {"X": [1, 1, 1]}


def test_illegal_starts_are_scored_as_conlleval_does():
    metric = EntityF1()
    # I-X after O, and I-Y after B-X, each start a span; gold has the same spans in a legal form.
    state = metric.update(metric.init(), ["O", "B-X", "I-X", "B-Y"], ["O", "I-X", "I-X", "I-Y"])
    assert metric.rows(state) == [EntityRow("X", 1.0, 1.0, 1.0, 1, 1, 1), EntityRow("Y", 1.0, 1.0, 1.0, 1, 1, 1)]
    assert metric.compute(state)["accuracy"] == 0.5


def test_hand_made_scores():
    metric = EntityF1()
    state = metric.update(metric.init(), ["B-X", "I-X", "O", "B-Y", "O"], ["B-X", "O", "B-X", "B-Y", "B-Y"])
    assert metric.compute(state) == {
        "precision": 0.25,
        "recall": 0.5,
        "f1": pytest.approx(1 / 3),
        "accuracy": 0.4,
        "f1/X": 0.0,
        "f1/Y": pytest.approx(2 / 3),
    }


def test_nothing_is_zero_and_not_nan():
    metric = EntityF1()
    assert metric.compute(metric.init()) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 0}


def test_plain_tags_are_runs():
    metric = EntityF1("plain")
    state = metric.update(metric.init(), ["PER", "PER", "O"], ["PER", "O", "O"])
    assert metric.overall(state)[4:] == (1, 1, 0)


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_files_with_tabs_blanks_crlf_and_no_final_newline(tmp_path):
    gold = write(tmp_path / "gold", "a\tB-X\nb\tI-X\n\n#c\tO\nd\tB-Y\n")
    blank = write(tmp_path / "blank", "a B-X\r\nb I-X\r\n\r\n#c O\r\nd I-Y")
    three = write(tmp_path / "three", "a\tNN\tB-X\nb\tNN\tI-X\n\n\n#c\tNN\tO\nd\tNN\tB-Z")
    metric = EntityF1()
    assert metric.compute(score_conll_files(gold, blank))["f1"] == 1.0
    assert metric.compute(score_conll_files(gold, three))["f1"] == 0.5


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        ("a\tO\n", "{p}: ends before the sentence of gold:4"),
        ("a\tO\nb\tO\n\nc\tO\n", "{p}:1: a sentence of 2 tokens, where gold:1 has 1"),
        ("a\tO\n\n\nb\tO\n\nc\tO\n", "{p}:6: goes on after the last sentence of gold"),
    ],
)
def test_files_that_do_not_fit(tmp_path, predicted, message):
    gold = write(tmp_path / "gold", "a\tO\n\n\nb\tO\n")
    path = write(tmp_path / "predicted", predicted)
    with pytest.raises(InputError) as error:
        score_conll_files(gold, path)
    assert str(error.value) == message.replace("{p}", str(path))


def test_messages():
    metric = EntityF1()
    with pytest.raises(InputError) as error:
        metric.update(metric.init(), ["O"], [])
    assert str(error.value) == "0 predicted tags for 1 gold tags: expected one per token"
    with pytest.raises(InputError) as error:
        EntityF1("BEIOS")
    assert str(error.value) == "'BEIOS' is not a tag scheme; did you mean 'BIOES'?"
