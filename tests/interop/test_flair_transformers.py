"""Flair's embeddings by pre-trained encoders, in files as it writes them. Oracle: transformers, and NumPy."""

import io
import json
import struct
import sys
import types
import zipfile
from typing import Any

import numpy as np
import pytest
from flair_files import archive, dictionary_class
from helpers import exported_answers
from subwords import wordpiece_folder
from tiny_pretrained import sizes

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.core import flat
from spago_jax.data.encoded import EncodedSentences
from spago_jax.data.examples import Tokens
from spago_jax.embeddings.embedder import Embedder
from spago_jax.errors import InputError
from spago_jax.interop.flair.open import import_flair
from spago_jax.tasks.load import open_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

TAGS = ["O", "S-X", "B-X", "I-X", "E-X"]
CONTEXT = 3
LONGEST = 32
# Three sentences of a text, and one of another.
TEXT = ["the", "unbelievable", "cat", "!", "cats", "sat", "on", "the", "mats", "the", "mat"]
STARTS = (0, 4, 9)
OTHER = ["on", "the", "cat"]
CASES = {
    "bert": {"layers": "-1", "layer_mean": True, "subtoken_pooling": "first"},
    "bert-context": {"layers": "all", "layer_mean": True, "subtoken_pooling": "mean", "context_length": CONTEXT,
                     "use_context_separator": True},
    "bert-objects": {"layers": "-2", "layer_mean": False, "subtoken_pooling": "last", "context_length": CONTEXT},
    "roberta": {"layers": "-1,1,0", "layer_mean": False, "subtoken_pooling": "first_last"},
}  # fmt: skip


def byte_level_folder(folder):
    """Byte-level BPE, which cuts a word otherwise without the space before it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    engine.train_from_iterator([" ".join(TEXT)] * 4, trainer)
    engine.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    engine.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LONGEST}))
    return folder


def packed(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data


class Written:
    """An embedding of Flair's, and by transformers what it is to give."""

    def __init__(self, folder, kind, **settings):
        import tokenizers
        import torch
        import transformers

        folder = (byte_level_folder if kind == "roberta" else wordpiece_folder)(folder)
        self.engine = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.engine.no_padding()
        self.engine.no_truncation()
        self.engine.add_special_tokens(["[FLERT]"])
        self.engine.save(str(folder / "tokenizer.json"))
        self.space = " " if kind == "roberta" else ""
        self.settings = settings
        positions = LONGEST + (2 if kind == "roberta" else 0)
        keys = {"vocab_size": self.engine.get_vocab_size(), "max_position_embeddings": positions}
        config = transformers.AutoConfig.for_model(kind, **{**sizes(kind), **keys})
        torch.manual_seed(0)
        self.model = transformers.AutoModel.from_config(config).eval()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter += 0.3 * torch.randn(parameter.shape)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.value = {
            "name": "tiny", "fine_tune": True, "allow_long_sentences": True, "context_length": 0,
            "use_context_separator": False, "config_state_dict": config.to_dict(), "tokenizer_data": packed(files),
            **settings,
        }  # fmt: skip

    def weights(self, prefix="embeddings.model."):
        return {f"{prefix}{name}": value for name, value in self.model.state_dict().items()} | {
            f"{prefix}embeddings.position_ids": np_tensor(np.arange(4)[None])
        }

    def states(self, pieces):
        """The states of all layers, [layers + 1, pieces, hidden]."""
        import torch

        first, last = (self.engine.token_to_id(token) for token in (("<s>", "</s>") if self.space else
                                                                    ("[CLS]", "[SEP]")))  # fmt: skip
        ids = torch.tensor([[first, *pieces, last]])
        with torch.no_grad():
            return np.stack([each[0] for each in self.model(ids, output_hidden_states=True).hidden_states])

    def cut(self, word):
        return self.engine.encode(f"{self.space}{word}", add_special_tokens=False).ids

    def words(self, tokens, before=(), after=()):
        """The vectors of the words of a sentence, with what stands before it and after it."""
        size = self.settings.get("context_length", 0)
        mark = ["[FLERT]"] if self.settings.get("use_context_separator") else []
        before, after = [*before[-size or len(before) :], *mark], [*mark, *after[:size]]
        pieces = [self.engine.encode(word, add_special_tokens=False).ids if word in mark else self.cut(word)
                  for word in [*before, *tokens, *after]]  # fmt: skip
        states = self.states([id for word in pieces for id in word])
        layers = self.settings["layers"]
        chosen = states if layers == "all" else states[[int(each) for each in layers.split(",")]]
        joined = chosen.mean(0) if self.settings["layer_mean"] else np.concatenate(list(chosen), -1)
        ends = 1 + np.cumsum([0, *map(len, pieces)])
        found = []
        for number in range(len(before), len(before) + len(tokens)):
            own = joined[ends[number] : ends[number + 1]]
            both = np.concatenate([own[0], own[-1]])
            pooled = {"first": own[0], "last": own[-1], "mean": own.mean(0), "first_last": both}
            found.append(pooled[self.settings["subtoken_pooling"]])
        return np.stack(found)


