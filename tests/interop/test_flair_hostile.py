"""Files of Flair's that are damaged, or made to do harm: refused with a message, and nothing in them is run."""

import json
import os
import pickle
import random
import zipfile
from contextlib import suppress

import pytest
from flair_files import archive, with_settings
from hostile_files import MARK, Call, nothing_runs  # noqa: F401
from mutations import damaged

from spago_jax.errors import InputError
from spago_jax.interop.flair.open import import_flair
from spago_jax.interop.huggingface import find_model
from spago_jax.tasks.load import load_task

HOSTILE = {
    "system": Call(os.system, f"touch {MARK}"),
    "eval": Call(eval, f"open({str(MARK)!r}, 'w')"),
    "open": Call(open, str(MARK), "w"),
    "nested": {"a": [Call(getattr, Call(__import__, "os"), "system")]},
}


@pytest.fixture(scope="module")
def fixtures(shared_data):
    return shared_data / "flair-fixtures"


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        import_flair(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_object_in_the_place_of_settings_is_refused_and_not_run(tmp_path, kind, protocol):
    value = {"state_dict": {}, "is_forward_lm": True, "dictionary": HOSTILE[kind]}
    refused(archive(tmp_path / "m.pt", pickle.dumps(value, protocol)), "expected a flair.data.Dictionary")
    legacy = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, value, []]
    (tmp_path / "legacy.pt").write_bytes(b"".join(pickle.dumps(each, 2) for each in legacy))
    refused(tmp_path / "legacy.pt", "expected a flair.data.Dictionary")
    refused(archive(tmp_path / "n.pt", pickle.dumps(HOSTILE[kind], protocol)), "without a state_dict")


@pytest.mark.parametrize("kind", HOSTILE)
def test_whatever_is_in_the_model_card_is_passed_over_and_not_run(fixtures, tmp_path, kind):
    path = with_settings(fixtures / "flair-0.10" / "tagger.pt", tmp_path / "t.pt", model_card=HOSTILE[kind])
    assert import_flair(path).facts["tags"][0] == "O"


def test_an_embedding_that_is_not_read_is_refused_by_its_name(fixtures, tmp_path):
    source = fixtures / "flair-0.15.1" / "tagger.pt"
    strange = {"__cls__": "StackedEmbeddings", "embeddings": [{"__cls__": "ELMoEmbeddings", "name": "0-elmo"}]}
    refused(with_settings(source, tmp_path / "a.pt", embeddings=strange), "has ELMoEmbeddings (embeddings.list_")
    refused(with_settings(source, tmp_path / "b.pt", embeddings=HOSTILE["system"]), "system", "expected an embedding")
    refused(with_settings(source, tmp_path / "c.pt", __cls__="RelationClassifier"), "a RelationClassifier of Flair's")


def test_stacks_within_stacks_come_to_an_end(fixtures, tmp_path):
    source = fixtures / "flair-0.15.1" / "tagger.pt"
    stack: dict = {"__cls__": "StackedEmbeddings"}
    stack["embeddings"] = [stack]
    refused(with_settings(source, tmp_path / "a.pt", embeddings=stack), "stacked more than")
    stack["embeddings"] = [stack] * 100
    refused(with_settings(source, tmp_path / "b.pt", embeddings=stack), "embeddings in a stack")


def test_a_key_that_would_take_for_ever_to_hash_is_passed_over(fixtures, tmp_path):
    deep = b"}" + b"N" + b"\x85" * 200_000 + b"Ns"  # a dict, and as its key a tuple within tuples
    path = with_settings(fixtures / "flair-0.10" / "tagger.pt", tmp_path / "t.pt", model_card=deep)
    assert import_flair(path).facts["kind"] == "SequenceTagger"


@pytest.mark.parametrize("code", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"P1\n", b"\x97"])
def test_instructions_that_reach_outside_the_file_are_refused(tmp_path, code):
    refused(archive(tmp_path / "m.pt", b"\x80\x04}(X\x01\x00\x00\x00a" + code + b"u."), "the instruction")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    path = archive(tmp_path / "m.pt", b"\x80\x04" + b"]0" * (8 << 20) + b"N.", compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    refused(path, "is compressed or encrypted")


def test_settings_that_do_not_fit_the_tensors_are_refused(fixtures, tmp_path):
    source = fixtures / "flair-0.15.1" / "tagger.pt"
    refused(with_settings(source, tmp_path / "a.pt", tag_dictionary=3), "the tag_dictionary is a int")
    refused(with_settings(source, tmp_path / "b.pt", use_locked_dropout="much"), "use_locked_dropout is 'much'")
    words = {"__cls__": "WordEmbeddings", "name": "w", "vocab": {"a": 0, "b": 7}}
    stack = {"__cls__": "StackedEmbeddings", "embeddings": [words]}
    refused(with_settings(source, tmp_path / "c.pt", embeddings=stack), "rows are not numbered from 0")


def test_a_model_of_spago_is_refused_with_what_to_import_instead(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_filename": "model.bin", "word_embeddings": []}))
    (tmp_path / "model.bin").write_bytes(b"\x0c\xff\x81\x03\x01\x01")
    refused(tmp_path / "model.bin", "spaGO", "gob", "Flair's .pt")
    for open_it in (lambda: load_task("token-classification", tmp_path), lambda: find_model(str(tmp_path))):
        with pytest.raises(InputError, match=r"spaGO has written: model\.bin is in Go's own encoding"):
            open_it()
    (tmp_path / "other.pt").write_bytes(b"\x0c\xff\x81\x03\x01\x01")
    refused(tmp_path / "other.pt", "not a file of PyTorch")


def mutated(fixtures, tmp_path, count):
    """How many mutations of files of every kind are read; all others are refused, and none ends in another error."""
    names = ["0.4.3-legacy/tagger.pt", "0.5.1-legacy/lm-forward.pt", "0.10/tagger.pt", "0.15.1/tagger.pt",
             "0.10/classifier-gru.pt", "0.15.1/classifier-pool.pt", "0.15.1/lm-backward.pt"]  # fmt: skip
    sources = [(fixtures / f"flair-{name}").read_bytes() for name in names]
    draw, path, read = random.Random(0), tmp_path / "m.pt", 0
    for _ in range(count):
        data = draw.choice(sources)
        if draw.random() < 0.5:  # within the pickle, which is a small part of the file
            begin = data.find(b"\x80")
            at = min(begin + int(draw.expovariate(1 / 3000)), len(data) - 1)
            data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        else:
            data = damaged(data, draw)
        path.write_bytes(data)
        with suppress(InputError):
            import_flair(path)
            read += 1
    return read


def test_mutated_files_are_read_or_refused(fixtures, tmp_path):
    assert 0 < mutated(fixtures, tmp_path, 60) < 60


@pytest.mark.slow
def test_two_thousand_mutated_files_are_read_or_refused(fixtures, tmp_path):
    assert 0 < mutated(fixtures, tmp_path, 2000) < 2000
