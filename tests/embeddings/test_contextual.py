"""Contextual string embeddings. Oracle: the states of the language model character by character, in NumPy."""

import jax
import numpy as np
import pytest

from spago_jax.core import flat
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.contextual import ContextualEmbedding, ContextualStrings
from spago_jax.embeddings.contextual_index import LONGEST, ROOM, ContextualIndexer
from spago_jax.embeddings.language_model import CharacterReader, read_language_model, shape_of
from spago_jax.embeddings.stacked import frozen_paths, names_of
from spago_jax.errors import InputError
from spago_jax.models.character_lm import CharacterLM

ALPHABET = [*"abcdefg \n", "<unk>", "İ", "i", "\u0307"]


def lm(seed, **options):
    """The arrays of a language model."""
    sizes = {"embedding": 3, "hidden": 4} | options
    return {k: np.asarray(v) for k, v in flat(CharacterLM.init(jax.random.key(seed), len(ALPHABET), **sizes)).items()}


def indexer_of(weights, **options):
    models = {
        side: {"alphabet": ALPHABET, "unknown": None, "shape": shape_of(arrays)} for side, arrays in weights.items()
    }
    return ContextualIndexer("strings", models, **options)


def arrays_of(indexer, sentences, length):
    """The arrays of a batch, as a processor makes them."""
    builder = LexiconBuilder()
    ids = [builder.encode(sentence) for sentence in sentences]
    tables = indexer.tables(builder.build())
    forms = RaggedArray.from_lengths(np.concatenate(ids), [len(row) for row in ids])
    assert indexer.positions(tables, forms).max() <= length
    return indexer.arrays(tables, forms.gather(np.arange(len(ids)), length, pad=-1)[0], length)


