"""`spago-jax export`: what it writes, and what it says about bad input."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from spago_jax.tasks.classifying import ImageLabeler, TextLabeler
from spago_jax.tasks.readme import readme
from spago_jax.tasks.run import open_run
from spago_jax.tasks.tagging import Tagger
from spago_jax.tasks.writing import Writer

from spago_jax.cli.main import run
from spago_jax.compiler.ship import load_program


def exported(folder, target, *options):
    assert run(["export", str(folder), str(target), *options]) == 0
    return load_program(target)


def test_a_tagger_with_its_vocabularies(trained, tmp_path, capsys):
    program = exported(trained[1], tmp_path / "out", "--platforms", "cpu", "--differentiable")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("/")[-1] for line in printed] == [
        "README.txt",
        "characters.json",
        "features.json",
        "shapes.json",
        "tags.json",
        "words.json",
        "load_program.py",
        "manifest.json",
        "program.jax_export",
        "weights.safetensors",
    ]
    assert all(re.match(r" *[\d,]+  /", line) for line in printed)
    assert program.platforms == ("cpu",)
    assert program.differentiable
    # A receiver encodes with what lies in the folder, as the README says, and gets what the tagger gives.
    sentences = [["Ann", "visits", "old", "Rome", "."], ["Max", "sees", "Oslo", "Centre", "."]]
    words = {w: i for i, w in enumerate(json.loads(program.file("assets/words.json").read_text())["terms"])}
    letters = {c: i for i, c in enumerate(json.loads(program.file("assets/characters.json").read_text())["terms"])}
    batch = {
        "words": [[words.get(w, words.get(w.lower(), 1)) for w in row] for row in sentences],
        "characters": [[[letters.get(c, 1) for c in w[:8]] + [0] * (8 - len(w)) for w in row] for row in sentences],
        "character_lengths": [[len(w[:8]) for w in row] for row in sentences],
        "lengths": [5, 5],
    }
    found = np.asarray(program(batch)["tags"])
    tagged = list(Tagger(open_run(trained[1])).tag(sentences))
    names = program.metadata["tags"]
    assert program.metadata["files_scheme"] == "IOB2"
    for row, sentence in zip(found, tagged, strict=True):
        entities = [name.split("-")[-1] for name in (names[i] for i in row)]
        assert entities == [tag.split("-")[-1] for tag in sentence.tags]


def test_a_text_classifier(moods, tmp_path):
    program = exported(moods[1], tmp_path / "out")
    opened = open_run(moods[1])
    texts = ["it was raining", "sunshine"]
    recipe = opened.recipe
    tokens = [text.split() for text in texts]
    batch = {
        "words": [[recipe.features.word_id(w) for w in row] + [0] * (3 - len(row)) for row in tokens],
        "lengths": [len(row) for row in tokens],
    }
    if "ngrams" in program.specs["inputs"]["dict"]:
        grams = [recipe.ngrams_of(row) for row in tokens]
        width = max(map(len, grams))
        batch["ngrams"] = [row + [0] * (width - len(row)) for row in grams]
        batch["ngram_lengths"] = [len(row) for row in grams]
    found = np.asarray(program(batch)["probabilities"])
    for row, one in zip(found, TextLabeler(opened).classify(texts), strict=True):
        want = dict(one.ranking)
        np.testing.assert_allclose(row, [want[name] for name in program.metadata["classes"]], atol=1e-6)


def test_an_image_classifier(pictures, tmp_path):
    program = exported(pictures[1], tmp_path / "out")
    images = np.random.default_rng(0).integers(0, 255, (5, 4, 4)).astype(np.uint8)
    found = np.asarray(program(images)["probabilities"])
    for row, one in zip(found, ImageLabeler(open_run(pictures[1])).classify(images), strict=True):
        want = dict(one.ranking)
        np.testing.assert_allclose(row, [want[name] for name in program.metadata["classes"]], atol=1e-6)


def test_a_character_model_step_by_step_and_in_one_go(letters, tmp_path):
    program = exported(letters[1], tmp_path / "out")
    text = "Ann sees Rome.\nMax"
    alphabet = program.metadata["alphabet"]
    ids = np.array([[alphabet.index(c) for c in text]], np.int32)
    whole = program(ids, [len(text)], program.zeros("state", batch=1))
    state, steps = program.zeros("state", batch=1), []
    for at in range(len(text)):
        found = program(ids[:, at : at + 1], [1], state)
        state = found["state"]
        steps.append(np.asarray(found["log_probabilities"])[0, 0])
    np.testing.assert_allclose(np.stack(steps), whole["log_probabilities"][0], atol=1e-5)
    nats = -np.mean([steps[at][ids[0, at + 1]] for at in range(len(text) - 1)])
    np.testing.assert_allclose(nats, Writer(open_run(letters[1])).nats(text), rtol=1e-5)


def test_the_readme_s_example_runs(letters, trained, pictures, mood, tmp_path):
    for name, folder in {"letters": letters, "tiny": trained, "pictures": pictures, "mood": mood}.items():
        target = tmp_path / name
        exported(folder[1], target)
        lines = (target / "README.txt").read_text().splitlines()
        code = "\n".join(line[4:] for line in lines if line.startswith("    "))
        done = subprocess.run([sys.executable, "-c", code], cwd=target, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "LoadedProgram(" in done.stdout


def test_bad_input_is_one_line_and_leaves_nothing(trained, config, tmp_path, capsys):
    def refused(code, message, *arguments):
        assert run(["export", *map(str, arguments)]) == code
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.splitlines() == [f"spago-jax: {message}"]

    target = tmp_path / "out"
    refused(2, "unknown platform 'cudaa': did you mean 'cuda'?", trained[1], target, "--platforms", "cpu,cudaa")
    refused(2, "unknown platform 'gpu': write cuda (NVIDIA) or rocm (AMD)", trained[1], target, "--platforms", "gpu")
    refused(2, "no platform to export for; known: cpu, cuda, rocm, tpu", trained[1], target, "--platforms", ",")
    refused(
        2,
        "an ONNX model has no gradient; leave --differentiable away, or use --format stablehlo",
        *(trained[1], target, "--format", "onnx", "--differentiable"),
    )
    target.mkdir()
    (target / "letter.txt").write_text("dear")
    message = f"{target}: the folder holds other things than an exported program; choose another one"
    refused(2, message, trained[1], target, "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in target.iterdir()] == ["letter.txt"]
    assert run(["export", str(config), str(tmp_path / "other")]) == 2
    assert str(config) in capsys.readouterr().err


def test_an_existing_export_is_replaced_on_request_only(pictures, tmp_path, capsys):
    exported(pictures[1], tmp_path / "out")
    capsys.readouterr()
    assert run(["export", str(pictures[1]), str(tmp_path / "out")]) == 2
    assert "the folder exists; choose another one, or allow it to be replaced (overwrite)" in capsys.readouterr().err
    exported(pictures[1], tmp_path / "out", "--overwrite")


@pytest.mark.oracle
def test_onnx(trained, tmp_path, capsys):
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    assert run(["export", str(trained[1]), str(tmp_path / "out"), "--format", "onnx"]) == 0
    names = [line.split("/")[-1] for line in capsys.readouterr().out.splitlines()]
    assert {"README.txt", "manifest.json", "model.onnx", "words.json", "tags.json"} <= set(names)
    session = runtime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == [
        "batch.character_lengths",
        "batch.characters",
        "batch.lengths",
        "batch.words",
    ]
    assert [value.name for value in session.get_outputs()] == ["scores", "tags"]
    with pytest.raises(ValueError, match="holds a program in the format 'onnx', not 'stablehlo'"):
        load_program(tmp_path / "out")
    assert "pip install onnxruntime" in (tmp_path / "out" / "README.txt").read_text() == readme("tag", "onnx")
