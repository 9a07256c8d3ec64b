"""ELECTRA that is trained here: both losses against transformers on the same drawn pieces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.core import flat
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.pretrained.trained import trained_encoder
from spago_jax.tasks.replaced_token_detection.model import generator_config
from spago_jax.text.tokenizers.train import train_tokenizer
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

pytestmark = pytest.mark.oracle
LINES = [f"{who} {what} the {thing}." for who in ("ann", "a queen") for what in ("sees", "has") for thing in "abcdefgh"]
SIZES = {
    "model_type": "electra", "hidden_size": 16, "embedding_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 32, "initializer_range": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("electra")
    (folder / "text.txt").write_text("\n".join(LINES) + "\n")
    (folder / "tokenizer").mkdir()
    train_tokenizer(iter(LINES), kind="wordpiece", size=60, lowercase=True).save(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module")
def experiment(folder):
    return load_experiment(
        {
            "task": "replaced-token-detection",
            "name": "electra",
            "data": {"format": "text", "train": f"{folder}/text.txt", "dev_fraction": 0.25},
            "model": {
                "tokenizer": f"{folder}/tokenizer", "config": SIZES, "dropout": 0.0, "generator_size": 0.5,
            },
            "optimizer": {"name": "adam", "learning_rate": 0.003},
            "train": {
                "epochs": 2, "batch_size": 2, "eval_batch_size": 2, "steps_per_call": 2, "buckets": 1, "max_length": 24,
            },
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(experiment, folder):
    return folder / "run", fit(experiment, folder / "run", command="test", console=TrainingConsole(quiet=True))


def in_transformers(class_name, pretrained, folder):
    """A model of transformers with these weights."""
    import transformers

    return getattr(transformers, class_name).from_pretrained(pretrained.save(folder)).eval()


def test_both_losses_are_those_of_transformers(experiment, tmp_path):
    """The generator's with labels at the masks, the discriminator's over the real pieces of the same drawn text."""
    import dataclasses

    import torch

    unpacked = experiment.model_copy(update={"train": experiment.train.model_copy(update={"packed": False})})
    task = experiment.task_class.prepare(unpacked)
    objective = task.objective
    model = jax.jit(objective.init)(jax.random.key(1))
    block = task.batches("train", training=True).epoch(0)[0]
    batch = {name: array[0] for name, array in task.arrays("train", block).items()}

    @jax.jit
    def both(model, batch):
        found = objective.loss(model, batch, (), None)
        return objective._both(model, batch, jax.random.key(experiment.seed), None), found.total, found.weight

    sums, total, weight = both(model, batch)
    mask = np.arange(batch["ids"].shape[1]) < batch["lengths"][:, None]
    whole = trained_encoder(task, model)
    small = model.generating()
    generator = dataclasses.replace(
        whole, model=small, head="masked-words", config=whole.config.with_network(small.config)
    )
    labels = np.full(batch["ids"].shape, -100)
    original = np.array(batch["ids"])
    for row in range(2):
        real = batch["weights"][row] > 0
        labels[row, batch["at"][row][real]] = original[row, batch["at"][row][real]] = batch["labels"][row][real]
    with torch.no_grad():
        inputs = {"attention_mask": torch.tensor(mask).long()}
        theirs = in_transformers("ElectraForMaskedLM", generator, tmp_path / "g")
        first = theirs(torch.tensor(batch["ids"]), labels=torch.tensor(labels), **inputs).loss.item()
        drawn = np.array(sums["ids"])
        theirs = in_transformers("ElectraForPreTraining", whole, tmp_path / "d")
        fake = torch.tensor((drawn != original).astype(np.float32))
        second = theirs(torch.tensor(drawn), labels=fake, **inputs).loss.item()
    assert float(sums["nats"].sum() / sums["count"].sum()) == pytest.approx(first, rel=1e-5)
    assert float(sums["bits"].sum() / sums["pieces"].sum()) == pytest.approx(second, rel=1e-5)
    assert float(total / weight) == pytest.approx(first + 50 * second, rel=1e-5)
    assert (drawn != original).any()
    assert ((drawn == original) | (labels >= 0)).all()  # nothing else is replaced
    assert float(sums["replaced"].sum()) == (drawn != original).sum()


@pytest.mark.slow
def test_the_generator_gets_no_gradient_through_what_it_draws(experiment):
    """With the discriminator's loss alone, only what both share is moved."""
    task = experiment.task_class.prepare(experiment)
    model = jax.jit(task.objective.init)(jax.random.key(1))
    block = task.batches("train", training=True).epoch(0)[0]
    batch = {name: array[0] for name, array in task.arrays("train", block).items()}

    @jax.jit
    @jax.grad
    def gradient(model):
        return task.objective._both(model, batch, jax.random.key(0), None)["bits"].sum()

    moved = {path for path, array in flat(gradient(model)).items() if jnp.any(array)}
    assert not any(path.startswith("generator.") for path in moved)
    assert {"encoder.embeddings.words", "encoder.layers.up.weight", "head.output.weight"} <= moved


def test_a_run_judges_words_and_its_discriminator_is_kept(run, tmp_path):
    task = sj.load_task("replaced-token-detection", run[0])
    answer = task("ann sees the b.")
    assert [word.text for word in answer] == ["ann", "sees", "the", "b", "."]
    assert isinstance(task.pretrained, Pretrained)
    folder = task.pretrained.save(tmp_path / "discriminator")
    again = sj.load_task("replaced-token-detection", folder, max_length=24)("ann sees the b.")
    np.testing.assert_allclose([word.score for word in again], [word.score for word in answer], atol=1e-5)
    assert not any("generator" in path for path in flat(sj.load_task("text-encoding", folder).pretrained.model))
    values = run[1].scores["dev"].values
    assert values["loss"] == pytest.approx(values["generator_loss"] + 50 * values["discriminator_loss"])
    assert 0 <= values["recall"] <= 1


def test_only_electra_has_a_generator(experiment):
    config = experiment.task_class.make_processor(experiment).config
    from spago_jax.models.encoder import EncoderConfig, config_from_huggingface

    small = generator_config(config_from_huggingface(config).encoder, 0.5)
    assert (small.hidden, small.heads, small.intermediate, small.word_size) == (8, 1, 12, 12)
    with pytest.raises(InputError, match="bert is not trained with a generator; expected model_type electra"):
        generator_config(EncoderConfig(), 0.25)
