"""Pre-trained encoders trained further: classifiers with a head of their own, and embeddings of tokens."""

import json
import shutil

import jax
import numpy as np
import pytest
from helpers import refuses
from pipeline_models import CLASSES, write_model

import spago_jax as sj
from spago_jax.core import flat
from spago_jax.errors import InputError
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.start import optimizer_config

pytestmark = [pytest.mark.oracle, pytest.mark.shared_data]
PLACES = ("rome", "oslo", "the unbelievable town", "a", "lima and cairo", "paris", "an island", "my youth")
TEXTS = [(f"{word} day of {place}", label) for word, label in (("sunny", "good"), ("rainy", "bad")) for place in PLACES]
SENTENCES = "Ann\tB-PER\nvisits\tO\nunbelievability\tB-LOC\n.\tO\n\n" * 6 + "Oslo\tB-LOC\nis\tO\nold\tO\n\n" * 6


@pytest.fixture(scope="module")
def models(tmp_path_factory, shared_data):
    """Tiny pre-trained models: the encoder alone, and one with classes."""
    root, tokenizer = tmp_path_factory.mktemp("models"), shared_data / "tok-bert-uncased"
    return {
        "encoder": write_model(root / "encoder", "BertModel", tokenizer),
        "classes": write_model(root / "classes", "BertForSequenceClassification", tokenizer, CLASSES),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "texts.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in TEXTS))
    (folder / "pairs.csv").write_text(
        "text,other,label\n"
        + "".join(f"{text},{text if n % 2 else 'rain'},{n % 2}.5\n" for n, (text, _) in enumerate(TEXTS))
    )
    (folder / "tags.conll").write_text(SENTENCES)
    return folder


def classifier(folder, source, **changes):
    settings = {
        "task": "text-classification",
        "name": "tuned",
        "data": {"format": "labeled-text", "train": f"{folder}/texts.csv", "dev": f"{folder}/texts.csv"},
        "init": {"from": str(source), "allow_missing": ["head.*"]},
        "model": {"kind": "encoder"},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {"epochs": 2, "batch_size": 8, "steps_per_call": 2, "buckets": 1, "max_length": 16},
    }
    for key, value in changes.items():
        settings[key] = {**settings[key], **value} if isinstance(value, dict) else value
    return settings


def tagger(data, source, **embedding):
    return {
        "task": "token-classification",
        "name": "tagger",
        "data": {"format": "conll", "train": f"{data}/tags.conll", "dev": f"{data}/tags.conll"},
        "model": {"embeddings": [{"kind": "transformer", "from": str(source)} | embedding], "output": "softmax"},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {"epochs": 2, "batch_size": 4, "steps_per_call": 2, "buckets": 1, "max_length": 32},
    }


def train(settings, folder, **how):
    return fit(load_experiment(settings), folder, command="test", console=TrainingConsole(quiet=True), **how)


def weights(folder):
    return flat(sj.load_pretrained(folder).model)


@pytest.fixture(scope="module")
def tuned(models, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    train(classifier(data, models["encoder"]), folder)
    return folder


def test_a_classifier_is_tuned_and_answers_from_its_run_folder_alone(tuned, models, tmp_path):
    """The run holds the tokenizer and the encoder's config: the model that it came from is not read again."""
    moved = tmp_path / "moved"
    shutil.copytree(tuned, moved)
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace(str(models["encoder"]), "gone"))
    answers = sj.load_task("text-classification", moved)([text for text, _ in TEXTS])
    assert answers == sj.load_task("text-classification", tuned)([text for text, _ in TEXTS])
    assert {found.label for answer in answers for found in answer} == {"good", "bad"}
    assert {path.name for path in (moved / "assets").iterdir()} >= {"config.json", "processor.json", "tokenizer"}
    assert json.loads((moved / "assets" / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}


@pytest.mark.parametrize("remat", ["full", pytest.param("dots", marks=pytest.mark.slow)])
def test_layers_computed_again_give_the_same_training(tuned, models, data, tmp_path, remat):
    """With dropout: the second computation of a layer drops what the first one did."""
    train(
        classifier(data, models["encoder"], train={"remat": remat, "watch": {"activations": "*"}}), tmp_path / "again"
    )
    again = weights(tmp_path / "again")
    for path, value in weights(tuned).items():
        if not path.endswith(
            "key.bias"
        ):  # a softmax does not see it: its gradient is rounding alone, and Adam scales it
            np.testing.assert_allclose(again[path], value, err_msg=path, rtol=1e-3, atol=1e-4)


def test_remat_is_refused_where_no_layers_are_stacked(data, tmp_path):
    settings = tagger(data, "unused")
    settings["model"]["embeddings"] = [{"kind": "words", "size": 4}]
    settings["train"]["remat"] = "full"
    with pytest.raises(InputError, match=r"train\.remat = 'full': this model has no stack of transformer layers"):
        train(settings, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_batch_of_training_is_one_of_prediction(models, data):
    """The same text gives the same arrays, with the special tokens where transformers puts them."""
    import transformers

    experiment = load_experiment(classifier(data, models["encoder"]))
    task = experiment.task_class.prepare(experiment)
    rows = task.processor.encode([task.processor.example(text) for text, _ in TEXTS])
    indices = np.arange(len(TEXTS))
    trained = task.processor.batch(task.parts["train"], indices, 16, targets=True)
    predicted = task.processor.batch(rows, indices, 16)
    for name, array in predicted.items():
        np.testing.assert_array_equal(array, trained[name])
    theirs = transformers.AutoTokenizer.from_pretrained(models["encoder"])
    expected = theirs([text for text, _ in TEXTS], padding="max_length", max_length=16, return_tensors="np")
    np.testing.assert_array_equal(predicted["ids"], expected["input_ids"])
    np.testing.assert_array_equal(predicted["lengths"], expected["attention_mask"].sum(-1))


def test_pairs_are_read_together(models, data):
    import transformers

    settings = classifier(
        data,
        models["encoder"],
        data={"train": f"{data}/pairs.csv", "pair_field": "other"},
        model={"problem": "regression"},
    )
    settings["data"].pop("dev")
    experiment = load_experiment(settings)
    task = experiment.task_class.prepare(experiment)
    arrays = task.processor.batch(task.parts["train"], np.arange(4), 16, targets=True)
    theirs = transformers.AutoTokenizer.from_pretrained(models["encoder"])
    pairs = [(TEXTS[n][0], TEXTS[n][0] if n % 2 else "rain") for n in range(4)]
    expected = theirs(*map(list, zip(*pairs, strict=True)), padding="max_length", max_length=16, truncation=True,
                      return_tensors="np")  # fmt: skip
    np.testing.assert_array_equal(arrays["ids"], expected["input_ids"])
    np.testing.assert_array_equal(arrays["types"], expected["token_type_ids"])
    np.testing.assert_allclose(arrays["labels"], [0.5, 1.5, 0.5, 1.5])


def test_the_loss_is_that_of_torch(models, data):
    """Cross-entropy of a model whose weights all come from the file, without dropout."""
    import torch
    import transformers

    texts = [(text, CLASSES[n % 3]) for n, (text, _) in enumerate(TEXTS)]
    (data / "three.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in texts))
    settings = classifier(data, models["classes"], data={"train": f"{data}/three.csv", "dev": f"{data}/three.csv"})
    settings["init"].pop("allow_missing")
    experiment = load_experiment(settings)
    from spago_jax.train.start import prepare, with_weights

    task, arrays = prepare(experiment)
    model = with_weights(task.objective.init(jax.random.key(0)), arrays, experiment.init, task.growing)
    assert list(task.processor.classes) == CLASSES  # in the order of the file's head
    batch = task.processor.batch(task.parts["train"], np.arange(8), 16, targets=True)
    loss = task.objective.loss(model, batch, (), None)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(models["classes"]).eval()
    with torch.no_grad():
        expected = theirs(
            input_ids=torch.tensor(batch["ids"]),
            attention_mask=torch.arange(16)[None] < torch.tensor(batch["lengths"])[:, None],
            labels=torch.tensor(batch["labels"]).long(),
        ).loss
    assert float(loss.total / loss.weight) == pytest.approx(float(expected), rel=1e-5)


def test_other_labels_start_with_a_fresh_output(models, data):
    """Two classes where the file's head has three: nothing of the output layer is taken over."""
    settings = classifier(data, models["classes"])
    settings["init"].pop("allow_missing")
    with pytest.raises(InputError, match=r"allow_missing: \[head\.\*\]"):
        train(settings, data / "never")
    assert not (data / "never").exists()


@pytest.mark.slow
def test_a_tuned_run_is_continued_to_the_same_bits(models, data, tmp_path):
    train(classifier(data, models["encoder"], train={"epochs": 2}), tmp_path / "whole")
    train(classifier(data, models["encoder"], train={"epochs": 1}), tmp_path / "parts")
    train(classifier(data, models["encoder"], train={"epochs": 2}), tmp_path / "parts", resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for path, array in whole.items():
        np.testing.assert_array_equal(array, parts[path], err_msg=path)


def test_frozen_layers_keep_their_weights(models, data, tmp_path):
    settings = classifier(data, models["encoder"], init={"freeze": ["encoder.*"]}, train={"epochs": 1})
    train(settings, tmp_path / "frozen")
    before = flat(sj.load_pretrained(models["encoder"]).model)
    for path, array in weights(tmp_path / "frozen").items():
        if path.startswith("encoder."):
            np.testing.assert_array_equal(array, before[path], err_msg=path)


@pytest.mark.parametrize("pooling", ["first", "last", "mean", "first_last"])
def test_the_vector_of_a_word_is_that_of_its_pieces(models, data, pooling):
    """Against transformers' states of the pre-split sentence."""
    import torch
    import transformers

    experiment = load_experiment(tagger(data, models["encoder"], pooling=pooling, fine_tune=False))
    task = experiment.task_class.prepare(experiment)
    model = task.from_data(task.objective.init(jax.random.key(0)))
    batch = task.processor.batch(task.parts["train"], np.arange(7), 16)
    vectors = model.embeddings(batch)
    theirs = transformers.AutoModel.from_pretrained(models["encoder"]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models["encoder"])
    for row, words in ((0, ["Ann", "visits", "unbelievability", "."]), (6, ["Oslo", "is", "old"])):
        encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            states = theirs(**encoded).last_hidden_state[0].numpy()
        for number in range(len(words)):
            places = [place for place, word in enumerate(encoded.word_ids()) if word == number]
            first, last = states[places[0]], states[places[-1]]
            expected = {"first": first, "last": last, "mean": states[places].mean(0),
                        "first_last": np.concatenate([first, last])}  # fmt: skip
            np.testing.assert_allclose(vectors[row, number], expected[pooling], atol=1e-5)
    assert not np.any(vectors[6, 3:])  # beyond the sentence


def test_an_encoder_that_is_not_tuned_keeps_its_weights(models, data, tmp_path):
    settings = tagger(data, models["encoder"], fine_tune=False)
    assert optimizer_config(load_experiment(settings)).groups[0].match == ("embeddings.parts.0.*",)
    train(settings, tmp_path / "tagger")
    before = flat(sj.load_pretrained(models["encoder"]).model.encoder)
    after = weights(tmp_path / "tagger")
    for path, array in before.items():
        np.testing.assert_array_equal(array, after[f"embeddings.parts.0.encoder.{path}"], err_msg=path)
    answer = sj.load_task("token-classification", tmp_path / "tagger")(("Ann", "visits", "unbelievability", "."))
    assert len(answer.tags) == 4


def test_the_vectors_of_a_frozen_encoder_are_computed_once(models, data, tmp_path, monkeypatch):
    """From the cache they are those of the encoder, in batches of any length, and of another pooling others."""
    monkeypatch.setenv("SPAGO_CACHE", str(tmp_path / "cache"))
    frozen = load_experiment(tagger(data, models["encoder"], fine_tune=False, pooling="mean"))
    cached = load_experiment(tagger(data, models["encoder"], fine_tune=False, pooling="mean", cache=True))
    tasks = [each.task_class.prepare(each) for each in (frozen, cached, cached)]
    said = [[line for line in task.remarks() if "vectors of transformer" in line] for task in tasks]
    assert "computed once" in said[1][0]
    assert all("read from" in line for line in said[2])  # of the training and the dev data, which are one file here
    model = tasks[0].from_data(tasks[0].objective.init(jax.random.key(0)))
    run = jax.jit(lambda model, batch: model.embeddings(batch))
    found = [run(model, task.processor.batch(task.parts["dev"], np.array([7, -1, 0]), 16)) for task in tasks]
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_array_equal(found[2], found[1])
    first = load_experiment(tagger(data, models["encoder"], fine_tune=False, pooling="first", cache=True))
    assert any("computed once" in line for line in first.task_class.prepare(first).remarks())
    train(tagger(data, models["encoder"], fine_tune=False, pooling="mean", cache=True), tmp_path / "run")
    assert sj.load_task("token-classification", tmp_path / "run")("Ann visits Oslo .").tags


@pytest.mark.parametrize(
    ("settings", "words"),
    [({}, "fine_tune: false"), ({"fine_tune": False, "context": 4}, "context: 0"),
     ({"fine_tune": False, "from": "init.from"}, "files of the encoder")],
)  # fmt: skip
def test_only_what_stays_as_it_is_is_kept(models, data, settings, words):
    with pytest.raises(InputError, match=words):
        load_experiment(tagger(data, models["encoder"], cache=True, **settings))


def test_a_sentence_of_many_pieces_is_read_whole(models, data, tmp_path):
    """Words beyond the encoder's positions cannot be read; long words are cut to their first pieces."""
    long = "\n".join(f"{'unbelievability' * 3}\tO" for _ in range(30))
    (data / "long.conll").write_text(f"{long}\n\n{SENTENCES}")
    settings = tagger(data, models["encoder"])
    settings["data"] |= {"train": f"{data}/long.conll"}
    experiment = load_experiment(settings)
    task = experiment.task_class.prepare(experiment)
    assert int(task.parts["train"].lengths.max()) == 128  # all that the encoder reads
    batch = task.processor.batch(task.parts["train"], np.arange(1), 128)
    assert (batch["transformer_counts"][0, :30] > 0).all()
    assert int(batch["transformer_lengths"][0]) <= 128


def test_what_to_train_has_to_be_said(models, data):
    settings = classifier(data, models["encoder"])
    del settings["init"]
    experiment = load_experiment(settings)
    with pytest.raises(InputError, match=r"model\.tokenizer is missing: name a pre-trained model as init\.from"):
        experiment.task_class.prepare(experiment)
    settings = classifier(data, models["encoder"], train={"max_length": 600})
    with refuses("train.max_length = 600, and the encoder reads 128 pieces at most"):
        experiment = load_experiment(settings)
        experiment.task_class.prepare(experiment)
    with pytest.raises(InputError, match="nowhere"):
        load_experiment(classifier(data, data / "nowhere"))


def test_a_tuned_classifier_is_exported_for_transformers(tuned, tmp_path):
    """transformers gives the classes of our run their probabilities from the exported folder."""
    import transformers

    from spago_jax.cli.main import run as command

    assert command(["export", str(tuned), str(tmp_path / "out"), "--format", "huggingface"]) == 0
    theirs = transformers.pipeline("text-classification", model=str(tmp_path / "out"))
    texts = [text for text, _ in TEXTS[:4]]
    for answer, found in zip(sj.load_task("text-classification", tuned)(texts), theirs(texts, top_k=None), strict=True):
        assert {one["label"]: one["score"] for one in found} == pytest.approx(
            {one.label: one.score for one in answer.ranking}, abs=1e-5
        )


def test_an_exported_regression_gives_the_number_itself(models, data):
    """A run predicts deviations from the mean of its labels; a folder of transformers has no place for them."""
    from spago_jax.tasks.pretrained.trained import trained_encoder

    settings = classifier(
        data, models["encoder"], data={"train": f"{data}/pairs.csv", "pair_field": "other"},
        model={"problem": "regression"},
    )  # fmt: skip
    settings["data"].pop("dev")
    experiment = load_experiment(settings)
    task = experiment.task_class.prepare(experiment)
    model = jax.jit(task.objective.init)(jax.random.key(0))
    batch = task.processor.batch(task.parts["train"], np.arange(4), 16, targets=True)

    @jax.jit
    def both(model, plain):
        value = task.objective.measure(model, batch, task.objective.predict(model, batch)[0])["value"]
        return value, task.objective.logits(plain, batch)[:, 0]

    assert task.objective.scale != (0.0, 1.0)
    np.testing.assert_allclose(*both(model, trained_encoder(task, model).model), atol=1e-5)


def test_a_model_that_is_no_encoder_is_not_exported_for_transformers(data, tmp_path):
    from spago_jax.tasks.pretrained.trained import trained_encoder

    experiment = load_experiment(
        {
            "task": "text-classification", "name": "c", "model": {"embeddings": [{"kind": "words", "size": 4}]},
            "data": {"format": "labeled-text", "train": f"{data}/texts.csv"}, "optimizer": {"name": "adam"},
        }
    )  # fmt: skip
    task = experiment.task_class.prepare(experiment)
    with pytest.raises(InputError, match="text-classification: the model is no encoder with a head"):
        trained_encoder(task, None)