def module_of(indexer, weights, **options):
    readers = {
        side: CharacterReader.init(jax.random.key(0), shape_of(arrays)).with_weights(arrays)
        for side, arrays in weights.items()
    }
    return ContextualEmbedding(**{"forward": None, "backward": None, **readers}, name="strings", **options)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def states(weights, text):
    """The state after each character of a text, one step at a time, float64."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    unknown = ALPHABET.index("<unk>")
    xs = [w["embedding.weight"][ALPHABET.index(c) if c in ALPHABET else unknown] for c in text]
    layer = 0
    while f"rnn.layers.{layer}.input_weight" in w:
        inner, outer, bias = (w[f"rnn.layers.{layer}.{n}"] for n in ("input_weight", "recurrent_weight", "bias"))
        size = outer.shape[1]
        h, c, ys = np.zeros(size), np.zeros(size), []
        for x in xs:
            if len(bias) == 4 * size:
                i, f, g, o = np.split(inner @ x + bias + outer @ h, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            else:  # PyTorch's GRU
                r, z, n = np.split(inner @ x + bias, 3)
                hr, hz, hn = np.split(outer @ h, 3)
                n = np.tanh(n + sigmoid(r + hr) * (hn + w[f"rnn.layers.{layer}.recurrent_bias"]))
                z = sigmoid(z + hz)
                h = z * h + (1 - z) * n
            ys.append(h)
        xs, layer = ys, layer + 1
    found = np.array(xs)
    if "projection.weight" in w:
        found = found @ w["projection.weight"].T + w["projection.bias"]
    return found


def by_hand(weights, sentence, *, start="\n", end=" ", after=True, lowercase=False):
    """[backward; forward] of each word, as Akbik et al. (2018) put it."""
    tokens = [token.lower() for token in sentence] if lowercase else sentence
    text, found, at = " ".join(tokens), [], 0
    forward = states(weights["forward"], start + text + end)
    backward = states(weights["backward"], start + text[::-1] + end)
    less = 0 if after else 1
    for token in tokens:
        behind = len(start) + at + len(token) - less
        before = len(start) + len(text) - at - less
        found.append(np.concatenate([backward[before], forward[behind]]))
        at += len(token) + 1
    return np.array(found)


SENTENCES = [["ab", "c", "Zbİ", "gg"], ["fa"], ["a", "bb", "a", "cc", "d"]]


@pytest.mark.parametrize(
    ("sizes", "reading"),
    [
        ({}, {}),
        ({"layers": 2, "projection": 3}, {"after": False}),
        ({"cell": "gru", "reset_after": True}, {"start": "g\n", "end": "e"}),
        ({}, {"lowercase": True}),
    ],
    ids=["lstm", "two-layers-projected", "gru-other-marks", "lower-case"],
)
def test_words_have_the_states_of_the_language_models(sizes, reading):
    weights = {"forward": lm(1, **sizes), "backward": lm(2, **sizes)}
    indexer = indexer_of(weights, **reading)
    batch = arrays_of(indexer, SENTENCES, 8)
    found = np.asarray(jax.jit(lambda module, batch: module(batch))(module_of(indexer, weights), batch))
    for row, sentence in enumerate(SENTENCES):
        np.testing.assert_allclose(found[row, : len(sentence)], by_hand(weights, sentence, **reading), atol=2e-6)
        assert not found[row, len(sentence) :].any()


def test_a_sentence_of_long_words_takes_more_positions_than_words():
    weights = {"forward": lm(1)}
    indexer = indexer_of(weights)
    batch = arrays_of(indexer, [["a" * 100, "b"]], 18)
    assert batch["strings_forward"].shape == (1, 18, ROOM)
    assert batch["strings_forward_at"][0, :3].tolist() == [101, 103, -1]


def test_of_a_sentence_beyond_all_room_the_longest_words_are_cut():
    weights = {"forward": lm(1), "backward": lm(2)}
    indexer = indexer_of(weights)
    sentence = ["ab", "c" * 7000, "d", "e" * 3000]
    batch = arrays_of(indexer, [sentence], LONGEST)
    at = batch["strings_forward_at"][0, :4]
    assert at[0] == 3
    assert at[3] < LONGEST * ROOM
    assert np.diff(at).min() > 1


def test_arrays_are_what_the_specs_say_and_are_saved_with_the_indexer(tmp_path):
    weights = {"forward": lm(1), "backward": lm(2)}
    indexer = indexer_of(weights, lowercase=True, after=False, start="a")
    indexer.save(tmp_path)
    again = ContextualIndexer.load(tmp_path, "strings")
    first, second = (arrays_of(each, SENTENCES, 8) for each in (indexer, again))
    assert first.keys() == again.specs().keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    (tmp_path / "strings.json").write_text('{"models": {"sideways": {}}}')
    with pytest.raises(InputError, match="sideways"):
        ContextualIndexer.load(tmp_path, "strings")


def test_bytes_are_read_as_characters_are():
    """A model of bytes has one id per byte, whatever the direction; a character's bytes keep their order."""
    shape = {"rows": 256, "embedding": 2, "cell": "lstm", "reset_after": False, "hidden": 2, "layers": 1,
             "projection": None}  # fmt: skip
    model = {"alphabet": "bytes", "unknown": None, "shape": shape}
    indexer = ContextualIndexer("strings", {"forward": model, "backward": model})
    batch = arrays_of(indexer, [["é", "ab"]], 4)
    assert bytes(batch["strings_forward"][0].ravel()[:7].tolist()) == "\né ab ".encode()
    assert bytes(batch["strings_backward"][0].ravel()[:7].tolist()) == "\nba é ".encode()
    assert batch["strings_forward_at"][0, :2].tolist() == [3, 6]


def test_names_of_arrays_are_identifiers():
    configs = [ContextualStrings(kind="contextual-strings", forward="a")] * 2
    assert names_of(configs) == ["contextual_strings", "contextual_strings2"]
    assert frozen_paths(configs) == ["embeddings.parts.0.*", "embeddings.parts.1.*"]


def test_a_source_that_is_no_language_model_is_refused(tmp_path):
    config = ContextualStrings(kind="contextual-strings", forward=str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"model\.embeddings\.0\.forward: .*there is no such run"):
        config.check("model.embeddings.0")
    with pytest.raises(InputError, match="not a run of text-generation"):
        read_language_model(str(tmp_path))
    with pytest.raises(ValueError, match="neither 'forward' nor 'backward'"):
        ContextualStrings(kind="contextual-strings")


def test_no_gradient_reaches_a_frozen_language_model():
    weights = {"forward": lm(1)}
    indexer = indexer_of(weights)
    batch = arrays_of(indexer, SENTENCES, 8)
    for fine_tune in (False, True):
        module = module_of(indexer, weights, fine_tune=fine_tune)
        grads = jax.jit(jax.grad(lambda module: (module(batch) ** 2).sum()))(module)
        assert any(np.asarray(g).any() for g in jax.tree.leaves(grads)) == fine_tune
