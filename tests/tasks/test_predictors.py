"""Trained runs in use: what stands beside an input, and how much padding there is, changes no answer."""

import dataclasses
import json
import math
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import refuses
from tiny_runs import images, sentences, texts

import spago_jax as sj
from spago_jax.errors import CheckpointError, InputError
from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.tasks.export import export_run
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.load import open_run
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.train.schema import InitConfig
from spago_jax.train.start import read_weights


@pytest.fixture(scope="module")
def tagger(trained):
    return sj.load_task("token-classification", trained[1])


@pytest.fixture(scope="module")
def writer(letters):
    return sj.load_task("text-generation", letters[1])


@pytest.fixture(scope="module")
def tokens() -> list[list[str]]:
    blocks = sentences(77, 50).strip().split("\n\n")
    return [[line.split("\t")[0] for line in block.splitlines()] for block in blocks]


# -- taggers --------------------------------------------------------------------------------


def test_tagging_in_batches_equals_one_by_one(tagger, tokens):
    together = list(tagger.stream(tokens))
    assert [list(tagged.tokens) for tagged in together] == tokens
    assert_alike(together, list(tagger.stream(tokens, at_once=1)))
    assert_alike(together, list(tagger.stream(tokens, at_once=7)))


def assert_alike(found, expected):
    """The same answers; their probabilities up to the rounding that another padding brings."""
    assert list(map(strip, found)) == list(map(strip, expected))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        np.testing.assert_allclose([e.score for e in a.spans], [e.score for e in b.spans], atol=1e-5)


def strip(tagged):
    spans = tuple(dataclasses.replace(span, score=1.0) for span in tagged.spans)
    return dataclasses.replace(tagged, scores=(), spans=spans)


def test_neighbours_and_order_change_no_tags(tagger, tokens):
    expected = {tuple(t.tokens): t for t in tagger.stream(tokens)}
    mixed = [*tokens, ["Ann"], ["Bob", *["old"] * 200, "Rome", "."]]  # a very long neighbour: more padding
    random.Random(3).shuffle(mixed)
    for tagged in tagger.stream(mixed):
        assert_alike([tagged], [expected.get(tuple(tagged.tokens), tagged)])


def test_empty_sentences_have_no_tags(tagger, tokens):
    (alone,) = tagger.stream([[]])
    assert (alone.tokens, alone.tags, alone.spans) == ((), (), ())
    between = list(tagger.stream([[], tokens[0], [], tokens[1]]))
    assert [len(t.tags) for t in between] == [0, len(tokens[0]), 0, len(tokens[1])]
    assert_alike(between[1:2], list(tagger.stream([tokens[0]])))
    assert list(tagger.stream([])) == []


def test_words_and_characters_never_seen(tagger):
    (tagged,) = tagger.stream([["\u4e2d\u6587", "\U0001f600", "x" * 500, " "]])
    assert len(tagged.tags) == 4


def test_halves_of_surrogate_pairs_are_refused(tagger, writer, mood):
    problem = "is half of a surrogate pair (U+D83D), which is not a character: the text was cut within one, or was not"
    classifier = sj.load_task("text-classification", mood[1])
    for predictor, text in ((tagger, "Ann \ud83d"), (writer, "Ann \ud83d"), (classifier, "it \U0001f600\ud83d")):
        with refuses(f"character 4 {problem} UTF-8"):
            predictor(text)
    with refuses(f"token 1: character 2 {problem} UTF-8"):
        tagger(("Ann", "xy\ud83d"))
    with refuses(f"character 0 {problem} UTF-8"):
        writer.nats("\ud83d!")


def test_entities_are_those_of_the_tags(tagger, tokens):
    labels = set()
    for tagged in tagger.stream(tokens):
        for span in tagged.spans:
            start, end = span.tokens
            assert tagged.tags[start] == f"B-{span.label}"  # written as the training file writes them: IOB2
            assert set(tagged.tags[start + 1 : end]) <= {f"I-{span.label}"}
            assert span.text == tagged.text[span.start : span.end] == " ".join(tagged.tokens[start:end])
            labels.add(span.label)
        covered = sum(span.tokens[1] - span.tokens[0] for span in tagged.spans)
        assert sum(tag != "O" for tag in tagged.tags) == covered
    assert labels == {"PER", "LOC"}


