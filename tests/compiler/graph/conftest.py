import jax
import pytest
from spago_jax.models.sequence_labeler.config import SequenceLabelerConfig
from spago_jax.models.sequence_labeler.model import SequenceLabeler

from spago_jax.compiler.graph import Graph, graph


def small_tagger():
    """A small sequence labeler and its batch, without arrays."""
    config = SequenceLabelerConfig.model_validate(
        {
            "kind": "sequence_labeler",
            "words": {"size": 32},
            "characters": {"encoder": "cnn", "size": 8, "filters": 16, "max_length": 12},
            "hidden": 32,
        }
    )

    def init(key):
        return SequenceLabeler.init(key, config, words=500, alphabet=60, shapes=20, tags=9)

    batch = {
        "words": ("int32", 8, 24),
        "characters": ("uint16", 8, 24, 12),
        "character_lengths": ("int32", 8, 24),
        "shapes": ("int32", 8, 24),
        "lengths": ("int32", 8),
    }
    structs = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (dtype, *shape) in batch.items()}
    return jax.eval_shape(init, jax.random.key(0)), structs


@pytest.fixture(scope="session")
def tagger() -> Graph:
    """The tags of a batch."""

    def tag(model, batch):
        return model.decode(model(batch), batch["lengths"])

    return graph(tag, *small_tagger(), name="tagger")


@pytest.fixture(scope="session")
def tagger_loss() -> Graph:
    """The loss of a batch."""

    def loss(model, batch, tags):
        return -model.log_likelihood(model(batch), tags, batch["lengths"]).sum()

    return graph(loss, *small_tagger(), "i32[8, 24]", name="loss")