def np_tensor(array):
    import torch

    return torch.from_numpy(array)


def save(path, value):
    import torch

    torch.save(value, path, pickle_protocol=4)
    return path


def record_of(patch, attributes):
    """An object of Flair's class with these attributes."""
    module = types.ModuleType("flair.embeddings.token")
    kind = type("TransformerWordEmbeddings", (), {"__module__": module.__name__})
    module.TransformerWordEmbeddings = kind  # pyright: ignore[reportAttributeAccessIssue]
    patch.setitem(sys.modules, "flair.embeddings", types.ModuleType("flair.embeddings"))
    patch.setitem(sys.modules, module.__name__, module)
    found = kind()
    vars(found).update({key: value for key, value in attributes.items() if value is not None})
    return found


@pytest.fixture(scope="module", params=CASES)
def tagger(request, tmp_path_factory):
    """A file of a tagger, what wrote its embedding, and its last layer."""
    pytest.importorskip("transformers", reason="needs transformers")
    folder = tmp_path_factory.mktemp("flair")
    (folder / "tokenizer").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        dictionary = dictionary_class(patch)
        written = Written(folder / "tokenizer", request.param.split("-")[0], **CASES[request.param])
        size = written.words(["cat"]).shape[1]
        rng = np.random.default_rng(0)
        weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((len(TAGS), size), len(TAGS)))
        state = written.weights() | {"linear.weight": np_tensor(weight), "linear.bias": np_tensor(bias)}
        value = {
            "state_dict": state, "__cls__": "SequenceTagger", "tag_dictionary": dictionary(TAGS), "tag_format": "BIOES",
            "use_crf": False, "use_rnn": False, "reproject_embeddings": False, "hidden_size": 8,
            "embeddings": {"__cls__": "TransformerWordEmbeddings", **written.value},
        }  # fmt: skip
        if request.param.endswith("objects"):  # as until 0.11, which knew no separator
            del value["__cls__"], written.value["use_context_separator"]
            value["embeddings"] = record_of(patch, {**written.value, "layer_indexes": [-2], "layers": None})
        path = save(folder / "tagger.pt", value)
    return path, written, lambda xs: xs @ weight.T + bias


@pytest.mark.oracle
def test_a_tagger_over_an_encoder_scores_as_transformers_does(tagger, tmp_path):
    """The context of a sentence is what stands beside it in its own text, and in a corpus what stands beside it."""
    path, written, linear = tagger
    found = import_flair(path)
    task, model = found.open()
    processor = task.processor
    rows = processor.encode([Tokens(TEXT, breaks=STARTS), Tokens(OTHER)])
    ends = [*STARTS[1:], len(TEXT)]
    wanted = [
        linear(written.words(TEXT[start:end], TEXT[:start], TEXT[end:])) if written.settings.get("context_length")
        else linear(written.words(TEXT[start:end]))
        for start, end in zip(STARTS, ends, strict=True)
    ]  # fmt: skip
    wanted.append(linear(written.words(OTHER)))
    batch = processor.batch(rows, np.array([0, 1, 2, 3, -1]), int(rows.lengths.max()) + 1)
    scores = np.asarray(model(batch))
    for number, expected in enumerate(wanted):
        np.testing.assert_allclose(scores[number, : len(expected)], expected, atol=1e-5)
    if written.settings.get("context_length"):  # a line of a text is a sentence of it
        lines = "\n".join(" ".join(TEXT[start:end]) for start, end in zip(STARTS, ends, strict=True))
        again = processor.encode([processor.example(lines)])
        np.testing.assert_array_equal(again.lengths, rows.lengths[:3])
        rows = processor.rows(EncodedSentences.of([Tokens(TEXT), Tokens(OTHER)]))
        batch = processor.batch(rows, np.array([1]), int(rows.lengths.max()))
        expected = linear(written.words(OTHER, TEXT))
        np.testing.assert_allclose(np.asarray(model(batch))[0, : len(OTHER)], expected, atol=1e-5)
    found.save(tmp_path / "saved")
    again: Any = sj.load_task("token-classification", tmp_path / "saved")
    (answer,) = again([OTHER], distributions=True)
    shares = np.exp(wanted[-1])
    shares /= shares.sum(-1, keepdims=True)
    assert list(answer.tags) == [TAGS[place] for place in shares.argmax(-1)] or answer.spans
    np.testing.assert_allclose([[each[tag] for tag in TAGS] for each in answer.distributions], shares, atol=1e-5)


