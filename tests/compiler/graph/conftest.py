import jax
import pytest

from spago_jax.compiler.graph import Graph, graph
from spago_jax.embeddings.characters import CharacterEmbedding
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.embeddings.words import WordEmbedding
from spago_jax.models.encoders import BiRNNEncoder, init_encoder
from spago_jax.models.tagger import Tagger
from spago_jax.nn import CRF, Linear
from spago_jax.nn.characters import CharacterCNN


def small_tagger():
    """A small tagger and its batch, without arrays."""

    def init(key):
        keys = jax.random.split(key, 5)
        characters = CharacterCNN.init(keys[1], 60, embedding_features=8, filters=16, widths=(3,))
        parts = (WordEmbedding.init(keys[0], 500, 32), CharacterEmbedding(characters))
        encoder, features = init_encoder(keys[2], BiRNNEncoder(kind="birnn", hidden=32), 48, dropout=0.5)
        return Tagger(
            embeddings=StackedEmbeddings(parts),
            encoder=encoder,
            scorer=Linear.init(keys[3], features, 9),
            crf=CRF.init(keys[4], 9),
            dropout=0.5,
            word_dropout=0.05,
        )

    batch = {
        "words": ("int32", 8, 24),
        "characters": ("uint16", 8, 24, 12),
        "characters_lengths": ("int32", 8, 24),
        "shapes": ("int32", 8, 24),  # not used
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
