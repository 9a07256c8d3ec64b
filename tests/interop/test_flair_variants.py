"""What the fixtures do not hold: other layers, embeddings and orders, in files that PyTorch writes. Oracle: PyTorch."""

import json

import jax
import numpy as np
import pytest
from flair_files import dictionary_class

import spago_jax as sj
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.embeddings.character_index import CharacterIndexer
from spago_jax.embeddings.characters import CharacterEmbedding, Characters
from spago_jax.embeddings.hash_index import HashIndexer
from spago_jax.embeddings.language_model import CharacterReader, read_language_model
from spago_jax.errors import InputError
from spago_jax.interop.flair.open import import_flair
from spago_jax.text.vocabulary import Vocabulary

ITEMS = ["<unk>", " ", "\n", *"abcdeT"]
TAGS = ["<unk>", "S-X", "O", "B-X", "I-X", "E-X", "<STOP>", "<START>"]
TOKENS = ["ab", "c", "Tée", "ab"]


def test_characters_of_flair_are_read_to_the_last_position(shared_data):
    """Flair's own vectors; of words of one length, for with others it mixes them up."""
    folder = shared_data / "flair-fixtures" / "flair-0.15.1"
    wanted = json.loads((folder / "expected-more.json").read_text())["characters"]
    given = {name: np.array(values, np.float32) for name, values in wanted["parameters"].items()}
    hidden = given["char_rnn.weight_hh_l0"].shape[1]
    vocabulary = Vocabulary(("<pad>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"), "<unk>", "<pad>")
    indexer = CharacterIndexer("characters", vocabulary, 8)
    config = Characters(kind="characters", encoder="lstm-last", size=given["char_embedding.weight"].shape[1],
                        filters=hidden)  # fmt: skip
    module = config.init(jax.random.key(0), indexer)
    assert isinstance(module, CharacterEmbedding)
    table = given["char_embedding.weight"]
    arrays = {"encoder.embedding.weight": np.concatenate([table[:1], table])}
    for side, suffix in (("forward", "l0"), ("backward", "l0_reverse")):
        arrays[f"encoder.rnn.{side}.input_weight"] = given[f"char_rnn.weight_ih_{suffix}"]
        arrays[f"encoder.rnn.{side}.recurrent_weight"] = given[f"char_rnn.weight_hh_{suffix}"]
        arrays[f"encoder.rnn.{side}.bias"] = given[f"char_rnn.bias_ih_{suffix}"] + given[f"char_rnn.bias_hh_{suffix}"]
    module = sj.unflat(module, arrays)
    builder = LexiconBuilder()
    forms = builder.encode(wanted["tokens"])
    batch = indexer.arrays(indexer.tables(builder.build()), forms[None], 3)
    np.testing.assert_allclose(module(batch)[0], wanted["vectors"], atol=1e-6)


def test_hashes_are_those_of_md5(tmp_path):
    """By hand: ``int(hashlib.md5(b"ab").hexdigest(), 16) % 7`` is 2."""
    import hashlib

    indexer = HashIndexer("hashes", 7)
    assert indexer.id("ab") == int(hashlib.md5(b"ab").hexdigest(), 16) % 7 + 1
    indexer.save(tmp_path)
    assert HashIndexer.load(tmp_path, "hashes").rows == 7
    (tmp_path / "hashes.settings.json").write_text('{"rows": 0}')
    with pytest.raises(InputError, match="rows = 0"):
        HashIndexer.load(tmp_path, "hashes")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs torch")


@pytest.fixture
def dictionary(monkeypatch):
    return dictionary_class(monkeypatch)


class Writer:
    """Makes layers of PyTorch and keeps their tensors by Flair's names."""

    def __init__(self, torch):
        self.torch, self.state = torch, {}
        torch.manual_seed(0)

    def layer(self, prefix, module):
        for parameter in module.parameters():
            self.torch.nn.init.uniform_(parameter, -0.8, 0.8)
        self.state |= {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}
        return module


