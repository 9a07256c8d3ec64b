"""Weight tables, in both directions: prefixes, old names, ties, what is missing and what is left over."""

import jax
import numpy as np
import pytest
from encoder_oracle import PAIRS, make, random_config, saved_state

from spago_jax.core import flat
from spago_jax.errors import InputError, InputWarning
from spago_jax.models.encoder import (
    EncoderConfig,
    EncoderModel,
    config_from_huggingface,
    named_classifiers,
    weight_table,
)
from spago_jax.models.encoder.plans import PLANS
from spago_jax.models.weight_table import Weight, WeightTable, read_weights, write_weights

TINY = EncoderConfig(vocabulary=9, hidden=4, layers=2, heads=2, intermediate=6, positions=5)


def file_of(head: str = "masked-words", config: EncoderConfig = TINY, **how) -> tuple[WeightTable, dict, dict]:
    """A table, our arrays with a number of its own in every place, and the file written of them."""
    arrays = flat(jax.eval_shape(lambda: EncoderModel.init(jax.random.key(0), config, head=head, **how)))
    rng = np.random.default_rng(0)
    arrays = {path: rng.normal(size=array.shape).astype(np.float32) for path, array in arrays.items()}
    table = weight_table(config, head, classifiers=tuple(how["classifiers"]) if how else None)
    return table, arrays, dict(write_weights(table, arrays))


def read(table: WeightTable, file: dict):
    return read_weights(table, file, file.__getitem__)


@pytest.mark.parametrize(("architecture", "head"), [(a, h) for a, plans in PLANS.items() for h in plans])
def test_a_table_has_every_path_of_the_model_in_its_order(architecture, head):
    for seed in (0, 3, 5):
        keys = random_config(architecture, head, seed)
        config = config_from_huggingface({"model_type": architecture, **keys}).encoder
        model = jax.eval_shape(lambda config=config: EncoderModel.init(jax.random.key(0), config, head=head))
        assert [weight.path for weight in weight_table(config, head)] == list(flat(model))


@pytest.mark.parametrize("head", ["masked-words", "sequence-classification", "pretraining", "states"])
@pytest.mark.parametrize("how", ["as written", "without the prefix", "with it", "old norms"])
def test_a_file_reads_back_whatever_its_prefix_and_the_names_of_its_norms(head, how):
    table, arrays, file = file_of(head)
    if how == "without the prefix":
        file = {name.removeprefix("bert."): value for name, value in file.items()}
    elif how == "with it":
        base = ("embeddings.", "encoder.", "pooler.")
        file = {f"bert.{name}" if name.startswith(base) else name: value for name, value in file.items()}
    elif how == "old norms":
        file = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in file.items()
        }
        assert any(name.endswith("gamma") for name in file)
    found = read(table, file)
    assert (found.missing, found.surplus, found.untied) == ((), (), ())
    assert set(found.arrays) == set(arrays)
    for path, array in arrays.items():
        assert found.arrays[path].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("absent", "present"),
    [
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
        ("cls.predictions.bias", "cls.predictions.decoder.bias"),
    ],
)
def test_any_member_of_a_tie_fills_it(absent, present):
    table, arrays, file = file_of()
    file[present] = file.pop(absent)
    found = read(table, file)
    assert (found.missing, found.surplus) == ((), ())
    assert all(found.arrays[path].tobytes() == array.tobytes() for path, array in arrays.items())


def test_equal_members_of_a_tie_are_one_array():
    table, _, file = file_of()
    file["cls.predictions.decoder.weight"] = file["bert.embeddings.word_embeddings.weight"].copy()
    found = read(table, file)
    assert "head.decoder" not in found.arrays
    assert found.untied == ()


def test_members_that_differ_are_kept_apart_with_a_warning():
    table, _, file = file_of()
    file["cls.predictions.decoder.weight"] = other = file["bert.embeddings.word_embeddings.weight"] + 1
    with pytest.warns(InputWarning, match="word_embeddings.weight' and 'cls.predictions.decoder.weight' are tied"):
        found = read(table, file)
    assert found.untied == ("head.decoder",)
    model = EncoderModel.from_arrays(TINY, "masked-words", found.arrays)
    assert not model.config.tied
    np.testing.assert_array_equal(model.head.decoder, other)
    written = dict(write_weights(weight_table(model.config, "masked-words"), flat(model)))
    np.testing.assert_array_equal(written["cls.predictions.decoder.weight"], other)


def test_of_two_biases_that_differ_the_one_that_is_computed_with_counts():
    table, _, file = file_of()
    file["cls.predictions.decoder.bias"] = file["cls.predictions.bias"] + 1
    with pytest.warns(InputWarning, match="'cls.predictions.decoder.bias' counts"):
        found = read(table, file)
    np.testing.assert_array_equal(found.arrays["head.bias"], file["cls.predictions.decoder.bias"])


def test_what_is_missing_and_what_is_left_over_is_listed():
    table, _, file = file_of("sequence-classification")
    del file["bert.encoder.layer.1.output.dense.weight"]
    del file["classifier.bias"]
    file["bert.encoder.layer.2.output.dense.weight"] = np.zeros(1)
    file["bert.embeddings.position_ids"] = np.zeros(1)
    file["cls.predictions.bias"] = np.zeros(1)
    found = read(table, file)
    assert found.missing == ("bert.encoder.layer.1.output.dense.weight", "classifier.bias")
    assert found.missing_paths == ("encoder.layers.down.weight", "head.output.bias")
    assert found.surplus == ("bert.encoder.layer.2.output.dense.weight",)


def test_layers_of_different_shapes_are_refused():
    table, _, file = file_of()
    file["bert.encoder.layer.1.output.dense.weight"] = np.zeros((3, 3))
    with pytest.raises(
        InputError, match=r"m.bin: tensor 'bert.encoder.layer.1.output.dense.weight' has shape \(3, 3\)"
    ):
        read_weights(table, file, file.__getitem__, path="m.bin")


def test_a_path_that_is_missing_is_not_written():
    table = WeightTable((Weight("a", "b"),))
    with pytest.raises(InputError, match="array 'a' is missing: it is written as 'b'"):
        list(write_weights(table, {}))


def test_named_classifiers_of_another_pre_training_are_read():
    classifiers = {"chain": 2, "species": 6}
    table, arrays, file = file_of("pretraining", classifiers=classifiers)
    assert named_classifiers(file) == ("chain", "species")
    assert file["cls.species.weight"].shape == (6, 4)
    found = read(table, file)
    assert found.surplus == ()
    model = EncoderModel.from_arrays(TINY, "pretraining", found.arrays)
    assert set(flat(model)) == set(arrays)


def test_tensors_are_read_one_after_the_other():
    table, _, file = file_of()
    asked = []
    read_weights(table, file, lambda name: asked.append(name) or file[name])
    assert len(asked) == len(set(asked)) == len(file)


@pytest.mark.oracle
@pytest.mark.parametrize(("architecture", "head"), PAIRS)
def test_a_state_of_transformers_comes_back_byte_for_byte(architecture, head):
    for seed in (0, 2, 5):
        pair = make(architecture, head, seed, double=False)
        state = {name: value.numpy() for name, value in saved_state(pair.theirs).items()}
        written = dict(write_weights(pair.table, flat(pair.ours)))
        never_read = (
            {"cls.predictions.bias", "lm_head.bias", "predictions.bias"} if not pair.ours.config.tied else set()
        )
        assert set(state) - never_read == set(written)
        assert all(np.asarray(written[name]).tobytes() == state[name].tobytes() for name in written)
