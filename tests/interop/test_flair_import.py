"""`spago-jax import` of Flair's files: what it says and writes, and that the result is a model like any other."""

import json
import subprocess
import sys

import numpy as np
import pytest

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.core import flat
from spago_jax.tasks.load import open_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole


@pytest.fixture(scope="module")
def fixtures(shared_data):
    return shared_data / "flair-fixtures"


@pytest.fixture(scope="module")
def imported(fixtures, tmp_path_factory):
    """The folder of an imported tagger."""
    folder = tmp_path_factory.mktemp("imported") / "tagger"
    assert run(["import", str(fixtures / "flair-0.15.1" / "tagger.pt"), str(folder)]) == 0
    return folder


def says(capsys, code, *arguments):
    capsys.readouterr()
    assert run(["import", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out if code == 0 else err


def test_the_report_says_what_was_in_the_file(fixtures, capsys):
    folder = fixtures / "flair-0.10"
    found = json.loads(says(capsys, 0, folder / "tagger.pt", "--json"))
    assert found["kind"] == "SequenceTagger"
    assert found["task"] == "token-classification"
    assert found["embeddings"] == [
        "words: 5 vectors of 4",
        "a forward language model: LSTM 6, 67 characters",
        "a backward language model: LSTM 6, 67 characters",
    ]
    assert (found["output"], found["tags"][0], len(found["tags"])) == ("crf", "O", 9)
    rows = dict(line.split(None, 1) for line in says(capsys, 0, folder / "classifier-gru.pt").splitlines())
    assert (rows["kind"], rows["labels"]) == ("TextClassifier", "3: neg, pos, neu")
    assert json.loads(says(capsys, 0, folder / "lm-backward.pt", "--json"))["direction"] == "backward"


def test_a_folder_is_written_whole_and_replaced_only_when_told_so(fixtures, imported, capsys, tmp_path):
    names = sorted(path.name for path in imported.iterdir())
    assert names == ["assets", "config.yaml", "imported.json", "model.safetensors"]
    source = fixtures / "flair-0.15.1" / "tagger.pt"
    assert "replace it with --overwrite" in says(capsys, 2, source, imported)
    assert says(capsys, 0, source, imported, "--overwrite")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    assert "holds other things" in says(capsys, 2, source, tmp_path / "other", "--overwrite")
    assert "is for a model in Hugging Face's layout" in says(capsys, 2, source, "--head", "states")
    assert "is for a model of Flair's" in says(capsys, 2, tmp_path / "no-such", "--tokenizer", "words")


def test_a_folder_of_the_hub_with_one_file_is_a_model_of_flair(fixtures, tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes((fixtures / "flair-0.12.2" / "tagger.pt").read_bytes())
    tagger = sj.load_task("token-classification", tmp_path)
    assert len(tagger([["a", "b"]])[0].tags) == 2


def test_predict_answers_with_the_file_itself(fixtures, tmp_path, capsys):
    source = fixtures / "flair-0.15.1" / "tagger.pt"
    (tmp_path / "in.txt").write_text("the Cat met\n")
    options = ["--input", str(tmp_path / "in.txt"), "--format", "json"]
    capsys.readouterr()
    assert run(["predict", str(source), "spans=scheme", "score=flair", "distributions=true", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    (answer,) = sj.load_task("token-classification", source)([("the", "Cat", "met")], score="flair")
    np.testing.assert_allclose(found["scores"], answer.scores, atol=1e-6)
    assert len(found["distributions"]) == 3
    assert len(found["distributions"][0]) == 9
    assert run(["run", "token-classification", str(source), "a text"]) == 2
    assert "spago-jax predict FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_an_imported_tagger_is_trained_on(imported, corpus, tmp_path):
    settings = open_run(imported).experiment.model_dump(mode="json", by_alias=True)
    settings |= {
        "name": "more",
        "data": {"format": "conll", "train": f"{corpus}/train.conll", "dev": f"{corpus}/dev.conll"},
        "init": {"from": str(imported)},
        "train": {"steps": 1, "batch_size": 16, "eval_batch_size": 16, "buckets": 1},
    }
    fit(load_experiment(settings), tmp_path / "more", console=TrainingConsole(quiet=True))
    before, after = open_run(imported), open_run(tmp_path / "more")
    old, new = before.task.processor.tags, after.task.processor.tags
    assert new.names[: len(old.names)] == old.names
    assert set(new.names) == {*old.names, "S-PER", "S-LOC", "B-LOC", "E-LOC", "I-LOC", "I-PER", "B-PER", "E-PER", "O"}
    first, more = flat(before.model), flat(after.model)
    for path in first:
        if ".forward." in path and path.startswith("embeddings."):
            np.testing.assert_array_equal(first[path], more[path], err_msg=path)
    words, grown = (model["embeddings.parts.0.table.weight"] for model in (first, more))
    np.testing.assert_array_equal(words, grown[: len(words)])
    assert len(grown) > len(words)
    assert not np.array_equal(first["encoder.rnn.layers.0.forward.bias"], more["encoder.rnn.layers.0.forward.bias"])


ANSWERS = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden}:
            raise ImportError(name + " must not be needed")
sys.meta_path.insert(0, Refused())
import json
from predict import load
answers = load()([("the", "Cat", "of", "Paris", "met", "1999"), ("\\u00dcn\\u00ef",), "two words"],
                 score="flair", distributions=True)
print(json.dumps([answer.to_dict() for answer in answers]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "forbidden"),
    [
        ("stablehlo", ("spago_jax", "flax", "torch", "flair", "onnxruntime")),
        pytest.param("onnx", ("spago_jax", "jax", "flax", "torch", "flair"), marks=pytest.mark.oracle),
    ],
)
def test_an_exported_tagger_of_flair_answers_the_same_in_a_clean_environment(imported, tmp_path, form, forbidden):
    """Embeddings, recurrence, CRF and Viterbi in one artefact."""
    assert run(["export", str(imported), str(tmp_path / "out"), "--format", form]) == 0
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS.replace("{forbidden}", repr(forbidden))],
        cwd=tmp_path / "out", capture_output=True, text=True, env={"PATH": "", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tagger = sj.load_task("token-classification", imported)
    inputs = [("the", "Cat", "of", "Paris", "met", "1999"), ("Ünï",), "two words"]
    expected = [answer.to_dict() for answer in tagger(inputs, score="flair", distributions=True)]
    for found, answer in zip(json.loads(done.stdout), expected, strict=True):
        assert found["tags"] == list(answer["tags"])
        np.testing.assert_allclose(found["scores"], answer["scores"], atol=3e-6)
        assert [(s["start"], s["end"], s["label"]) for s in found["spans"]] == [
            (s["start"], s["end"], s["label"]) for s in answer["spans"]
        ]