def language_model(writer, dictionary, prefix, *, forward=True, gru=False, layers=1, nout=None):
    """A language model below a prefix: its settings, and what computes the state of each word."""
    nn = writer.torch.nn
    encoder = writer.layer(f"{prefix}.encoder", nn.Embedding(len(ITEMS), 3))
    rnn = writer.layer(f"{prefix}.rnn", (nn.GRU if gru else nn.LSTM)(3, 4, layers))
    proj = writer.layer(f"{prefix}.proj", nn.Linear(4, nout)) if nout else None
    settings = {
        "dictionary": dictionary(ITEMS), "is_forward_lm": forward, "hidden_size": 4, "nlayers": layers,
        "embedding_size": 3, "nout": nout, "document_delimiter": "\n", "dropout": 0.1, "has_decoder": False,
    }  # fmt: skip

    def words(tokens):
        text = " ".join(tokens)
        read = "\n" + (text if forward else text[::-1]) + " "
        ids = writer.torch.tensor([ITEMS.index(char) if char in ITEMS else 0 for char in read])
        ys, _ = rnn(encoder(ids)[:, None])
        ys = (ys if proj is None else proj(ys))[:, 0]
        starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])[:-1]
        return writer.torch.stack([
            ys[1 + start + len(token)] if forward else ys[1 + len(text) - start]
            for start, token in zip(starts.tolist(), tokens, strict=True)
        ])  # fmt: skip

    return settings, words


def leaf(settings, name):
    return {"__cls__": "FlairEmbeddings", "name": name, "model_params": settings, "is_lower": False,
            "tokenized_lm": True, "fine_tune": False}  # fmt: skip


def tagger(writer, dictionary, embeddings, **settings):
    return {
        "state_dict": writer.state, "__cls__": "SequenceTagger", "embeddings": embeddings, "hidden_size": 5,
        "tag_dictionary": dictionary(TAGS), "tag_format": "BIOES", "use_crf": False, "use_rnn": True,
        "use_dropout": 0.0, "use_word_dropout": 0.05, "use_locked_dropout": 0.5, **settings,
    }  # fmt: skip


def scores_of(path, tokens):
    """The emissions of a file's model, with their tags."""
    task, model = import_flair(path).open()
    rows = task.processor.encode([task.processor.example(tokens)])
    batch = task.processor.batch(rows, np.array([0]), int(rows.lengths[0]) + 2)
    found = np.asarray(jax.jit(lambda model, batch: model(batch))(model, batch))[0, : len(tokens)]
    return dict(zip(task.processor.tags.names, found.T, strict=True))


def same_scores(path, expected):
    found = scores_of(path, TOKENS)
    assert set(found) == {tag for tag in TAGS if tag not in ("<START>", "<STOP>")}
    for tag, values in found.items():
        np.testing.assert_allclose(values, expected[:, TAGS.index(tag)].detach(), atol=2e-6, err_msg=tag)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["gru", "two-layers"])
def test_taggers_of_other_layers(torch, dictionary, tmp_path, kind):
    writer = Writer(torch)
    gru = kind == "gru"
    settings, words = language_model(
        writer, dictionary, "embeddings.lm", forward=not gru, gru=gru, layers=1 if gru else 2, nout=None if gru else 2
    )
    xs = words(TOKENS)
    first = writer.layer("embedding2nn", torch.nn.Linear(xs.shape[1], 3))
    rnn = writer.layer("rnn", (torch.nn.GRU if gru else torch.nn.LSTM)(3, 5, 1 if gru else 2, bidirectional=True))
    linear = writer.layer("linear", torch.nn.Linear(10, len(TAGS)))
    torch.save(tagger(writer, dictionary, leaf(settings, "x")), tmp_path / "t.pt")
    same_scores(tmp_path / "t.pt", linear(rnn(first(xs)[:, None])[0][:, 0]))