def test_a_text_keeps_its_blanks_and_offsets_are_code_points(tagger):
    text = "  \U0001f600 Ann  visits\tParis .  "
    tagged = tagger(text)
    assert tagged.text == text
    assert [text[start:end] for start, end in tagged.offsets] == list(tagged.tokens)
    assert [(e.label, e.text, text[e.start : e.end]) for e in tagged.spans if e.label == "LOC"] == [
        ("LOC", "Paris", "Paris")
    ]
    assert "[Paris](LOC) .  " in tagged.to_text()


def test_long_sentences_are_read_in_windows(tagger):
    words = ["Ann", "visits", "Paris", "."] * 100  # longer than train.max_length
    assert len(tagger(tuple(words)).tags) == 400


def test_what_is_not_a_text_is_refused(tagger):
    with pytest.raises(InputError, match="a int, expected a text or a list of tokens"):
        tagger(3)


def test_it_reads_no_further_than_it_must(tagger, tokens):
    taken = []

    def source():
        for sentence in tokens:
            taken.append(sentence)
            yield sentence

    next(iter(tagger.stream(source(), at_once=4)))
    assert len(taken) == 4


def test_nothing_is_compiled_after_a_warm_up(mood, tmp_path):
    from spago_jax.compiler import CompileCounter

    labeler = sj.load_task("text-classification", mood[1])
    labeler.warm_up()
    with CompileCounter() as counter:
        for count in (1, 3, 30, 300):
            labeler([text for text, _ in texts(count, count)])
        labeler(["holidays " * 1000, ""])
    assert counter.compilations == 0


# -- classifiers of texts --------------------------------------------------------------------------------


def ranking(found) -> dict[str, float]:
    return dict(found.ranking)


def test_texts_in_batches_equal_one_by_one(moods):
    labeler = sj.load_task("text-classification", moods[1])
    # words of unequal length, and a long neighbour: other padding of tokens and of n-grams
    given = ["unpronounceable incomprehensibilities " * 9, "it", "holidays " * 60, *(text for text, _ in texts(5, 20))]
    together = list(labeler.stream(given))
    for text, found in zip(given, together, strict=True):
        (alone,) = labeler.stream([text])
        assert alone.label == found.label
        assert ranking(alone) == pytest.approx(ranking(found), abs=2e-6), text
        assert sum(ranking(alone).values()) == pytest.approx(1, abs=1e-5)


def test_empty_texts(moods):
    labeler = sj.load_task("text-classification", moods[1])
    assert list(labeler.stream([])) == []
    (alone,) = labeler.stream([""])
    assert np.isfinite(alone.score)
    found = list(labeler.stream(["it was a sunshine day", "", "crying"]))
    assert ranking(found[1]) == pytest.approx(ranking(alone), abs=2e-6)
    assert [found[0].label, found[2].label] == ["happy", "sad"]


# -- classifiers of images --------------------------------------------------------------------------------


def test_images_in_batches_equal_one_by_one(pictures):
    labeler = sj.load_task("image-classification", pictures[1])
    pixels, labels = images(11, 300)  # more than one call of the device
    together = list(labeler.stream(pixels))
    assert np.mean([found.label == str(label) for found, label in zip(together, labels, strict=True)]) > 0.9
    for i in (0, 17, 255, 256, 299):
        (alone,) = labeler.stream(pixels[i : i + 1])
        assert ranking(alone) == pytest.approx(ranking(together[i]), abs=1e-6)
    assert list(labeler.stream(pixels[:0])) == []


def test_images_of_another_size(pictures):
    labeler = sj.load_task("image-classification", pictures[1])
    with pytest.raises(InputError, match=r"an array uint8\[5, 4\], the model expects images of \[4, 4\]"):
        list(labeler.stream(np.zeros((2, 5, 4), np.uint8)))


def test_pictures_of_other_number_types_are_the_same(pictures):
    labeler = sj.load_task("image-classification", pictures[1])
    pixels, _ = images(4, 6)
    expected = list(labeler.stream(pixels))
    assert list(labeler.stream(pixels.astype(np.int64))) == expected
    assert list(labeler.stream(pixels.astype(np.float64))) == expected
    assert [a.label for a in labeler.stream(pixels + 0.25)] == [a.label for a in expected]


# -- language models --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def language_model(letters):
    return sj.load_pretrained(letters[1]).model