@pytest.mark.slow
@pytest.mark.oracle
def test_an_imported_tagger_over_an_encoder_is_trained_on_and_shipped(tagger, tmp_path):
    path, _, _ = tagger
    saved = import_flair(path).save(tmp_path / "saved")
    lines = "".join(f"{word} {tag}\n" for word, tag in zip(OTHER, ("O", "O", "S-X"), strict=True))
    (tmp_path / "train.conll").write_text(f"{lines}\n" * 4)
    settings = open_run(saved).experiment.model_dump(mode="json", by_alias=True)
    settings |= {
        "name": "more", "init": {"from": str(saved)},
        "data": {"format": "conll", "scheme": "BIOES", "train": f"{tmp_path}/train.conll",
                 "dev": f"{tmp_path}/train.conll"},
        "train": {"steps": 1, "batch_size": 2, "eval_batch_size": 2, "buckets": 1},
    }  # fmt: skip
    fit(load_experiment(settings), tmp_path / "more", console=TrainingConsole(quiet=True))
    first, more = flat(open_run(saved).model), flat(open_run(tmp_path / "more").model)
    assert set(first) == set(more)
    for name in (name for name in first if name.endswith("words.weight")):
        assert not np.array_equal(first[name], more[name])
        np.testing.assert_allclose(first[name], more[name], atol=0.01)
    assert run(["export", str(saved), str(tmp_path / "shipped")]) == 0
    given = exported_answers(tmp_path / "shipped", [OTHER, TEXT])
    wanted: Any = sj.load_task("token-classification", saved)([OTHER, TEXT])
    for found, answer in zip(given, wanted, strict=True):
        assert found["tags"] == list(answer.tags)
        np.testing.assert_allclose(found["scores"], answer.scores, atol=3e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_a_classifier_over_an_encoder_pools_its_states(tmp_path, monkeypatch, pooling):
    """The first state, or all of them with those of special pieces; and of a text that is too long its first pieces."""
    pytest.importorskip("transformers", reason="needs transformers")
    dictionary = dictionary_class(monkeypatch)
    (tmp_path / "tokenizer").mkdir()
    written = Written(tmp_path / "tokenizer", "bert", layers="-1", layer_mean=False, cls_pooling=pooling,
                      allow_long_sentences=False)  # fmt: skip
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    state = written.weights() | {"decoder.weight": np_tensor(weight), "decoder.bias": np_tensor(bias)}
    embeddings = {"__cls__": "TransformerDocumentEmbeddings", **written.value}
    labels = ["good", "bad", "so"]
    value = {
        "state_dict": state, "__cls__": "TextClassifier", "document_embeddings": embeddings, "multi_label": False,
        "label_dictionary": dictionary(labels),
    }  # fmt: skip
    import_flair(save(tmp_path / "c.pt", value)).save(tmp_path / "saved")
    classify: Any = sj.load_task("text-classification", tmp_path / "saved")
    for words in (["unbelievable", "cats"], ["unbelievable"] * 13):
        pieces = [id for word in words for id in written.cut(word)][: LONGEST - 2]
        states = written.states(pieces)[-1]
        logits = weight @ {"cls": states[0], "mean": states.mean(0), "max": states.max(0)}[pooling] + bias
        shares = np.exp(logits) / np.exp(logits).sum()
        (answer,) = classify([" ".join(words)])
        assert answer.label == labels[shares.argmax()]
        assert answer.score == pytest.approx(shares.max(), abs=1e-5)
    value["document_embeddings"] = embeddings | {"cls_pooling": "sum"}
    with pytest.raises(InputError, match="cls_pooling = 'sum', expected cls, mean, max"):
        import_flair(save(tmp_path / "m.pt", value))


def refused(path, embedding, match):
    value = {"state_dict": {}, "tag_dictionary": None, "embeddings": {"__cls__": "TransformerWordEmbeddings",
             "name": "tiny", "config_state_dict": {"model_type": "bert"}, **embedding}}  # fmt: skip
    with pytest.raises(InputError, match=match) as caught:
        import_flair(archive(path / "t.pt", value))
    assert str(caught.value).startswith(str(path / "t.pt"))


def huge(data):
    """The same archive, whose directory says that its first file has four gigabytes."""
    content = bytearray(data.getvalue())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    return io.BytesIO(bytes(content))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (huge(packed({"tokenizer.json": b"{}"})), "says that it has 4,294,967,280 bytes"),
        (packed({f"{number}": b"" for number in range(65)}), "65 files, at most 64"),
        (packed({"../tokenizer.json": b"{}", "/tokenizer.json": b"{}"}), "tokenizer_data cannot be read: no tokenizer"),
        (packed({"tokenizer.json": b"[" * 99_999}), "tokenizer_data cannot be read"),
        (io.BytesIO(b"PK\x03\x04"), "tokenizer_data cannot be read"),
        (None, "has no tokenizer_data"),
    ],
    ids=["huge", "many", "paths", "nested", "cut", "none"],
)
def test_a_packed_tokenizer_is_read_within_bounds(tmp_path, data, match):
    refused(tmp_path, {"tokenizer_data": data}, match)


