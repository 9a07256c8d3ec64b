"""Encoder-decoders that are trained here, against transformers and PyTorch."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from pair_models import SENTENCES, write_pair

from spago_jax.core import flat
from spago_jax.errors import InputError
from spago_jax.models.pretrained import weight_table
from spago_jax.models.weight_table import write_weights
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.start import prepare, with_weights

KINDS = ("bart", "marian", "mbart", "pegasus", "t5")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sentences with their words in another order."""
    path = tmp_path_factory.mktemp("data") / "pairs.tsv"
    rows = [(text, " ".join(reversed(text.split()[:5]))) for text in SENTENCES]
    path.write_text("source\ttarget\n" + "".join(f"{source}\t{target}\n" for source, target in rows))
    return str(path)


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / request.param
    return (
        write_pair(folder, request.param, dropout=0.0)
        if request.param != "t5"
        else write_pair(folder, "t5", dropout_rate=0.0)
    )


def settings(data, source=None, **changes):
    found = {
        "task": "text2text-generation",
        "name": "pairs",
        "data": {"format": "parallel", "train": data, "dev": data},
        "model": {},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "train": {
            "epochs": 2, "batch_size": 4, "eval_batch_size": 4, "steps_per_call": 2, "buckets": 1, "max_length": 16,
        },
    }  # fmt: skip
    if source is not None:
        found["init"] = {"from": str(source)}
    for key, value in changes.items():
        found[key] = {**found.get(key, {}), **value}
    return found


def prepared_with(settings):
    experiment = load_experiment(settings)
    task, arrays = prepare(experiment)
    return task, with_weights(task.objective.init(jax.random.key(0)), arrays, experiment.init)


@pytest.mark.oracle
def test_loss_and_gradients_are_those_of_transformers(pair, data):
    """With label smoothing or without, with the logits of the whole vocabulary or of a part of it in memory.

    A ragged batch with an empty row, which counts for nothing; labels beyond a target's end are -100 there.
    """
    import torch
    import transformers

    smoothing, chunk = {"marian": (0.0, None), "t5": (0.1, 7), "pegasus": (0.1, 20)}.get(pair.name, (0.1, None))
    changes = {"label_smoothing": smoothing, "vocabulary_chunk": chunk}
    task, model = prepared_with(settings(data, pair, model=changes))
    batch = task.processor.batch(task.parts["train"], np.array([0, 1, 2, 3, -1]), 16, targets=True, target_length=8)
    assert len(set(batch["label_lengths"].tolist())) > 2

    def mean(model):
        loss = task.objective.loss(model, batch, (), None)
        return loss.total / loss.weight, loss.weight

    (ours, weight), gradients = jax.jit(jax.value_and_grad(mean, has_aux=True))(model)
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(pair).train()
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    real = np.arange(8) < batch["label_lengths"][:4, None]
    labels = torch.tensor(np.where(real, batch["labels"][:4], -100)).long()
    found = theirs(
        input_ids=torch.tensor(batch["ids"][:4]).long(),
        attention_mask=torch.tensor(np.arange(16) < batch["lengths"][:4, None]),
        labels=labels,
    )
    expected = torch.nn.functional.cross_entropy(
        found.logits.reshape(-1, found.logits.shape[-1]), labels.reshape(-1), label_smoothing=smoothing
    )
    if not smoothing:
        assert expected.item() == pytest.approx(found.loss.item(), rel=1e-6)
    assert weight == real.sum()
    assert float(ours) == pytest.approx(expected.item(), rel=1e-5)
    expected.backward()
    named = dict(theirs.named_parameters())
    for name, gradient in write_weights(weight_table(model.config, "words"), flat(gradients)):
        # The bias of the vocabulary, and sines, are not trained.
        if name not in named or (pair.name == "pegasus" and "embed_positions" in name):
            continue
        wanted = named[name].grad.numpy()
        np.testing.assert_allclose(gradient, wanted, rtol=2e-4, atol=2e-5 * float(abs(wanted).max() + 1), err_msg=name)


def train(settings, folder, **how):
    return fit(load_experiment(settings), folder, command="test", console=TrainingConsole(quiet=True), **how)


