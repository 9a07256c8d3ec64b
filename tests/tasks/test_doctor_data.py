"""The doctor on data: what it says of settings that do not suit the data, and of those that do."""

import numpy as np
import pytest

from spago_jax.cli.main import run
from spago_jax.errors import InputError
from spago_jax.tasks.doctor_data import Part, advice, covered_words, examine_data
from spago_jax.train import load_experiment

ROOMY = np.full(4000, 10)


def parts(**changes):
    about = {"examples": 4000, "steps": 500, "lengths": ROOMY} | changes
    return [Part("train", **about), Part("dev", 400, 7, ROOMY[:400])]


@pytest.mark.parametrize(
    ("overrides", "found", "words"),
    [
        (["train.batch_size=64"], parts(examples=40, steps=100), "train.batch_size = 64, and there are 40 examples"),
        (["train.epochs=2"], parts(steps=3), "6 training steps in all are few"),
        (["train.steps_per_call=16"], parts(steps=12), "train.steps_per_call = 16, and an epoch has 12 steps: 12"),
        (["train.log_every=9000"], parts(), "train.log_every = 9000 is more than all 2000 steps"),
        (["train.max_length=8"], parts(), "4,000 of 4,000 texts of train are longer than train.max_length = 8 tokens "
         "and are split: 99% have at most 10"),
        (["train.buckets=1"], parts(lengths=np.tile([2, 30], 2000)), "50% of what is computed is padding with "
         "train.buckets = 1; 20% with 2"),
        (["train.buckets=4"], parts(steps=9), "train.buckets = 4, and an epoch has 9 batches: each bucket"),
        ([], parts()[:1], "there is no dev part"),
        ([], [parts()[0], Part("dev", 50, 1, ROOMY[:50])], "dev has 50 examples: one of them moves an accuracy by 2.0"),
    ],
)  # fmt: skip
def test_advice_on_data(config, overrides, found, words):
    said = list(advice(load_experiment(config, overrides), found))
    assert any(words in line for line in said), said


def test_nothing_to_say_of_settings_that_suit(config):
    assert list(advice(load_experiment(config), parts(), [("glove.txt", 0.9, 0.97)])) == []


def test_vectors_of_another_language(config, tmp_path):
    (tmp_path / "v.txt").write_text("Ann 1 2\nRome 3 4\nchien 5 6\n")
    words = f"model.embeddings=[{{kind: words, size: 2, vectors: {tmp_path}/v.txt}}]"
    experiment = load_experiment(config, [words])
    task = experiment.task_class.prepare(experiment)
    ((file, forms, tokens),) = covered_words(experiment, task)
    corpus = task.parts["train"].corpus.lexicon
    counts = dict(zip(corpus, corpus.counts.tolist(), strict=True))
    assert file == f"{tmp_path}/v.txt"
    assert forms == pytest.approx(2 / len(counts))
    assert tokens == pytest.approx((counts["Ann"] + counts["Rome"]) / sum(counts.values()))
    (line,) = advice(experiment, parts(), [(file, forms, tokens)])
    assert "is it of this language" in line


@pytest.mark.parametrize("name", ["tiny", "letters", "images", "moods-mean"])
def test_the_command_says_how_large_and_how_long(corpus, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert run(["doctor", str(corpus / f"{name}.yaml"), "train.log_every=9999"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("train ")
    assert "train.log_every = 9999" in printed
    assert list(tmp_path.iterdir()) == []


def test_lengths_are_those_before_texts_are_cut(config):
    lines = list(examine_data(load_experiment(config, ["train.max_length=3"])))
    sentences = config.with_name("train.conll").read_text().split("\n\n")
    longest = max(len(sentence.splitlines()) for sentence in sentences)
    assert f"to {longest}, median" in lines[0]
    assert any("are split" in line for line in lines)


def test_data_that_is_not_there_is_refused(config):
    with pytest.raises(InputError, match="no such file"):
        list(examine_data(load_experiment(config, ["data.train=/nowhere"], files=False)))