def test_an_encoder_that_is_not_read_is_refused_by_name(tmp_path):
    refused(tmp_path, {"config_state_dict": {"model_type": "xlnet"}}, "model_type is 'xlnet'; supported are")
    refused(tmp_path, {"config_state_dict": {"model_type": "bert", "auto_map": {"a": "b"}}}, "Python code of its own")
    refused(tmp_path, {"config_state_dict": None}, "no config_state_dict")
    refused(tmp_path, {"subtoken_pooling": "sum"}, "subtoken_pooling = 'sum', expected first, last")


def test_an_embedding_of_words_and_of_documents_is_read_as_either(tmp_path):
    """Flair's ``TransformerEmbeddings``, which says of which it has vectors."""
    both = {"__cls__": "TransformerEmbeddings", "is_token_embedding": True, "is_document_embedding": True}
    xlnet = {"config_state_dict": {"model_type": "xlnet"}}  # the first that is looked at of either
    refused(tmp_path, both | xlnet, "model_type is 'xlnet'")
    refused(tmp_path, both | {"is_token_embedding": False}, "is_token_embedding = False: it has vectors of documents")
    value = {"state_dict": {}, "document_embeddings": {"name": "tiny", **both, **xlnet}}
    with pytest.raises(InputError, match="model_type is 'xlnet'"):
        import_flair(archive(tmp_path / "c.pt", value))
    value["document_embeddings"]["is_document_embedding"] = False
    with pytest.raises(InputError, match="is_document_embedding = False: it has vectors of words alone"):
        import_flair(archive(tmp_path / "c.pt", value))


def test_a_separator_that_the_tokenizer_lacks_is_refused(tmp_path):
    from tiny_pretrained import write_tiny, write_vocabulary

    write_tiny(tmp_path, head="states")
    write_vocabulary(tmp_path)
    config = {"kind": "transformer", "from": str(tmp_path), "context": 2}
    with pytest.raises(InputError, match=r"separator: the tokenizer has no token '\[FLERT\]'"):
        Embedder([{**config, "separator": "[FLERT]"}])
    assert Embedder([{**config, "layers": [0, -1], "merge": "concat"}]).size == 16