NOTHING = {
    "model": {
        "config": {
            "model_type": "marian", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24,
            "max_position_embeddings": 24,
        },
        "tokenizer": {"kind": "words", "size": 40, "min_count": 1},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run from nothing, whose tokenizer is learned from the training texts."""
    folder = tmp_path_factory.mktemp("runs") / "pairs"
    return folder, train(settings(data, **NOTHING, train={"write": {"scores": ["exact_match"]}}), folder)


def test_dev_scores_are_those_of_the_texts_that_users_get(run, data):
    import spago_jax as sj

    folder, result = run
    task = sj.load_task("text2text-generation", folder)
    rows = [line.split("\t") for line in Path(data).read_text().splitlines()[1:]]
    answers = task([source for source, _ in rows])
    same = [answer.text == target for answer, (_, target) in zip(answers, rows, strict=True)]
    assert result.scores["dev"].values["exact_match"] == np.mean(same)
    samples = result.scores["dev"].details["samples"]
    assert [sample["predicted"] for sample in samples] == [
        a.text for a, right in zip(answers, same, strict=True) if not right
    ]


def test_an_exported_run_answers_alike_here_and_in_transformers(run, tmp_path):
    """The folder has the tokenizer, the options and the special tokens that transformers needs to write."""
    transformers = pytest.importorskip("transformers")
    import torch

    import spago_jax as sj
    from spago_jax.cli.main import run as command

    folder = tmp_path / "exported"
    assert command(["export", str(run[0]), str(folder), "--format", "huggingface"]) == 0
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["MarianMTModel"]
    own = sj.load_task("text2text-generation", run[0])(SENTENCES[:3])
    assert [answer.text for answer in sj.load_task("text2text-generation", folder)(SENTENCES[:3])] == [
        answer.text for answer in own
    ]
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for answer in own:
        given = tokenizer(answer.source, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            found = model.generate(**given)
        assert tokenizer.decode(found[0], skip_special_tokens=True) == answer.text


def test_formats_that_hold_no_loop_are_refused(run, tmp_path, capsys):
    from spago_jax.cli.main import run as command

    assert command(["export", str(run[0]), str(tmp_path / "program")]) == 2
    assert "--format huggingface exports the model" in capsys.readouterr().err
    assert not (tmp_path / "program").exists()


def test_accumulated_batches_give_the_gradient_of_all_their_tokens(data):
    """Ragged micro-batches: the mean over tokens of all, and not the mean of their means."""
    task, _ = prepared_with_nothing(data)
    model = task.objective.init(jax.random.key(1))
    rows = task.parts["train"]

    def gradient(indices):
        batch = task.processor.batch(rows, np.array(indices), 16, targets=True, target_length=8)

        def total(model):
            loss = task.objective.loss(model, batch, (), None)
            return loss.total, loss.weight

        return jax.value_and_grad(total, has_aux=True)(model)

    (one, first), a = gradient([0, 1, -1, -1])
    (two, second), b = gradient([2, 3, 4, 5])
    (whole, weight), c = gradient([0, 1, 2, 3, 4, 5])
    assert first + second == weight
    assert float(one + two) == pytest.approx(float(whole), rel=1e-5)
    for x, y, z in zip(jax.tree.leaves(a), jax.tree.leaves(b), jax.tree.leaves(c), strict=True):
        np.testing.assert_allclose(x + y, z, rtol=2e-4, atol=1e-5)


def prepared_with_nothing(data):
    task, _ = prepare(load_experiment(settings(data, **NOTHING)))
    return task, None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"tokenizer": None}}, r"model\.tokenizer is missing"),
        ({"model": {"config": None}}, r"model\.config is missing"),
        ({"model": {"source_tokenizer": "x"}}, r"model\.tokenizer is for sources and targets alike"),
        ({"train": {"max_length": 99}}, r"train\.max_length = 99, and the model has positions for 24 tokens"),
        ({"train": {"batch_tokens": 8}}, r"train\.batch_tokens: 8 tokens per batch"),
        ({"train": {"max_target_length": 3}}, r"pairs are too long, the first of line 2 with"),
        ({"model": {"config": {"model_type": "bert"}}}, "an encoder, which writes no texts"),
    ],
)
def test_mistakes_are_found_before_training(data, changes, message):
    found = settings(data, **NOTHING)
    for key, value in changes.items():
        found[key] = {**found[key], **value}

    def ready():
        task, _ = prepare(load_experiment(found))
        task.batches("train", training=True)

    with pytest.raises(InputError, match=message):
        ready()


def test_batches_have_so_many_tokens_and_both_lengths(data):
    """The arrays of a block are padded to the lengths of its bucket, one for each side."""
    found = settings(data, **NOTHING, train={"batch_tokens": 32, "buckets": 2})
    task, _ = prepare(load_experiment(found))
    blocks = task.batches("train", training=True).epoch(0)
    seen = []
    for block in blocks:
        arrays = task.arrays("train", block)
        assert arrays["ids"].shape[-1] * arrays["ids"].shape[-2] <= 32
        assert arrays["labels"].shape[-1] * arrays["labels"].shape[-2] <= 32
        assert arrays["targets"].shape == arrays["labels"].shape
        seen += block.indices[block.indices >= 0].tolist()
    assert sorted(seen) == list(range(len(SENTENCES)))


@pytest.mark.slow
def test_training_goes_on_from_a_folder_and_from_a_run(data, run, tmp_path):
    """Both begin with the loss that they have as they are."""
    pytest.importorskip("transformers")
    folder = write_pair(tmp_path / "marian", "marian", dropout=0.0)
    for source in (folder, run[0]):
        result = train(settings(data, source, train={"epochs": 1}), tmp_path / f"on-{source.name}")
        assert result.scores["dev"].values["loss"] > 0


@pytest.mark.slow
def test_two_vocabularies_are_trained_exported_and_read_again(data, tmp_path):
    """Marian with a table for each side: words are read, letters are written."""
    import spago_jax as sj
    from spago_jax.cli.main import run as command

    sides = {
        "tokenizer": None, "source_tokenizer": {"kind": "words", "size": 40, "min_count": 1},
        "target_tokenizer": {"kind": "characters", "size": 40, "min_count": 1},
    }  # fmt: skip
    found = settings(data, **NOTHING, train={"max_length": 24})
    found["model"] = {**found["model"], **sides}
    train(found, tmp_path / "run")
    own = sj.load_task("text2text-generation", tmp_path / "run")(SENTENCES[:2], max_length=8)
    assert command(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--format", "huggingface"]) == 0
    other = sj.load_task("text2text-generation", tmp_path / "out")(SENTENCES[:2], max_length=8)
    assert [answer.texts for answer in own] == [answer.texts for answer in other]
