"""Layer-wise decay of the learning rate, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import flat
from spago_jax.errors import InputError
from spago_jax.models.encoder import EncoderConfig, EncoderModel
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.optim import OptimizerConfig, build_optimizer

SIZES = {"vocabulary": 9, "hidden": 4, "layers": 3, "heads": 2, "intermediate": 8}


def steps(model, **config):
    """The size of the first update of plain gradient descent on gradients of one: the learning rate of each array."""
    section = OptimizerConfig.model_validate({"name": "sgd", "learning_rate": 1.0, **config})
    optimizer = build_optimizer(section, model, total_steps=10, steps_per_epoch=5)
    ones = jax.tree.map(jnp.ones_like, model)
    updates, _ = jax.jit(optimizer.update)(ones, optimizer.init(model), model)
    return {path: -np.asarray(update) for path, update in flat(updates).items()}


@pytest.fixture(scope="module")
def model():
    config = EncoderConfig(**SIZES, positions=6)
    return jax.jit(lambda key: EncoderModel.init(key, config, head="sequence-classification"))(jax.random.key(0))


def test_lower_layers_of_a_stack_take_smaller_steps(model):
    """lr_k = lr decay^(L + 2 - depth) with L = 3: embeddings 0.5^5, layers 0.5^4, 0.5^3, 0.5^2, the head 1."""
    for path, rate in steps(model, layer_decay=0.5).items():
        if path.startswith("encoder.embeddings."):
            expected = np.full(rate.shape, 1 / 32)
        elif path.startswith("encoder.layers."):
            expected = np.broadcast_to(np.array([1 / 16, 1 / 8, 1 / 4]).reshape(3, *[1] * (rate.ndim - 1)), rate.shape)
        else:
            expected = np.ones(rate.shape)
        np.testing.assert_allclose(rate, expected, rtol=1e-6, err_msg=path)


def test_groups_and_the_schedule_multiply_the_rates(model):
    found = steps(
        model, layer_decay=0.5, schedule={"name": "linear", "warmup": 2},
        groups=[{"match": "head", "learning_rate": 4.0}, {"match": "*.up.*", "scale": 0.1}],
    )  # fmt: skip
    np.testing.assert_allclose(found["head.output.bias"], 2.0)  # the first of two steps of the warm-up
    np.testing.assert_allclose(found["encoder.layers.up.bias"][:, 0], [0.05 / 16, 0.05 / 8, 0.05 / 4], rtol=1e-6)


def test_an_array_per_layer_has_the_rate_of_its_layer(model):
    separate = model.replace(encoder=model.encoder.separate())
    found, stacked = steps(separate, layer_decay=0.8), steps(model, layer_decay=0.8)
    for row in range(3):
        np.testing.assert_allclose(
            found[f"encoder.layers.{row}.up.weight"], stacked["encoder.layers.up.weight"][row], rtol=1e-6
        )


def test_an_array_with_fewer_rows_belongs_to_the_last_layers():
    """ModernBERT has no norm before the attention of its first layer."""
    config = ModernBertConfig(**SIZES, padding=0)
    model = jax.jit(lambda key: EncoderModel.init(key, config, head="masked-words"))(jax.random.key(0))
    found = steps(model, layer_decay=0.5)
    np.testing.assert_allclose(found["encoder.layers.attention_norm.weight"][:, 0], [1 / 8, 1 / 4])
    np.testing.assert_allclose(found["encoder.layers.norm.weight"][:, 0], [1 / 16, 1 / 8, 1 / 4])


def test_a_model_without_layers_is_refused():
    with pytest.raises(InputError, match=r"optimizer.layer_decay = 0.9, but the model has no encoder"):
        steps({"weight": jnp.ones(2)}, layer_decay=0.9)