@pytest.mark.oracle
def test_a_tagger_of_an_old_release_starts_from_its_trained_states(torch, dictionary, tmp_path):
    """0.4.3 to 0.10 use them; the files of 0.11 and later have them too, and do not."""
    writer = Writer(torch)
    settings, words = language_model(writer, dictionary, "embeddings.lm")
    rnn = writer.layer("rnn", torch.nn.LSTM(4, 5, bidirectional=True))
    linear = writer.layer("linear", torch.nn.Linear(10, len(TAGS)))
    h, c = torch.randn(2, 5), torch.randn(2, 5)
    writer.state |= {"lstm_init_h": h, "lstm_init_c": c}
    old = {"use_rnn": True, "train_initial_hidden_state": True, "beta": 1.0}
    value = tagger(writer, dictionary, leaf(settings, "x"), **old)
    xs = words(TOKENS)[:, None]
    torch.save(value, tmp_path / "new.pt")
    same_scores(tmp_path / "new.pt", linear(rnn(xs)[0][:, 0]))
    del value["__cls__"]
    torch.save(value, tmp_path / "old.pt")
    same_scores(tmp_path / "old.pt", linear(rnn(xs, (h[:, None], c[:, None]))[0][:, 0]))


@pytest.mark.oracle
def test_embeddings_stand_in_the_order_of_their_stored_names(torch, dictionary, tmp_path):
    """Twelve of them: 0, 1, 10, 11, 2, ...; and no recurrence, so that each column is seen."""
    writer, found, stack = Writer(torch), {}, []
    for number in range(12):
        settings, words = language_model(writer, dictionary, f"embeddings.list_embedding_{number}.lm")
        found[f"{number}-lm"] = words(TOKENS)
        stack.append(leaf(settings, f"{number}-lm"))
    xs = torch.cat([found[name] for name in sorted(found)], 1)
    linear = writer.layer("linear", torch.nn.Linear(xs.shape[1], len(TAGS)))
    embeddings = {"__cls__": "StackedEmbeddings", "embeddings": stack}
    torch.save(tagger(writer, dictionary, embeddings, use_rnn=False), tmp_path / "t.pt")
    same_scores(tmp_path / "t.pt", linear(xs))


@pytest.mark.oracle
def test_pooled_embeddings_have_a_place_for_each_half(torch, dictionary, tmp_path):
    """The name of the context has no number, so that it stands before the words, and the pooled half after them."""
    writer = Writer(torch)
    settings, words = language_model(writer, dictionary, "embeddings.list_embedding_1.context_embeddings.lm")
    hashes = writer.layer("embeddings.list_embedding_0.embedding_layer", torch.nn.Embedding(1, 2))
    stack = [
        {"__cls__": "HashEmbeddings", "name": "0-hash", "num_embeddings": 1, "hash_method": "md5"},
        {"__cls__": "PooledFlairEmbeddings", "name": "1-/path/lm-context", "pooling": "max", "only_capitalized": False,
         "contextual_embeddings": leaf(settings, "/path/lm")},
    ]  # fmt: skip
    own = words(TOKENS)
    xs = torch.cat([own, hashes(torch.zeros(len(TOKENS), dtype=torch.long)), own], 1)  # nothing is in memory
    linear = writer.layer("linear", torch.nn.Linear(xs.shape[1], len(TAGS)))
    embeddings = {"__cls__": "StackedEmbeddings", "embeddings": stack}
    torch.save(tagger(writer, dictionary, embeddings, use_rnn=False), tmp_path / "t.pt")
    same_scores(tmp_path / "t.pt", linear(xs))
    pooled = stack[1] | {"word_embeddings": {"ab": torch.ones(4)}, "word_count": {"ab": 3}}
    torch.save(tagger(writer, dictionary, embeddings | {"embeddings": [stack[0], pooled]}, use_rnn=False),
               tmp_path / "m.pt")  # fmt: skip
    known = torch.tensor([token == "ab" for token in TOKENS])[:, None]
    xs = torch.cat([own, xs[:, 4:6], torch.where(known, torch.ones(4), own)], 1)
    same_scores(tmp_path / "m.pt", linear(xs))


