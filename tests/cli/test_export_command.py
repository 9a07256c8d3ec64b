"""`spago-jax export`: what it writes, and what it says about bad input."""

import re
import subprocess
import sys

import numpy as np
import pytest
from tiny_runs import texts

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.compiler.ship import load_program
from spago_jax.tasks.carried_source import imported_modules, imports
from spago_jax.tasks.load import open_run

SENTENCES = ["Ann visits old Rome.", "Max, Zo\u00eb  and Eve see Oslo Centre ."]
# Runs predict.py where this library and its packages are not to be had.
RECEIVER = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("spago_jax", "flax", "optax", "orbax", "pydantic", "yaml", FORBIDDEN):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Forbidden())
sys.path.insert(0, ".")
from processor.tasks.predictor import main
from predict import load
main(load, sys.argv[1:])
"""


def exported(folder, target, *options):
    assert run(["export", str(folder), str(target), *options]) == 0
    return load_program(target)


def received(folder, *arguments, forbidden="flatbuffers", **options) -> str:
    """What an exported folder answers in a process without this library."""
    code = RECEIVER.replace("FORBIDDEN", repr(forbidden))
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=folder, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_tagger_answers_texts_without_this_library(trained, tmp_path, capsys):
    program = exported(trained[1], tmp_path / "out", "--platforms", "cpu", "--differentiable")
    printed = capsys.readouterr().out.splitlines()
    names = {line.split("out/")[-1] for line in printed}
    assert {
        "README.txt", "assets/characters.json", "assets/processor.json", "assets/tags.json", "assets/words.json",
        "load_program.py", "manifest.json", "predict.py", "program.jax_export", "weights.safetensors",
    } <= names  # fmt: skip
    assert all(re.match(r" *[\d,]+  /", line) for line in printed)
    assert program.platforms == ("cpu",)
    assert program.differentiable
    assert program.metadata["labels"] == ["LOC", "PER"]
    tagger = sj.load_task("token-classification", trained[1])
    expected = "".join(answer.to_text() for answer in tagger(SENTENCES))
    assert received(tmp_path / "out", *SENTENCES) == expected
    assert received(tmp_path / "out", input="\n".join(SENTENCES)) == expected
    columns = "".join(answer.to_columns() for answer in tagger(SENTENCES))
    assert received(tmp_path / "out", *SENTENCES, "--format", "conll") == columns
    again = sj.load_task("token-classification", tmp_path / "out")
    assert again(SENTENCES) == tagger(SENTENCES)


def test_text_classifiers_answer_texts_without_this_library(moods, tmp_path):
    exported(moods[1], tmp_path / "out")
    given = [text for text, _ in texts(3, 9)] + ["", "holidays " * 60]
    (tmp_path / "texts.txt").write_text("\n".join(given))
    classifier = sj.load_task("text-classification", moods[1])
    shown = received(tmp_path / "out", "--input", tmp_path / "texts.txt").splitlines()
    assert [line.split("\t")[0] for line in shown] == [answer.label for answer in classifier(given)]
    again = sj.load_task("text-classification", tmp_path / "out")
    for mine, other in zip(again(given), classifier(given), strict=True):
        assert dict(mine.ranking) == pytest.approx(dict(other.ranking), abs=1e-6)


def test_an_image_classifier(pictures, tmp_path):
    exported(pictures[1], tmp_path / "out")
    images = np.random.default_rng(0).integers(0, 255, (5, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    expected = list(sj.load_task("image-classification", pictures[1]).stream(images))
    shown = received(tmp_path / "out", "--input", tmp_path / "images.npy").splitlines()
    assert [line.split("\t")[0] for line in shown] == [answer.label for answer in expected]
    for mine, other in zip(
        sj.load_task("image-classification", tmp_path / "out").stream(images), expected, strict=True
    ):
        assert dict(mine.ranking) == pytest.approx(dict(other.ranking), abs=1e-6)


def test_a_language_model_step_by_step_and_in_one_go(letters, tmp_path):
    program = exported(letters[1], tmp_path / "out")
    writer, again = (sj.load_task("text-generation", folder) for folder in (letters[1], tmp_path / "out"))
    text = "Ann sees Rome.\nMax"
    ids = writer.processor.ids(text)[None]
    whole = program({"inputs": ids, "lengths": [len(text)]}, program.zeros("state", batch=1))
    state, steps = program.zeros("state", batch=1), []
    for at in range(len(text)):
        found = program({"inputs": ids[:, at : at + 1], "lengths": [1]}, state)
        state = found["state"]
        steps.append(np.asarray(found["logits"])[0, 0])
    np.testing.assert_allclose(np.stack(steps), whole["logits"][0], atol=1e-5)
    np.testing.assert_allclose(again.nats(text), writer.nats(text), rtol=1e-5)
    greedy = "".join(writer.pieces("Ann", 70, temperature=0))
    assert "".join(again.pieces("Ann", 70, temperature=0)) == greedy
    assert len("".join(again.pieces("Ann", 30, temperature=1.0, seed=3))) == 30
    assert received(tmp_path / "out", "Ann").startswith("Ann")
    first, second = again(["Ann", "Ann"], characters=70, temperature=1.0, top_p=0.9)
    assert first.text != second.text  # each prompt draws by itself
    assert "".join(again.pieces("Ann", 70, temperature=5, top_p=1e-6)) == greedy


def test_the_command_of_an_exported_folder_takes_options_and_reads_as_ours_does(letters, tmp_path):
    exported(letters[1], tmp_path / "out")
    again = sj.load_task("text-generation", tmp_path / "out")
    options = {"characters": 30, "temperature": 1.5, "seed": 3, "top_k": 5, "top_p": 0.7}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    data = b"\xef\xbb\xbfAnn\rBob sees\r\n"
    done = subprocess.run(
        [sys.executable, tmp_path / "out" / "predict.py", *flags], input=data, capture_output=True, cwd=tmp_path
    )
    assert done.stderr == b""
    assert done.stdout.decode() == "".join(found.to_text() for found in again(["Ann", "Bob sees"], **options))
    done = subprocess.run([sys.executable, tmp_path / "out" / "predict.py", b"\xff"], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.match(r"predict: character 0 is half of a surrogate pair \(U\+DCFF\).*\n$", done.stderr)


def test_the_readme_s_example_runs(letters, trained, mood, tmp_path):
    for name, folder in {"letters": letters, "tiny": trained, "mood": mood}.items():
        target = tmp_path / name
        exported(folder[1], target)
        lines = (target / "README.txt").read_text().splitlines()
        code = "\n".join(line[4:] for line in lines if line.startswith("    ") and "predict.py" not in line)
        if name == "letters":  # its alphabet has no lower-case x
            code = code.replace("a text", "Ann")
        done = subprocess.run([sys.executable, "-c", code], cwd=target, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "LoadedProgram(" in done.stdout


@pytest.mark.parametrize("task", ["trained", "letters", "pictures", "mood"])
def test_what_is_carried_needs_numpy_alone(task, request):
    folder = request.getfixturevalue(task)[1]
    processor = open_run(folder).task.processor
    modules = [type(part).__module__ for part in processor.components()]
    modules += [f"spago_jax.tasks.{name}" for name in ("predictor", "generator", "exported_engine", "onnx_program")]
    needed = {name.partition(".")[0] for module in imported_modules(modules) for name in imports(module)}
    assert needed - sys.stdlib_module_names == {"numpy", "spago_jax"}


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
    assert "the folder exists; choose another one, or replace it with --overwrite" in capsys.readouterr().err
    exported(pictures[1], tmp_path / "out", "--overwrite")


@pytest.mark.oracle
def test_onnx(trained, moods, letters, tmp_path, capsys):
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    assert run(["export", str(trained[1]), str(tmp_path / "out"), "--format", "onnx"]) == 0
    names = [line.split("/")[-1] for line in capsys.readouterr().out.splitlines()]
    assert {"README.txt", "manifest.json", "model.onnx", "predict.py", "words.json", "tags.json"} <= set(names)
    session = runtime.InferenceSession(str(tmp_path / "out" / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == [
        "batch.characters",
        "batch.characters_lengths",
        "batch.lengths",
        "batch.words",
    ]
    assert [value.name for value in session.get_outputs()] == ["link", "probability", "scores", "tags"]
    with pytest.raises(ValueError, match="holds a program in the format 'onnx', not 'stablehlo'"):
        load_program(tmp_path / "out")
    assert "pip install onnxruntime" in (tmp_path / "out" / "README.txt").read_text()
    tagger = sj.load_task("token-classification", trained[1])
    expected = "".join(answer.to_text() for answer in tagger(SENTENCES))
    assert received(tmp_path / "out", *SENTENCES, forbidden="jax") == expected
    assert run(["export", str(letters[1]), str(tmp_path / "letters"), "--format", "onnx"]) == 0
    assert received(tmp_path / "letters", "Ann", forbidden="jax").startswith("Ann")