def by_hand(writer, model, prompt: str, count: int) -> str:
    """Argmax, one character at a time, the state carried by a Python loop."""
    step = jax.jit(lambda model, ids, state: model(ids, state=state))
    text = ""
    logits, state = step(model, jnp.asarray(writer.processor.ids(prompt)), model.initial_state())
    for _ in range(count):
        best = int(np.argmax(np.asarray(logits[-1])))
        text += writer.processor.alphabet[best]
        logits, state = step(model, jnp.asarray([best], jnp.int32), state)
    return text


@pytest.mark.parametrize("prompt", ["Ann ", "Bob visits Rome.\n", "E"])
def test_temperature_zero_takes_the_most_probable(writer, language_model, prompt):
    expected = by_hand(writer, language_model, prompt, 70)
    assert "".join(writer.pieces(prompt, 70, temperature=0)) == expected
    assert "".join(writer.pieces(prompt, 70, temperature=0, seed=9)) == expected
    assert "".join(writer.pieces(prompt, 70, temperature=5, top_k=1)) == expected
    assert "".join(writer.pieces(prompt, 70, temperature=5, top_p=1e-6)) == expected


def test_no_prompt_is_a_line_end(writer):
    assert "".join(writer.pieces("", 20, seed=1)) == "".join(writer.pieces("\n", 20, seed=1))


def test_seeds_and_counts(writer):
    long = "".join(writer.pieces("Ann", 150, seed=4))
    assert len(long) == 150
    assert "".join(writer.pieces("Ann", 150, seed=4)) == long
    assert "".join(writer.pieces("Ann", 10, seed=4)) == long[:10]
    assert "".join(writer.pieces("Ann", 150, seed=5)) != long
    assert list(writer.pieces("Ann", 0)) == []


def test_each_prompt_draws_by_itself(writer):
    prompts = ["Ann", "Ann", "Bob visits"]
    first, second, third = (found.text for found in writer(prompts, characters=70, seed=4))
    assert first != second
    # what stands at the other places changes nothing, nor does the form
    assert [found.text for found in writer(["Eve likes Oslo.", "Ann"], characters=70, seed=4)][1] == second
    assert writer("Ann", characters=70, seed=4).text == first
    assert "".join(writer.written(prompts, "text", characters=70, seed=4)).endswith(f"\nBob visits{third}\n")


def test_a_continuation_ends_with_a_stop(writer):
    """On the device the loop ends there; the text is the one that would have been written, up to the stop."""
    free = writer("Ann", characters=300, seed=4).text
    for stop in (free[70:72], free[9], free[3:30]):
        found = writer("Ann", characters=300, seed=4, stop=stop).text
        assert found == free[: free.index(stop) + len(stop)]
        assert "".join(writer.pieces("Ann", 300, seed=4, stop=stop)) == found
    assert writer("Ann", characters=20, seed=4, stop="\n" * 9).text == free[:20]
    with refuses("stop is empty: expected the text that a continuation ends with, or None"):
        writer("Ann", stop="")


def test_many_prompts_are_written_in_one_loop(writer):
    """More than one call of the device holds; each is the text that it is alone in its place."""
    prompts = ["Ann", "Bob visits Rome", "", "Eve likes"] * 20
    found = [answer.text for answer in writer.stream(prompts, characters=30, seed=2)]
    assert [answer.text for answer in writer.stream(prompts, characters=30, seed=2, at_once=7)] == found
    assert "".join(writer.pieces(prompts[70], 30, seed=2, number=70)) == found[70]


def test_perplexity_is_the_exponential_of_the_nats(writer):
    assert writer.perplexity("Ann visits Rome.\n") == pytest.approx(math.exp(writer.nats("Ann visits Rome.\n")))


def test_long_prompts_are_read_in_pieces(writer, language_model):
    prompt = "Ann visits Rome.\nBob likes Oslo.\n" * 40  # 1,320 characters: three pieces
    assert "".join(writer.pieces(prompt, 20, temperature=0)) == by_hand(writer, language_model, prompt, 20)


def test_nats_are_those_of_the_evaluation(writer, letters, corpus):
    result, folder = letters
    text = (corpus / "letters.txt").read_text()
    found = evaluate_run(folder, data=str(corpus / "letters.txt"))["data"].values["nats"]  # one stream, chunks of 8
    assert writer.nats(text) == pytest.approx(found, rel=1e-5)
    dev = text[int(len(text) * 0.8) :]
    assert writer.nats(dev) == pytest.approx(result.scores["dev"].values["nats"], rel=1e-5)


