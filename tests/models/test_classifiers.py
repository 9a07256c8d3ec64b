import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import Rng
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.embeddings.words import WordEmbedding
from spago_jax.errors import InputError
from spago_jax.models.encoders import BiRNNEncoder, init_encoder
from spago_jax.models.image_mlp import MLPClassifier, shift_images
from spago_jax.models.text_classifier import ConvolutionalEncoder, TextClassifier, mean_over_time
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.text.ngrams import hashed_ngrams


def test_the_mlp_equals_its_equation_in_float64():
    model = MLPClassifier.init(jax.random.key(0), 12, 3, hidden=(7,), activation="tanh")
    model = model.replace(mean=jnp.float32(30.0), std=jnp.float32(5.0))
    images = np.random.default_rng(0).integers(0, 255, (4, 3, 4)).astype(np.uint8)
    x = (images.reshape(4, 12).astype(np.float64) - 30) / 5
    layer, output = model.hidden[0], model.output
    hidden = np.tanh(x @ np.asarray(layer.weight, np.float64).T + np.asarray(layer.bias))
    wanted = hidden @ np.asarray(output.weight, np.float64).T + np.asarray(output.bias)
    np.testing.assert_allclose(model(images), wanted, rtol=1e-4, atol=1e-5)


def test_an_unknown_activation():
    with pytest.raises(InputError, match="did you mean"):
        MLPClassifier.init(jax.random.key(0), 4, 2, activation="rellu")


def test_shifted_images_are_the_images_moved():
    image = np.zeros((1, 5, 5), np.uint8)
    image[0, 2, 2] = 9
    seen = set()
    for seed in range(60):
        moved = np.asarray(shift_images(jnp.asarray(image), 1, jax.random.key(seed)))[0]
        assert moved.sum() == 9
        seen.add(tuple(np.argwhere(moved)[0]))
    assert seen == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}


def batch(rows: list[list[int]], width: int) -> dict:
    lengths = np.array([len(row) for row in rows], np.int32)
    words = np.zeros((len(rows), width), np.int32)
    for at, row in enumerate(rows):
        words[at, : len(row)] = row
    return {
        "words": words,
        "lengths": lengths,
        "ngrams": words + 1,
        "ngram_lengths": lengths,
    }


@pytest.mark.parametrize("encoder", ["mean", "cnn", "bilstm"])
def test_text_classifier_padding_changes_nothing(encoder):
    keys = jax.random.split(jax.random.key(0), 4)
    convolutions = ConvolutionalEncoder.init(keys[1], 5, 6, (1, 3)) if encoder == "cnn" else None
    rnn = init_encoder(keys[1], BiRNNEncoder(kind="birnn", hidden=6), 5)[0] if encoder == "bilstm" else None
    features = {"mean": 5, "cnn": 12, "bilstm": 24}[encoder]
    model = TextClassifier(
        embeddings=StackedEmbeddings((WordEmbedding.init(keys[0], 20, 5),)),
        convolutions=convolutions,
        encoder=rnn,
        ngrams=Embedding.init(keys[2], 51, 4, padding=0),
        output=Linear.init(keys[3], features + 4, 3),
        dropout=0.5,
    )
    apply = jax.jit(lambda model, batch: model(batch))
    rows = [[2, 3, 4, 5, 6], [7], [8, 9]]
    together = apply(model, batch(rows, 9))
    for at, row in enumerate(rows):
        alone = apply(model, batch([row], max(len(row), 3)))
        np.testing.assert_allclose(alone[0], together[at], rtol=2e-5, atol=2e-6)
    assert bool(jnp.isfinite(apply(model, batch([[]], 3))).all())
    noisy = model(batch(rows, 9), rng=Rng.seed(0))
    assert not np.allclose(noisy, together)


def test_mean_over_time_passes_over_padding():
    xs = jnp.array([[[1.0], [3.0], [jnp.nan]], [[jnp.nan]] * 3])
    np.testing.assert_array_equal(mean_over_time(xs, jnp.array([2, 0])), [[2.0], [0.0]])


def test_ngrams_are_those_of_fasttext():
    # <ab>: the 3- to 5-grams of "<ab>" are "<ab", "ab>", "<ab>"
    assert len(hashed_ngrams(["ab"], 10**6, order=1, characters=True)) == 1 + 3
    assert hashed_ngrams(["a", "b"], 10**6, order=2)[:2] == [
        *hashed_ngrams(["a"], 10**6, order=1), *hashed_ngrams(["b"], 10**6, order=1),
    ]  # fmt: skip
    assert all(1 <= row <= 7 for row in hashed_ngrams(list("abcdefgh"), 7, order=3))
    assert hashed_ngrams([], 7) == []
