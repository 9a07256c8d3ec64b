"""Contextual string embeddings. Oracle: the states of the language model character by character, in NumPy."""

import functools
import json

import jax
import numpy as np
import pytest

from spago_jax.core import flat
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.contextual import ContextualEmbedding, ContextualStrings
from spago_jax.embeddings.contextual_index import LONGEST, ROOM, ContextualIndexer
from spago_jax.embeddings.embedder import Embedder
from spago_jax.embeddings.language_model import CharacterReader, read_language_model, shape_of
from spago_jax.embeddings.memory import WordMemory
from spago_jax.embeddings.pooled import Evolving, PooledEmbedding, PooledStrings
from spago_jax.embeddings.pooled_index import PooledIndexer
from spago_jax.embeddings.stacked import StackedEmbeddings, frozen_paths, names_of
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


def test_an_embedding_may_be_in_two_stacks_and_used_alone():
    """flairNLP/flair#2600: stacking renamed what it was given, so that it was computed again, or failed."""
    weights = {"forward": lm(1)}
    indexer = indexer_of(weights)
    part = module_of(indexer, weights)
    batch = arrays_of(indexer, SENTENCES, 8)
    before = jax.tree.leaves(part)
    stacks = StackedEmbeddings((part,)), StackedEmbeddings((part, part))
    alone, first, second = jax.jit(lambda *modules: [module(batch) for module in modules])(part, *stacks)
    np.testing.assert_array_equal(first, alone)
    np.testing.assert_array_equal(second, np.concatenate([alone, alone], -1))
    assert part.name == "strings"
    assert all(a is b for a, b in zip(before, jax.tree.leaves(part), strict=True))


def test_each_direction_of_a_batch_is_one_pass(monkeypatch):
    """However many sentences and words there are, a language model runs once."""
    weights = {"forward": lm(1), "backward": lm(2)}
    indexer = indexer_of(weights)
    module, batch = module_of(indexer, weights), arrays_of(indexer, SENTENCES * 4, 8)
    jaxpr = str(jax.make_jaxpr(lambda module, batch: module(batch))(module, batch))
    assert jaxpr.count("scan[") + jaxpr.count("while[") == 2


def test_an_embedder_gives_the_vectors_of_a_list_of_configs(shared_data):
    """Each of its embeddings alone, whatever else is stacked and in the batch."""
    source = str(shared_data / "flair-fixtures" / "flair-0.15.1" / "lm-forward.pt")
    configs = [{"kind": "contextual-strings", "forward": source}, {"kind": "hashes", "rows": 9, "size": 2}]
    embedder = Embedder(configs)
    sentences = [["the", "Cat"], ["Paris"] * 20, ["a"]]
    found = embedder(sentences)
    assert [vectors.shape for vectors in found] == [(2, embedder.size), (20, embedder.size), (1, embedder.size)]
    (alone,) = Embedder(configs[:1])(sentences[:1])
    np.testing.assert_allclose(found[0][:, :6], alone, atol=1e-6)
    assert embedder([]) == []
    with pytest.raises(InputError, match="embeddings: "):
        Embedder([{"kind": "contextual-strings"}])


# -- pooled ------------------------------------------------------------------------------------------------------------


def pooled(pool="mean", **options):
    """A pooled embedding of a forward language model with an empty memory, and what lets it evolve."""
    weights = {"forward": lm(1)}
    plain = indexer_of(weights)
    indexer = PooledIndexer("strings", plain.models, WordMemory(4, pool, options.pop("most", 100)), **options)
    return Evolving(module_of(plain, weights), indexer), weights


BY_HAND = {
    "min": lambda seen: np.min(seen, 0),
    "max": lambda seen: np.max(seen, 0),
    "mean": lambda seen: np.mean(seen, 0),
    "fade": lambda seen: functools.reduce(lambda old, new: (old + new) / 2, seen),
}