def test_nats_by_hand(writer, language_model):
    text = "Ann visits Rome.\n"
    ids = writer.processor.ids(text)
    logits, _ = language_model(jnp.asarray(ids[:-1]), state=language_model.initial_state())
    logits = np.asarray(logits, np.float64)
    lost = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]
    assert writer.nats(text) == pytest.approx(float(lost.mean()), rel=1e-6)


def test_what_a_writer_refuses(writer):
    with pytest.raises(InputError, match=r"character '\u20ac' \(at 4\) is not among the model's \d+ characters"):
        writer.pieces("Ann \u20ac")
    for temperature in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"temperature = .*: expected a number of at least 0"):
            writer.pieces("Ann", temperature=temperature)
    with refuses("top_k = 0: expected a whole number of at least 1, or None for all"):
        writer.pieces("Ann", top_k=0)
    for top_p in (0.0, 1.5, float("nan")):
        with refuses(f"top_p = {top_p}: expected a probability above 0, at most 1, or None for all"):
            writer.pieces("Ann", top_p=top_p)
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


def test_load_task_refuses_another_task_and_other_folders(trained, tmp_path):
    with pytest.raises(InputError, match=r"a model of the task 'token-classification', not of 'text-classification'"):
        sj.load_task("text-classification", trained[1])
    with pytest.raises(InputError, match=r"unknown task 'token-clasification': did you mean 'token-classification'\?"):
        sj.load_task("token-clasification", trained[1])
    with pytest.raises(InputError, match="lacks config.json"):
        sj.load_task("token-classification", tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("manifest.json", b"{", "damaged, or no manifest"),
        ("weights.safetensors", b"", "truncated"),
        ("assets/tags.json", None, "is a directory; the folder is not complete"),
        ("weights.safetensors", None, "is a directory; the folder is not complete"),
    ],
)
def test_a_damaged_export_is_a_checkpoint_that_cannot_be_read(exported, tmp_path, name, damage, message):
    folder = tmp_path / "copy"
    shutil.copytree(exported, folder)
    (folder / name).unlink()
    if damage is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(damage)
    with pytest.raises(CheckpointError, match=message):
        sj.load_task("token-classification", folder)
    if name == "weights.safetensors":
        with pytest.raises(CheckpointError, match=message):
            read_weights(InitConfig.model_validate({"from": str(folder)}))


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The tagger as an exported folder."""
    return export_run(open_run(trained[1]), tmp_path_factory.mktemp("exported") / "tagger", platforms=("cpu",))


def test_mistakes_that_cannot_be_written_are_refused_before_the_work(trained, tmp_path):
    for path in (tmp_path, tmp_path / "no" / "a.jsonl"):
        with pytest.raises(InputError, match="cannot be written: it is a folder, or its folder does not exist"):
            evaluate_run(trained[1], mistakes=path)
    with pytest.raises(InputError, match="no data: the name of the file is empty"):
        evaluate_run(trained[1], data="")


@pytest.mark.parametrize(
    ("key", "value"),
    [("tokenizer", 3), ("tokenizer", {}), ("scale", [0.5]), ("scale", ["x", 1]), ("max_length", "x"), ("embeddings", 3),
     ("embeddings", [{"kind": "words"}]), ("classes", None), ("counts", 3)],
)  # fmt: skip
def test_damaged_settings_of_a_processor_are_refused_by_name(mood, tmp_path, key, value):
    shutil.copytree(mood[1] / "assets", tmp_path / "assets")
    path = tmp_path / "assets" / "processor.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=r"processor\.json: not the settings of a classifier: "):
        TextProcessor.load(tmp_path / "assets")


def test_no_row_is_left_without_an_answer(mood, tmp_path):
    task = open_run(mood[1]).task
    data = task.experiment.data.model_copy(update={"skip_bad_rows": True})
    task.experiment = task.experiment.model_copy(update={"data": data})
    (tmp_path / "a.csv").write_text("text,label\na,happy\nb\n")
    with pytest.raises(InputError, match=r"a\.csv:3: 1 field, expected 2"):
        list(task.examples(InputFile(str(tmp_path / "a.csv"))))
