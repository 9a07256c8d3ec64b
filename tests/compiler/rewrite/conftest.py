"""Three real models as losses of their arrays, for tests that compare graphs with ``jax.grad``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spago_jax.models.character_lm.config import CharacterLMConfig
from spago_jax.models.character_lm.model import CharacterLM
from spago_jax.models.sequence_labeler.config import SequenceLabelerConfig
from spago_jax.models.sequence_labeler.model import SequenceLabeler
from spago_jax.models.tokens.features import Features

from spago_jax.core import Module, param
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.text.tags import transition_mask


class Attention(Module):
    """One head of causal self-attention with a residual, and layer normalisation written out."""

    query: jax.Array = param()
    key: jax.Array = param()
    value: jax.Array = param()
    output: jax.Array = param()

    def __call__(self, x):
        mean = x.mean(-1, keepdims=True)
        normal = (x - mean) / jnp.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)
        q, k, v = normal @ self.query.T, normal @ self.key.T, normal @ self.value.T
        scores = q @ k.T / np.sqrt(q.shape[-1])
        scores = jnp.where(jnp.tril(jnp.ones(scores.shape, bool)), scores, -1e9)
        weights = jnp.exp(scores) / jnp.exp(scores).sum(-1, keepdims=True)  # by hand, for stabilize to find
        return x + (weights @ v) @ self.output.T


def tagger():
    tags = ("O", "B-PER", "I-PER", "E-PER", "S-PER")
    sentences = [["Ann", "visits", "Bob", "today"], ["Bob"]]
    builder = LexiconBuilder()
    values = builder.encode([token for tokens in sentences for token in tokens])
    config = SequenceLabelerConfig(
        kind="sequence_labeler", hidden=4, output="crf", shape_size=2, words={"size": 3},
        characters={"encoder": "cnn", "size": 2, "filters": 3, "max_length": 5},
    )  # fmt: skip
    lexicon = builder.build()
    features = Features.build(lexicon, config)
    allowed = transition_mask(tags, "BIOES")
    model = SequenceLabeler.init(jax.random.key(0), config, **features.sizes, tags=len(tags), allowed=allowed)
    ragged = RaggedArray.from_lengths(values, np.array([4, 1]))
    forms, lengths = ragged.gather(np.arange(2), 4, pad=-1)
    batch = features.tables(lexicon).batch(forms, lengths)
    gold = np.random.default_rng(0).integers(0, 2, (2, 4))

    def loss(model, batch, gold):
        return -model.log_likelihood(model(batch), gold, batch["lengths"]).mean()

    return loss, (model, batch, gold)


def character_lm():
    config = CharacterLMConfig(kind="character_lm", embedding=3, hidden=4)
    model = CharacterLM.init(jax.random.key(0), config, 7)
    x = np.random.default_rng(0).integers(0, 7, 9)

    def loss(model, x):
        logits, _ = model(x[:-1])
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), x[1:, None], -1).mean()

    return loss, (model, x)


def attention():
    keys = jax.random.split(jax.random.key(0), 5)
    model = Attention(*(jax.random.normal(key, (4, 4)) for key in keys[:4]))

    def loss(model, x):
        return (model(x) ** 2).mean()

    return loss, (model, jax.random.normal(keys[4], (5, 4)))


@pytest.fixture(scope="session", params=[tagger, character_lm, attention], ids=lambda make: make.__name__)
def model_loss(request):
    return request.param()
