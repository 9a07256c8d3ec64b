# SPDX-License-Identifier: BSD-2-Clause
"""Oracles: spans counted by hand on the uncut sentences; hand-written files."""

import random

import numpy as np
import pytest

from spago_jax.data.batching import Block
from spago_jax.data.formats.conll import Conll
from spago_jax.errors import InputError
from spago_jax.tasks.token_classification.corpus import model_tags, read_corpus, schemes
from spago_jax.tasks.token_classification.processor import windows
from spago_jax.tasks.token_classification.scores import TagScorer, joined_gold
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tags import spans


def written(folder, sentences, name="a.conll"):
    path = folder / name
    path.write_text("\n".join("".join(f"w{i}\t{tag}\n" for i, tag in enumerate(tags)) for tags in sentences))
    return Conll(format="conll", train=str(path))


def random_tags(draw, length):
    tags = []
    while len(tags) < length:
        if draw.random() < 0.4:
            tags.append("O")
        else:
            label = draw.choice("XY")
            tags += [f"B-{label}"] + [f"I-{label}"] * draw.randrange(5)
    return tags[:length]


def test_scores_of_cut_sentences_are_those_of_the_file(tmp_path):
    draw = random.Random(0)
    sentences = [random_tags(draw, draw.randint(1, 14)) for _ in range(40)]
    corpus, _ = read_corpus(written(tmp_path, sentences), "train", "IOB2", "BIOES", 4)
    assert len(corpus) > len(sentences)
    tags = TagSet(model_tags(corpus.tag_names, "BIOES"), "BIOES", "IOB2")
    table = tags.table(corpus.tag_names, "train")
    found = {row: np.array([draw.randrange(len(tags.names)) for _ in range(4)]) for row in range(len(corpus))}
    scorer = TagScorer(corpus, table, tags)
    order = list(found)
    draw.shuffle(order)  # windows of a sentence may lie in different blocks
    for row in order:
        scorer.update(Block(4, np.array([[row]])), {"tags": found[row][None, None]})
    predicted = [[] for _ in sentences]
    for row, owner in enumerate(corpus.owners.tolist()):
        predicted[owner] += [tags.names[i] for i in found[row][: corpus.lengths[row]]]
    gold = [set(spans(sentence)) for sentence in sentences]
    got = [set(spans(sentence)) for sentence in predicted]
    correct = sum(len(a & b) for a, b in zip(gold, got, strict=True))
    scores = scorer.compute().values
    assert scores["precision"] == correct / sum(map(len, got))
    assert scores["recall"] == correct / sum(map(len, gold))
    assert sum(row["gold"] for row in scorer.compute().details["labels"]) == sum(map(len, gold))


def test_gold_spans_that_a_cut_goes_through_are_whole_again(tmp_path):
    sentence = ["B-X", "I-X", "I-X", "I-X", "I-X", "B-X", "O", "B-Y", "B-Y"]
    corpus, _ = read_corpus(written(tmp_path, [sentence]), "train", "IOB2", "IOB2", 2)
    assert [corpus.sentence(i).tags for i in range(3)] == [["B-X", "I-X"], ["B-X", "I-X"], ["B-X", "B-X"]]
    assert corpus.continued.tolist() == [False, True, True, False, False]
    assert joined_gold(corpus, range(5), "IOB2") == sentence


def test_samples_are_whole_sentences(tmp_path):
    corpus, _ = read_corpus(written(tmp_path, [["B-X", "I-X", "I-X"]]), "train", "IOB2", "IOB2", 2)
    tags = TagSet(("O", "B-X", "I-X"), "IOB2", "IOB2")
    scorer = TagScorer(corpus, tags.table(corpus.tag_names, ""), tags)
    scorer.update(Block(2, np.array([[0, 1]])), {"tags": np.zeros((1, 2, 2), int)})
    (sample,) = scorer.compute().details["samples"]
    assert (sample["tokens"], sample["gold"]) == (["w0", "w1", "w2"], ["B-X", "I-X", "I-X"])


def test_one_stray_tag_is_named_with_its_line(tmp_path):
    sentences = [["B-X", "I-X", "O"]] * 20
    sentences[7] = ["B-X", "I-X", "o"]
    data = written(tmp_path, sentences)
    with pytest.raises(InputError, match=r"a\.conll:31: tag 'o' does not fit the scheme IOB2 of all other tags"):
        schemes(data, "BIOES")
    assert schemes(data.model_copy(update={"scheme": "plain"}), "BIOES") == ("plain", "plain")


@pytest.mark.parametrize(
    ("sentence", "scheme"),
    [
        (["B-X", "L-X", "O", "U-Y"], "BILOU"),
        (["X", "X", "O", "O", "O", "Y", "O"], "IO"),
        (["DET", "NOUN", "VERB"], "plain"),
    ],
)
def test_schemes_with_other_prefixes_or_none_are_found(tmp_path, sentence, scheme):
    data = written(tmp_path, [sentence])
    found, wanted = schemes(data, "BIOES")
    assert found == scheme
    assert wanted == ("plain" if scheme == "plain" else "BIOES")
    if wanted == "BIOES":
        corpus, _ = read_corpus(data, "train", found, wanted, 100)
        assert [(s.start, s.end, s.label) for s in spans(corpus.sentence(0).tags)] == [
            (s.start, s.end, s.label) for s in spans(sentence, scheme)
        ]


def test_every_prefix_of_a_label_may_be_given():
    assert model_tags(["O", "B-X", "E-X"], "BIOES") == ("O", "B-X", "E-X", "I-X", "S-X")


def test_a_gold_tag_that_a_crf_is_forbidden_to_give_is_read_as_conlleval_does(tmp_path):
    data = written(tmp_path, [["O", "I-X", "I-X"]])
    corpus, _ = read_corpus(data, "train", "IOB2", "IOB2", 100)
    assert corpus.sentence(0).tags == ["O", "B-X", "I-X"]


def test_foreign_labels_are_refused_though_both_have_o():
    tags = TagSet(("O", "B-X", "I-X"), "IOB2", "IOB2")
    with pytest.raises(
        InputError, match=r"news: none of its tags \(B-PERSON\) is one of the model's \(B-X, I-X, \.\.\.\)"
    ):
        tags.table(["O", "B-PERSON"], "news")
    assert tags.table(["O"], "quiet").tolist() == [0]


def test_labels_that_the_model_lacks_are_named_and_have_no_loss(tmp_path):
    corpus, _ = read_corpus(written(tmp_path, [["B-X", "O"], ["B-NEW", "O"]]), "train", "IOB2", "IOB2", 9)
    tags = TagSet(("O", "B-X", "I-X"), "IOB2", "IOB2")
    scorer = TagScorer(corpus, tags.table(corpus.tag_names, ""), tags)
    outputs = {"tags": np.array([[[1, 0], [1, 0]]]), "loss": np.array([[0.5, np.nan]])}
    scorer.update(Block(2, np.array([[0, 1]])), outputs)
    scores = scorer.compute()
    assert scores.details["unseen"] == {"B-NEW": 1}
    assert (scores.values["loss"], scores.values["f1"]) == (0.5, 0.5)


def test_windows_of_a_sentence_know_their_number():
    from spago_jax.data.examples import Tokens

    found = list(windows(Tokens(list("abcde"), ["B-X", "I-X", "I-X", "O", "B-X"]), 2, "IOB2"))
    assert [(w.window, w.continued) for w in found] == [(0, False), (1, True), (2, False)]
