"""Three real models as losses of their arrays, for tests that compare graphs with ``jax.grad``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import Module, param
from spago_jax.data.encoded import EncodedSentences
from spago_jax.data.examples import Tokens
from spago_jax.embeddings.stacked import fit
from spago_jax.models.character_lm import CharacterLM
from spago_jax.tasks.token_classification.config import TaggerConfig
from spago_jax.tasks.token_classification.objective import TaggingObjective
from spago_jax.tasks.token_classification.processor import TokenProcessor
from spago_jax.tasks.token_classification.tag_set import TagSet
from spago_jax.text.tokenizers.words import WordTokenizer


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
    tags = TagSet(("O", "B-PER", "I-PER", "E-PER", "S-PER"), "BIOES", "IOB2")
    sentences = [Tokens(["Ann", "visits", "Bob", "today"]), Tokens(["Bob"])]
    embeddings = [
        {"kind": "words", "size": 3},
        {"kind": "characters", "encoder": "cnn", "size": 2, "filters": 3, "max_length": 5},
        {"kind": "shapes", "size": 2},
    ]
    config = TaggerConfig(embeddings=embeddings, encoder={"kind": "birnn", "hidden": 4})
    indexers = fit(config.embeddings, EncodedSentences.of(sentences).lexicon)
    processor = TokenProcessor(WordTokenizer(), indexers, tags, 128)
    model = TaggingObjective(config, processor).init(jax.random.key(0))
    batch = processor.batch(processor.encode(sentences), np.arange(2), 4)
    gold = np.random.default_rng(0).integers(0, 2, (2, 4))

    def loss(model, batch, gold):
        return -model.log_likelihood(model(batch), gold, batch["lengths"]).mean()

    return loss, (model, batch, gold)


def character_lm():
    model = CharacterLM.init(jax.random.key(0), 7, embedding=3, hidden=4)
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