@pytest.mark.parametrize("pool", BY_HAND)
def test_a_word_is_pooled_with_all_that_was_seen_of_it(pool):
    evolving, _ = pooled(pool)
    seen = {}
    for call in ([SENTENCES[0], SENTENCES[2]], [["ab", "a", "f"]]):
        found = evolving(call)
        for sentence, vectors in zip(call, found, strict=True):
            for word, vector in zip(sentence, vectors, strict=True):
                seen.setdefault(word, []).append(vector[:4])
        for sentence, vectors in zip(call, found, strict=True):
            for word, vector in zip(sentence, vectors, strict=True):
                np.testing.assert_allclose(vector[4:], BY_HAND[pool](seen[word]), atol=1e-6, err_msg=word)


def test_a_memory_is_bounded_and_says_its_size_and_stays_on_disk_once_saved(tmp_path):
    """flairNLP/flair#1593, #1270: it grew until no memory was left, on the device."""
    evolving, _ = pooled(most=3)
    evolving([["a", "b", "c", "d", "a", "e"]])
    memory = evolving.indexer.memory
    assert (len(memory), memory.nbytes, memory.left_out) == (3, 3 * 4 * 4, 2)
    evolving.indexer.save(tmp_path)
    again = PooledIndexer.load(tmp_path, "strings")
    assert isinstance(again.memory._rows.base, np.memmap) or isinstance(again.memory._rows, np.memmap)
    rows = memory.rows_of(["b", "a", "x"])
    np.testing.assert_array_equal(again.memory.vectors(rows), memory.vectors(rows))
    again.memory.enter(["b"], np.ones((1, 4)))  # a copy is changed, and not the file
    np.testing.assert_array_equal(PooledIndexer.load(tmp_path, "strings").memory.vectors(rows), memory.vectors(rows))


def test_predictions_read_the_memory_and_do_not_change_it():
    evolving, weights = pooled("max", only_capitalized=True)
    evolving([["Ab", "c"], ["Ab", "d"]])
    indexer, before = evolving.indexer, evolving.indexer.memory.vectors(np.array([0]))
    assert len(indexer.memory) == 1
    batch = arrays_of(indexer, [["c", "Ab", "f"]], 8)
    assert batch.keys() == indexer.specs().keys()
    found = np.asarray(PooledEmbedding(inner=evolving.module, name="strings")(batch))[0]
    own = by_hand({**weights, "backward": weights["forward"]}, ["c", "Ab", "f"])[:, 4:]
    np.testing.assert_allclose(found[:3, :4], own, atol=2e-6)
    np.testing.assert_allclose(found[:3, 4:], [own[0], before[0], own[2]], atol=2e-6)
    np.testing.assert_array_equal(indexer.memory.vectors(np.array([0])), before)


def test_pooled_vectors_over_two_calls_are_those_of_flair(shared_data):
    folder = shared_data / "flair-fixtures"
    for release in ("0.10", "0.15.1"):
        wanted = json.loads((folder / f"flair-{release}" / "expected-more.json").read_text())["pooled_mean"]
        source = str(folder / f"flair-{release}" / "lm-forward.pt")
        config = PooledStrings(kind="pooled-strings", forward=source, pooling="mean")
        lexicon = LexiconBuilder().build()
        indexer = config.fit("strings", lexicon)
        module = config.from_data(config.init(jax.random.key(0), indexer), indexer, lexicon)
        evolving = Evolving(module.inner, indexer)
        for call in ("first", "second"):
            np.testing.assert_allclose(evolving([wanted[call]])[0], wanted[f"{call}_vectors"], atol=1e-6)


def test_a_memory_of_a_language_model_that_changes_is_refused():
    with pytest.raises(ValueError, match="fine_tune: what is in the memory"):
        PooledStrings(kind="pooled-strings", forward="a", fine_tune=True)
    with pytest.raises(InputError, match="pooling 'maen': did you mean 'mean'"):
        WordMemory(2, "maen")
