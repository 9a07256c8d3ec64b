"""Trained runs in use: what stands beside an input, and how much padding there is, changes no answer."""

import json
import random

import jax.numpy as jnp
import numpy as np
import pytest
from spago_jax.tasks.classifying import ImageLabeler, TextLabeler
from spago_jax.tasks.evaluating import evaluate_run
from spago_jax.tasks.tagging import Tagger
from spago_jax.tasks.writing import Writer
from tiny_runs import images, sentences, texts

from spago_jax.errors import CheckpointError, InputError
from spago_jax.tasks import open_run


@pytest.fixture(scope="module")
def tagger(trained):
    return Tagger(open_run(trained[1]))


@pytest.fixture(scope="module")
def writer(letters):
    return Writer(open_run(letters[1]))


@pytest.fixture(scope="module")
def tokens() -> list[list[str]]:
    blocks = sentences(77, 50).strip().split("\n\n")
    return [[line.split("\t")[0] for line in block.splitlines()] for block in blocks]


# -- Tagger ----------------------------------------------------------------------------------------------------------


def test_tagging_in_batches_equals_one_by_one(tagger, tokens):
    together = list(tagger.tag(tokens))
    assert [list(tagged.tokens) for tagged in together] == tokens
    assert together == list(tagger.tag(tokens, batch_size=1))
    assert together == list(tagger.tag(tokens, batch_size=7))


def test_neighbours_and_order_change_no_tags(tagger, tokens):
    expected = {tuple(t.tokens): t for t in tagger.tag(tokens)}
    mixed = [*tokens, ["Ann"], ["Bob", *["old"] * 200, "Rome", "."]]  # a very long neighbour: more padding
    random.Random(3).shuffle(mixed)
    for tagged in tagger.tag(mixed):
        assert tagged == expected.get(tuple(tagged.tokens), tagged)


def test_empty_sentences_have_no_tags(tagger, tokens):
    (alone,) = tagger.tag([[]])
    assert (alone.tokens, alone.tags, alone.spans) == ((), (), ())
    between = list(tagger.tag([[], tokens[0], [], tokens[1]]))
    assert [len(t.tags) for t in between] == [0, len(tokens[0]), 0, len(tokens[1])]
    assert between[1] == next(iter(tagger.tag([tokens[0]])))
    assert list(tagger.tag([])) == []


def test_words_and_characters_never_seen(tagger):
    (tagged,) = tagger.tag([["\u4e2d\u6587", "\U0001f600", "x" * 500, "\ud83d", " "]])
    assert len(tagged.tags) == 5


def test_spans_are_those_of_the_tags(tagger, tokens):
    labels = set()
    for tagged in tagger.tag(tokens):
        for span in tagged.spans:
            assert tagged.tags[span.start] == f"B-{span.label}"  # written as the training file writes them: IOB2
            assert set(tagged.tags[span.start + 1 : span.end]) <= {f"I-{span.label}"}
            labels.add(span.label)
        assert sum(tag != "O" for tag in tagged.tags) == sum(span.end - span.start for span in tagged.spans)
    assert labels == {"PER", "LOC"}


def test_it_reads_no_further_than_it_must(tagger, tokens):
    taken = []

    def source():
        for sentence in tokens:
            taken.append(sentence)
            yield sentence

    next(iter(tagger.tag(source(), batch_size=4)))
    assert len(taken) == 4


# -- TextLabeler -----------------------------------------------------------------------------------------------------


def ranking(found) -> dict[str, float]:
    return dict(found.ranking)


def test_texts_in_batches_equal_one_by_one(moods):
    labeler = TextLabeler(open_run(moods[1]))
    # words of unequal length, and a long neighbour: other padding of tokens and of n-grams
    given = ["unpronounceable incomprehensibilities " * 9, "it", "holidays " * 60, *(text for text, _ in texts(5, 20))]
    together = list(labeler.classify(given))
    for text, found in zip(given, together, strict=True):
        (alone,) = labeler.classify([text])
        assert alone.label == found.label
        assert ranking(alone) == pytest.approx(ranking(found), abs=2e-6), text
        assert sum(ranking(alone).values()) == pytest.approx(1, abs=1e-5)


def test_empty_texts(moods):
    labeler = TextLabeler(open_run(moods[1]))
    assert list(labeler.classify([])) == []
    (alone,) = labeler.classify([""])
    assert np.isfinite(alone.probability)
    found = list(labeler.classify(["it was a sunshine day", "", "crying"]))
    assert ranking(found[1]) == pytest.approx(ranking(alone), abs=2e-6)
    assert [found[0].label, found[2].label] == ["happy", "sad"]


# -- ImageLabeler ----------------------------------------------------------------------------------------------------


