"""Masked words that are trained here, from nothing and from a checkpoint, against transformers."""

import json

import jax
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.core import flat
from spago_jax.data.batching import Block
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.masked_texts import read_texts
from spago_jax.tasks.pretrained.trained import export_huggingface
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.train import train_tokenizer
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

pytestmark = pytest.mark.oracle
LINES = [
    f"{who} {what} the {thing} in {place}."
    for who in ("the king", "a queen", "my brother")
    for what in ("finds", "takes away", "understands")
    for thing in ("golden crown", "letter", "unbelievable treasure")
    for place in ("london", "rome")
]
SIZE = 200
SIZES = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus, and a tokenizer that was learned from it."""
    folder = tmp_path_factory.mktemp("mlm")
    (folder / "text.txt").write_text("\n\n".join(LINES) + "\n")
    tokenizer = train_tokenizer(iter(LINES), kind="wordpiece", size=SIZE, lowercase=True)
    (folder / "tokenizer").mkdir()
    tokenizer.save(folder / "tokenizer")
    return folder


def settings(folder, **changes):
    found = {
        "task": "fill-mask",
        "name": "mlm",
        "data": {"format": "text", "train": f"{folder}/text.txt", "dev_fraction": 0.2},
        "model": {"tokenizer": f"{folder}/tokenizer", "config": SIZES, "dropout": 0.0},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {
            "epochs": 2, "batch_size": 4, "eval_batch_size": 4, "steps_per_call": 2, "buckets": 1, "max_length": 32,
        },
    }  # fmt: skip
    for key, value in changes.items():
        found[key] = {**found.get(key, {}), **value} if isinstance(value, dict) else value
    return found


def train(settings, folder, **how):
    return fit(load_experiment(settings), folder, command="test", console=TrainingConsole(quiet=True), **how)


@pytest.fixture(scope="module")
def run(folder):
    return folder / "run", train(settings(folder), folder / "run")


@pytest.fixture(scope="module")
def prepared(folder):
    experiment = load_experiment(settings(folder))
    task = experiment.task_class.prepare(experiment)
    return task, jax.jit(task.objective.init)(jax.random.key(1))


def test_the_loss_is_that_of_transformers(prepared, tmp_path):
    """Each text of a packed row by itself in transformers, with its labels at the masked places, -100 elsewhere."""
    import torch
    import transformers

    task, model = prepared
    block = Block(32, np.arange(4)[None], epoch=3)
    batch = {name: array[0] for name, array in task.arrays("train", block).items()}
    found = jax.jit(lambda model, batch: vars(task.objective.loss(model, batch, (), None)))(model, batch)
    folder = export_huggingface(task, model, tmp_path / "exported")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    total, count = 0.0, 0
    for row in range(4):
        labels = np.full(batch["ids"].shape[1], -100)
        real = batch["weights"][row] > 0
        labels[batch["at"][row][real]] = batch["labels"][row][real]
        for segment in range(1, int(batch["segments"][row].max()) + 1):
            places = batch["segments"][row] == segment
            wanted = torch.tensor(labels[places])[None]
            with torch.no_grad():
                logits = theirs(input_ids=torch.tensor(batch["ids"][row][places])[None]).logits
            total += float(torch.nn.functional.cross_entropy(logits[0], wanted[0], reduction="sum"))
            count += int((wanted >= 0).sum())
    assert (float(found["total"]), float(found["weight"])) == (pytest.approx(total, rel=1e-5), count)
    assert count > 8


def test_packing_keeps_every_text_whole(prepared, folder):
    """The texts of the packed rows are those of the file, each with its special tokens and a number of its own."""
    task, _ = prepared
    rows, found = task.parts["train"], []
    for row in range(len(rows)):
        numbers = rows.segments[row]
        found += [tuple(rows.ids[row][numbers == n].tolist()) for n in range(1, int(numbers.max()) + 1)]
    encoded = task.processor.tokenizer.encode_batch(LINES[: int(len(LINES) * 0.8)])
    assert sorted(found) == sorted(tuple(row.ids) for row in encoded)
    assert rows.lengths.max() <= 32
    assert len(rows) < 0.7 * len(found)


def test_masks_are_others_in_every_epoch_and_follow_seed_epoch_and_row_alone(prepared):
    task, _ = prepared
    whole = task.arrays("train", Block(32, np.arange(6)[None], epoch=2))
    part = task.arrays("train", Block(40, np.array([[4, 1]]), epoch=2))
    np.testing.assert_array_equal(part["ids"][0, :, :32], whole["ids"][0, [4, 1]])
    other = task.arrays("train", Block(32, np.arange(6)[None], epoch=3))
    assert (other["ids"] != whole["ids"]).any()
    dev = [task.arrays("dev", Block(32, np.arange(2)[None], epoch=epoch))["ids"] for epoch in (0, 5)]
    np.testing.assert_array_equal(*dev)


def test_whole_words_are_masked_together(folder):
    experiment = load_experiment(settings(folder, train={"whole_words": True, "packed": False, "mask_rate": 0.3}))
    task = experiment.task_class.prepare(experiment)
    rows, mask = task.parts["train"], task.processor.tokenizer.special_ids["mask"]
    arrays = task.arrays("train", Block(32, np.arange(len(rows))[None]))
    assert "segments" not in arrays
    for row in range(len(rows)):
        chosen = set(arrays["at"][0, row][arrays["weights"][0, row] > 0].tolist())
        words = rows.words[row]
        for place in chosen:
            assert {at for at in np.flatnonzero(words == words[place])} <= chosen
    assert (arrays["ids"] == mask).any()


def test_a_run_answers_like_a_pretrained_model(run, tmp_path):
    import transformers

    task = sj.load_task("fill-mask", run[0])
    text = "the king finds the [MASK] in rome."
    (found,) = task(text, top_k=3)
    assert len(found) == 3
    trained = sj.load_pretrained(run[0])
    folder = task.pretrained.save(tmp_path / "exported")
    theirs = transformers.pipeline("fill-mask", model=str(folder))
    assert [filling["token"] for filling in theirs(text, top_k=3)] == [filling.id for filling in found]
    np.testing.assert_allclose([f["score"] for f in theirs(text, top_k=3)], [f.score for f in found], rtol=1e-4)
    for path, array in flat(sj.load_pretrained(folder).model).items():
        np.testing.assert_array_equal(array, flat(trained.model)[path], err_msg=path)
    for name, content in task.processor.tokenizer.files.items():
        assert (folder / name).read_bytes() == content


def test_scores_of_dev_are_loss_perplexity_and_accuracy(run):
    values = run[1].scores["dev"].values
    assert set(values) == {"loss", "perplexity", "accuracy"}
    assert values["perplexity"] == pytest.approx(np.exp(values["loss"]))
    lines = [json.loads(line) for line in (run[0] / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "dev"]
    assert losses[-1] < losses[0] < np.log(SIZE) + 0.2


@pytest.mark.slow
def test_a_run_is_continued_to_the_same_bits(folder, run, tmp_path):
    train(settings(folder, train={"epochs": 1}), tmp_path / "parts")
    train(settings(folder), tmp_path / "parts", resume=True)
    whole, parts = flat(sj.load_pretrained(run[0]).model), flat(sj.load_pretrained(tmp_path / "parts").model)
    for path, array in whole.items():
        np.testing.assert_array_equal(array, parts[path], err_msg=path)


def test_two_half_batches_give_the_update_of_a_whole_one(folder, tmp_path):
    """The halves have other numbers of masked pieces, so that the mean of their means would be another."""
    plain = {"optimizer": {"name": "sgd", "learning_rate": 0.5}}
    few = {"buckets": 1, "max_length": 32, "eval_batch_size": 4, "steps_per_call": 16}  # one block
    whole = settings(folder, **plain, train={**few, "batch_size": 8, "steps": 1})
    halves = settings(folder, **plain, train={**few, "batch_size": 4, "steps": 2})
    halves["optimizer"]["accumulate"] = 2
    experiment = load_experiment(halves)
    task = experiment.task_class.prepare(experiment)
    counts = task.arrays("train", task.batches("train", training=True).epoch(0)[0])["weights"].sum((1, 2))
    assert counts[0] != counts[1]
    train(whole, tmp_path / "whole")
    train(halves, tmp_path / "halves")
    one, two = flat(sj.load_pretrained(tmp_path / "whole").model), flat(sj.load_pretrained(tmp_path / "halves").model)
    start = flat(jax.jit(task.objective.init)(jax.random.key(experiment.seed)))
    assert max(float(abs(one[path] - start[path]).max()) for path in one) > 1e-3
    for path, array in one.items():
        np.testing.assert_allclose(two[path], array, atol=1e-6, err_msg=path)


def test_a_classifier_starts_from_a_run_of_masked_words(run, tmp_path):
    """The encoder's arrays are those of the run; the head starts fresh."""
    from spago_jax.train.start import prepare, with_weights

    (tmp_path / "texts.csv").write_text("text,label\nthe king,a\nthe queen,b\n")
    experiment = load_experiment(
        {
            "task": "text-classification", "name": "c", "model": {"kind": "encoder"},
            "data": {"format": "labeled-text", "train": f"{tmp_path}/texts.csv"},
            "init": {"from": str(run[0]), "allow_missing": ["head.*"]}, "optimizer": {"name": "adam"},
            "train": {"max_length": 16},
        }
    )  # fmt: skip
    task, weights = prepare(experiment)
    model = with_weights(jax.jit(task.objective.init)(jax.random.key(0)), weights, experiment.init, task.growing)
    before = flat(sj.load_pretrained(run[0]).model)
    for path, array in flat(model).items():
        if path.startswith("encoder."):
            np.testing.assert_array_equal(array, before[path], err_msg=path)
    assert task.processor.tokenizer.size == sj.load_task("fill-mask", run[0]).processor.tokenizer.size


def test_texts_are_lines_or_paragraphs_and_long_ones_are_cut(folder, tmp_path):
    tokenizer = load_tokenizer(folder / "tokenizer")
    path = tmp_path / "two.txt"
    path.write_text("the king\nthe queen\n\n" + "the letter " * 20 + "\n")
    lines = read_texts(path, tokenizer, 16, "line")
    paragraphs = read_texts(path, tokenizer, 16, "paragraph")
    assert len(lines) == len(paragraphs) + 1
    assert lines.lengths.max() == 16
    content = [id for row in range(2, len(lines)) for id in lines.ids[row][1:-1].tolist()]
    assert content == tokenizer.encode("the letter " * 20, special_tokens=False).ids
    assert paragraphs.ids[0][1:-1].tolist() == tokenizer.encode("the king the queen", special_tokens=False).ids
    (tmp_path / "none.txt").write_text("\n\n")
    with pytest.raises(InputError, match="no text in it"):
        read_texts(tmp_path / "none.txt", tokenizer, 16, "line")