@pytest.mark.oracle
def test_byte_pairs_are_the_first_and_the_last_piece(torch, dictionary, tmp_path, shared_data):
    sentencepiece = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    model = next(iter(sorted((shared_data / "tok-spm-test-en").glob("*.model")))).read_bytes()
    engine = sentencepiece.SentencePieceProcessor(model_proto=model)
    writer = Writer(torch)
    table = writer.layer("embeddings.embedding", torch.nn.Embedding(engine.get_piece_size() + 1, 3))
    settings = {"__cls__": "BytePairEmbeddings", "name": "bpe", "dim": 3, "spm_model_binary": model}
    rows = []
    for token in TOKENS:
        ids = engine.encode(token.lower())
        rows.append(torch.cat([table(torch.tensor(ids[0])), table(torch.tensor(ids[-1]))]))
    linear = writer.layer("linear", torch.nn.Linear(6, len(TAGS)))
    torch.save(tagger(writer, dictionary, settings, use_rnn=False), tmp_path / "t.pt")
    same_scores(tmp_path / "t.pt", linear(torch.stack(rows)))
    import_flair(tmp_path / "t.pt").save(tmp_path / "folder")
    assert len(sj.load_task("token-classification", tmp_path / "folder")([TOKENS])[0].tags) == len(TOKENS)


@pytest.mark.oracle
def test_a_token_classifier_over_hashes_words_and_characters(torch, dictionary, tmp_path):
    """A decoder over the stack alone; one-hot vectors are a table, and an unknown word has that of <unk>."""
    import hashlib

    writer, nn = Writer(torch), torch.nn
    hashes = writer.layer("embeddings.list_embedding_0.embedding_layer", nn.Embedding(7, 2))
    table = writer.layer("embeddings.list_embedding_1.embedding_layer", nn.Embedding(3, 3))
    chars = writer.layer("embeddings.list_embedding_2.char_embedding", nn.Embedding(len(ITEMS), 2))
    rnn = writer.layer("embeddings.list_embedding_2.char_rnn", nn.LSTM(2, 2, bidirectional=True))
    words = ["ab", "<unk>", "c"]
    stack = [
        {"__cls__": "HashEmbeddings", "name": "0-hash", "num_embeddings": 7, "hash_method": "md5"},
        {"__cls__": "OneHotEmbeddings", "name": "1-one-hot", "vocab_dictionary": dictionary(words), "field": None},
        {"__cls__": "CharacterEmbeddings", "name": "2-Char", "path_to_char_dict": dictionary(ITEMS),
         "char_embedding_dim": 2, "hidden_size_char": 2},
    ]  # fmt: skip
    rows = []
    for token in TOKENS:
        place = int(hashlib.md5(token.encode()).hexdigest(), 16) % 7
        ids = torch.tensor([ITEMS.index(char) if char in ITEMS else 0 for char in token])
        last = rnn(chars(ids)[:, None])[0][-1, 0]
        word = words.index(token if token in words else "<unk>")
        rows.append(torch.cat([hashes(torch.tensor(place)), table(torch.tensor(word)), last]))
    decoder = writer.layer("decoder", nn.Linear(9, len(TAGS)))
    value = {
        "state_dict": writer.state, "__cls__": "TokenClassifier", "label_dictionary": dictionary(TAGS),
        "embeddings": {"__cls__": "StackedEmbeddings", "embeddings": stack}, "label_type": "x",
    }  # fmt: skip
    torch.save(value, tmp_path / "t.pt")
    same_scores(tmp_path / "t.pt", decoder(torch.stack(rows)))


@pytest.mark.oracle
def test_a_file_of_half_precision_is_read(torch, dictionary, tmp_path):
    """Of a GRU: its shapes alone tell it from an LSTM."""
    writer = Writer(torch)
    settings, words = language_model(writer, dictionary, "lm", gru=True, layers=2, nout=3)
    state = {name.removeprefix("lm."): tensor.half() for name, tensor in writer.state.items()}
    torch.save({**settings, "state_dict": state}, tmp_path / "lm.pt")
    found = read_language_model(str(tmp_path / "lm.pt"))
    assert found.shape == {"rows": len(ITEMS), "embedding": 3, "cell": "gru", "reset_after": True, "hidden": 4,
                           "layers": 2, "projection": 3}  # fmt: skip
    reader = CharacterReader.init(jax.random.key(0), found.shape).with_weights(found.weights)
    ids = np.array([found.alphabet.index(char) for char in "\nab "])
    np.testing.assert_allclose(reader(ids)[3], words(["ab"])[0].detach(), atol=5e-3)