def test_images_in_batches_equal_one_by_one(pictures):
    labeler = ImageLabeler(open_run(pictures[1]))
    pixels, labels = images(11, 300)  # more than one call of the device
    together = labeler.classify(pixels)
    assert np.mean([found.label == str(label) for found, label in zip(together, labels, strict=True)]) > 0.9
    for i in (0, 17, 255, 256, 299):
        (alone,) = labeler.classify(pixels[i : i + 1])
        assert ranking(alone) == pytest.approx(ranking(together[i]), abs=1e-6)
    assert labeler.classify(pixels[:0]) == []


def test_images_of_another_size(pictures):
    labeler = ImageLabeler(open_run(pictures[1]))
    with pytest.raises(InputError, match=r"images have shape \[2, 5, 4\], the model expects \[n, 4, 4\]"):
        labeler.classify(np.zeros((2, 5, 4), np.uint8))


# -- Writer ----------------------------------------------------------------------------------------------------------


def by_hand(writer, prompt: str, count: int) -> str:
    """Argmax, one character at a time, the state carried by a Python loop."""
    model, text = writer._model, ""
    logits, state = model(jnp.asarray(writer.encode(prompt)), state=model.initial_state())
    for _ in range(count):
        best = int(np.argmax(np.asarray(logits[-1])))
        text += writer._alphabet[best]
        logits, state = model(jnp.asarray([best], jnp.int32), state=state)
    return text


@pytest.mark.parametrize("prompt", ["Ann ", "Bob visits Rome.\n", "E"])
def test_temperature_zero_takes_the_most_probable(writer, prompt):
    expected = by_hand(writer, prompt, 70)
    assert "".join(writer.write(prompt, 70, temperature=0)) == expected
    assert "".join(writer.write(prompt, 70, temperature=0, seed=9)) == expected
    assert "".join(writer.write(prompt, 70, temperature=5, top_k=1)) == expected


def test_no_prompt_is_a_line_end(writer):
    assert "".join(writer.write("", 20, seed=1)) == "".join(writer.write("\n", 20, seed=1))


def test_seeds_and_counts(writer):
    long = "".join(writer.write("Ann", 150, seed=4))
    assert len(long) == 150
    assert "".join(writer.write("Ann", 150, seed=4)) == long
    assert "".join(writer.write("Ann", 10, seed=4)) == long[:10]
    assert "".join(writer.write("Ann", 150, seed=5)) != long
    assert list(writer.write("Ann", 0)) == []


def test_long_prompts_are_read_in_pieces(writer):
    prompt = "Ann visits Rome.\nBob likes Oslo.\n" * 40  # 1,320 characters: three pieces
    assert "".join(writer.write(prompt, 20, temperature=0)) == by_hand(writer, prompt, 20)


def test_nats_are_those_of_the_evaluation(writer, letters, corpus):
    result, folder = letters
    text = (corpus / "letters.txt").read_text()
    found = evaluate_run(folder, data=str(corpus / "letters.txt"))["data"].values["nats"]  # one stream, chunks of 8
    assert writer.nats(text) == pytest.approx(found, rel=1e-5)
    dev = text[int(len(text) * 0.8) :]
    assert writer.nats(dev) == pytest.approx(result.scores["dev"].values["nats"], rel=1e-5)


def test_nats_by_hand(writer):
    text = "Ann visits Rome.\n"
    ids = writer.encode(text)
    logits, _ = writer._model(jnp.asarray(ids[:-1]), state=writer._model.initial_state())
    logits = np.asarray(logits, np.float64)
    lost = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]
    assert writer.nats(text) == pytest.approx(float(lost.mean()), rel=1e-6)


def test_what_a_writer_refuses(writer):
    with pytest.raises(InputError, match=r"character '\u20ac' \(at 4\) is not among the model's \d+ characters"):
        next(writer.write("Ann \u20ac"))
    for temperature in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"temperature = .*: expected a number of at least 0"):
            next(writer.write("Ann", temperature=temperature))
    with pytest.raises(InputError, match="fewer than two characters"):
        writer.nats("A")


# -- opening and evaluating ------------------------------------------------------------------------------------------


def test_the_best_checkpoint_is_opened(trained):
    result, folder = trained
    assert open_run(folder).step == result.best_step
    last = max(int(path.name) for path in (folder / "checkpoints").iterdir())
    assert open_run(folder, step=last).step == last
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 1; there are \["):
        open_run(folder, step=1)


def test_evaluate_run_gives_the_scores_of_training(trained):
    result, folder = trained
    found = evaluate_run(folder)
    assert list(found) == ["dev", "test"]
    for split, scores in found.items():
        assert scores.values == result.scores[split].values
    assert json.loads((folder / "scores.json").read_text())["scores"]["test"] == found["test"].values


def test_evaluate_run_without_data(config, tmp_path):
    from spago_jax.train import fit, load_experiment
    from spago_jax.train.console import TrainingConsole

    experiment = load_experiment(config, ["data.dev=null", "data.test=null", "train.epochs=1"])
    result = fit(experiment, tmp_path / "run", console=TrainingConsole(quiet=True))
    assert result.scores == {}
    with pytest.raises(InputError, match="its config names neither dev nor test data; give a file by --data"):
        evaluate_run(tmp_path / "run")
