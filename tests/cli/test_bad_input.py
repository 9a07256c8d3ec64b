"""Whatever is wrong with the input: one message that says where, an exit code, no traceback, nothing half-written."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tiny_runs import write_idx

from spago_jax.cli.main import run

MAIN = "from spago_jax.cli import main; main()"


@pytest.fixture
def refused(capsys):
    """Runs the command and gives its message; it must fail with the code, and say it once."""

    def check(code: int, *arguments: object) -> str:
        assert run([str(a) for a in arguments]) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        assert printed.err.count("spago-jax: ") == 1
        return printed.err

    return check


@pytest.fixture
def refused_training(refused, config, tmp_path):
    """As ``refused``, for training with a change of the config; no run folder may be left."""

    def check(change: dict, code: int = 2) -> str:
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in change.items()]
        (tmp_path / "x.yaml").write_text(f"extends: {config}\n{''.join(lines)}")
        message = refused(code, "train", tmp_path / "x.yaml", "--out", tmp_path / "run", "-q")
        assert not (tmp_path / "run").exists()
        return message.removeprefix(f"spago-jax: {tmp_path}/").rstrip("\n")

    return check


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"epoch": 3}}, "x.yaml:2: unknown key 'train.epoch': did you mean 'epochs'?"),
        ({"model": {"dropuot": 0}}, "x.yaml:2: unknown key 'model.dropuot': did you mean 'dropout'?"),
        ({"model": {"encoder": {"hiden": 3}}}, "x.yaml:2: unknown key 'model.encoder.hiden': did you mean 'hidden'?"),
        ({"optimizer": {"name": "adamm"}}, "x.yaml:2: optimizer.name = 'adamm': should be 'sgd', 'adam'"),
        ({"train": {"epochs": "many"}}, "x.yaml:2: train.epochs = 'many': should be a valid integer"),
        ({"train": {"batch_size": 0}}, "x.yaml:2: train.batch_size = 0: should be greater than or equal to 1"),
        ({"train": [1]}, "x.yaml:2: train = [1]: should be a mapping"),
        ({"train": {"precision": "float31"}}, "float31"),
        ({"train": {"devices": "some"}}, "x.yaml:2: train.devices = 'some'"),
        ({"train": {"metric": "acuracy"}}, "train.metric = 'acuracy': did you mean 'accuracy'?"),
        ({"name": {"a": 1}}, "x.yaml:2: name = {'a': 1}: should be a valid string"),
        ({"task": "tagging"}, "x.yaml:2: unknown task 'tagging'"),
        ({"model": None}, "x.yaml:2: model = None: should be a mapping"),
        ({"model": {"encoder": {"kind": "rnn"}}}, "x.yaml:2: model.encoder.kind = 'rnn': did you mean 'birnn'?"),
        ({"data": {"train": "/nowhere/a.conll"}}, "/nowhere/a.conll: data.train: no such file"),
        ({"data": {"train": ["/nowhere/b.conll"]}}, "/nowhere/b.conll: data.train: no such file"),
        ({"data": {"train": []}}, "data.train = []: an empty list names no file"),
        ({"data": {"train": "/proc/self/task"}}, "/proc/self/task: data.train: is a folder, expected a file"),
        (
            {"model": {"embeddings": [{"kind": "words", "vectors": "/nowhere/v.txt"}]}},
            "/nowhere/v.txt: model.embeddings.0.vectors: no such file",
        ),
        ({"data": {"token_column": 7}}, "train.conll:1: token_column 7 does not exist: 2 columns, numbered 0 to 1"),
        ({"optimizer": {"groups": [{"match": "encodr", "scale": 2}]}}, "optimizer.groups[0].match 'encodr' matches no"),
        ({"seed": -1}, "x.yaml:2: seed = -1"),
    ],
)
def test_configs(refused_training, change, message):
    assert message in refused_training(change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "x.yaml:2: not valid YAML"),
        ("day: 2024-13-01\n", "x.yaml: not valid YAML: month must be in 1..12"),
        ("- 1\n", "x.yaml: an experiment is a YAML mapping"),
        ("extends: x.yaml\n", "x.yaml: extends goes round in a circle"),
        ("\udcff", "x.yaml: cannot read the config: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_files_that_are_no_config(refused, tmp_path, text, message):
    (tmp_path / "x.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert message in refused(2, "train", tmp_path / "x.yaml", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_config_that_is_not_there(refused, corpus, tmp_path):
    message = refused(2, "train", corpus / "tyni.yaml", "--out", tmp_path / "run")
    assert message == f"spago-jax: {corpus}/tyni.yaml: no such config file; did you mean 'tiny.yaml'?\n"
    assert f"{corpus}: cannot read the config: " in refused(2, "train", corpus, "--out", tmp_path / "run")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "override 'train.epochs' is not of the form key.sub=value"),
        ("train.epoch=3", "override 'train.epoch=3': unknown key 'train.epoch': did you mean 'epochs'?"),
        ("train.epochs=[", "override 'train.epochs=[': the value is not YAML"),
        ("train.epochs=2024-13-01", "override 'train.epochs=2024-13-01': the value is not YAML"),
        ("name.x=1", "override 'name.x=1': name = {'x': 1}: should be a valid string"),
        ("optimizer.groups.0.match=x", "optimizer.groups"),
        ("train.0=3", "override 'train.0=3': train.0 = 0: keys should be strings"),
    ],
)
def test_overrides(refused, config, tmp_path, override, message):
    assert message in refused(2, "train", config, override, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_override_below_a_number(refused, corpus, tmp_path):
    message = refused(2, "train", corpus / "images.yaml", "model.hidden.0.x=3", "--out", tmp_path / "run")
    assert "override 'model.hidden.0.x=3': model.hidden.0 has no settings of its own" in message


def test_texts_that_are_no_unicode_are_refused_before_training(refused, corpus, tmp_path):
    place = f"spago-jax: {tmp_path}/a.jsonl"
    half = "is half of a surrogate pair (U+{}), which is not a character: the text was cut within one, or was not UTF-8"
    first = '{"text": "it was", "label": "happy"}\n'
    (tmp_path / "a.jsonl").write_text(first + '{"text": "a day \\ud83d", "label": "sad"}\n')
    arguments = ["train", corpus / "moods-mean.yaml", f"data.train={tmp_path}/a.jsonl", "--out", tmp_path / "run"]
    assert refused(2, *arguments) == f"{place}:2: not Unicode: 'text': character 6 {half.format('D83D')}\n"
    (tmp_path / "a.jsonl").write_text('{"text": "it was", "label": "happy\\udc00"}\n')
    assert refused(2, *arguments) == f"{place}:1: not Unicode: 'label': character 5 {half.format('DC00')}\n"
    # an argument that is not UTF-8, as Python hands it over
    message = refused(2, "train", corpus / "moods-mean.yaml", "--out", f"{tmp_path}/run\udcff")
    assert message.endswith(f": character {len(str(tmp_path)) + 4} {half.format('DCFF')}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"Ann\tB-PER\nRome\tB-LOC\tx\n",
            "bad.conll:2: 3 columns, expected 2 as in line 1: 'Rome\\tB-LOC\\tx'",
        ),
        (b"Ann\tB-PER\nRome\n", "bad.conll:2: 1 column, expected 2 as in line 1: 'Rome'"),
        (b"Ann\tB-PER\n\tO\n", "bad.conll:2: the token is empty"),
        (b"", "bad.conll: empty: no line has a token"),
        (b"\n\n", "bad.conll: empty: no line has a token"),
        (b"Ann\tB-PER\n\xff\xfe\tO\n", "bad.conll:2: not UTF-8: byte 0xff at offset 10"),
    ],
)
@pytest.mark.parametrize("split", ["train", "dev"])
def test_conll_files(refused_training, tmp_path, content, message, split):
    (tmp_path / "bad.conll").write_bytes(content)
    assert refused_training({"data": {split: str(tmp_path / "bad.conll")}}).startswith(message)


@pytest.mark.parametrize(
    ("content", "size", "message"),
    [
        (b"Ann 1 2 3\nBob 1 nan 3\n", 3, "vectors.txt:2: "),
        (b"Ann 1 2 3\nBob 1 inf 3\n", 3, "vectors.txt:2: "),
        (b"Ann 1 2 3\nBob 1 2\n", 3, "vectors.txt:2: "),
        (b"Ann 1 2 3\nBob 1 two 3\n", 3, "vectors.txt:2: "),
        (b"", 3, "vectors.txt:1: empty"),
        (b"Ann 1 2 \xff\n", 3, "vectors.txt:1: "),
        (b"Ann 1 2 3\n", 4, "vectors.txt: model.embeddings.words.size = 4, but these vectors have 3 numbers each"),
    ],
)
def test_word_vectors(refused_training, tmp_path, content, size, message):
    (tmp_path / "vectors.txt").write_bytes(content)
    words = {"kind": "words", "vectors": str(tmp_path / "vectors.txt"), "size": size}
    found = refused_training({"model": {"embeddings": [words]}})
    assert found.startswith(message)
    if b"nan" in content:
        assert "nan" in found


@pytest.mark.parametrize(
    ("kind", "files", "message"),
    [
        ("letters", {"letters.txt": b"abc"}, "a text of"),
        ("letters", {"letters.txt": b""}, "letters.txt: empty: there are no characters in it"),
        ("letters", {"letters.txt": b"ab\n\xffc"}, "letters.txt:2: not UTF-8: byte 0xff at offset 3"),
        ("images", {"images.idx": b"\0\0\x08\x03\0\0\0\x09"}, "images.idx: "),
        ("images", {"labels.idx": b"\0\0\x08\x01\0\0\0\x02\0\1"}, "labels.idx: 2 labels for 120 images"),
        ("moods-mean", {"texts.csv": b"text,mood\na,b\n"}, "texts.csv:1: "),
        ("moods-mean", {"texts.csv": b""}, "texts.csv: "),
    ],
)
def test_data_of_other_kinds(refused, corpus, tmp_path, kind, files, message):
    for path in corpus.iterdir():
        shutil.copy(path, tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    config = tmp_path / f"{kind}.yaml"
    config.write_text(config.read_text().replace(str(corpus), str(tmp_path)))
    found = refused(2, "train", config, "--out", tmp_path / "run")
    assert found.removeprefix("spago-jax: ").removeprefix(f"{tmp_path}/").startswith(message)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "key", ["train.early_stopping={patience: 1}", "train.metric=f1", "optimizer.plateau={factor: 0.5}"]
)
def test_what_follows_the_dev_score_needs_dev_data(refused, config, tmp_path, key):
    message = refused(2, "train", config, key, "data.dev=null", "--out", tmp_path / "run")
    assert message.startswith(f"spago-jax: {key.split('=')[0]} follows the dev score, but data.dev is missing")
    assert not (tmp_path / "run").exists()


def test_resume_and_overwrite(refused, config, tmp_path):
    assert "choose one" in refused(2, "train", config, "--resume", "--overwrite", "--out", tmp_path / "run")


def test_a_failed_overwrite_keeps_the_run(trained, refused, config, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    before = sorted(path.name for path in (tmp_path / "run").rglob("*"))
    groups = "optimizer.groups=[{match: encodr, scale: 2}]"
    assert "matches no array" in refused(2, "train", config, groups, "--overwrite", "--out", tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == before


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the trained run, to be spoiled."""
    shutil.copytree(trained[1], tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("command", ["evaluate", "predict", "inspect"])
def test_a_folder_that_is_no_run(refused, tmp_path, command):
    assert f"{tmp_path} is not the folder of a run (it has no config.yaml)" in refused(2, command, tmp_path)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_without_checkpoints(refused, copied, command):
    shutil.rmtree(copied / "checkpoints")
    assert "checkpoints: no checkpoints here; is this the folder of a run?" in refused(1, command, copied)
    (copied / "checkpoints").mkdir()
    assert "checkpoints: there is no checkpoint yet" in refused(1, command, copied)


def test_a_checkpoint_of_another_model(refused, copied):
    text = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(text.replace("hidden: 8", "hidden: 9"))
    message = refused(1, "predict", copied)
    assert "is of another model: array 'encoder.rnn.layers.0." in message
    assert "the model expects" in message


@pytest.mark.slow
def test_checkpoints_damaged_in_every_file(copied, corpus, capsys, tmp_path):
    # Whatever file of it is cut off, empty or missing: it is read all the same, or refused in one line.
    steps = sorted(int(path.name) for path in (copied / "checkpoints").iterdir())
    chosen = json.loads((copied / "scores.json").read_text())["best_step"]
    refusals = 0
    files = [path for path in (copied / "checkpoints" / str(chosen)).rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        whole = path.read_bytes()
        for damage in (whole[: len(whole) // 2], b"", None):
            if damage is None:
                path.unlink()
            else:
                path.write_bytes(damage)
            code = run(["predict", str(copied), "--input", str(corpus / "test.conll")])
            printed = capsys.readouterr()
            assert code in (0, 1), path
            assert "Traceback" not in printed.err
            if code:
                refusals += 1
                assert printed.out == ""
                assert printed.err.count("\n") == 1, printed.err
                assert "checkpoint" in printed.err
                if "truncated" in printed.err and len(steps) > 1:
                    assert f"; delete {copied}/checkpoints/{chosen} to use checkpoint " in printed.err
            path.write_bytes(whole)
    assert refusals > 0
    assert run(["predict", str(copied), "--input", str(corpus / "test.conll")]) == 0


def test_a_step_that_has_no_checkpoint(refused, trained):
    assert "no checkpoint of step 77; there are [" in refused(1, "evaluate", trained[1], "--step", 77)


@pytest.mark.parametrize("name", ["tags.json", "words.json", "words.settings.json", "processor.json"])
def test_damaged_assets(refused, copied, name):
    (copied / "assets" / name).write_text("{")
    assert f"{copied}/assets/{name}:" in refused(2, "predict", copied)


def test_a_damaged_config_of_a_run(refused, copied):
    (copied / "config.yaml").write_text("name: [\n")
    assert f"{copied}/config.yaml:2: not valid YAML" in refused(2, "evaluate", copied)


def test_other_tags(refused, trained, tmp_path):
    (tmp_path / "other.conll").write_text("Ann\tB-NOUN\nsees\tB-VERB\n")
    message = refused(2, "evaluate", trained[1], "--data", tmp_path / "other.conll")
    assert f"{tmp_path}/other.conll: data: none of its tags (" in message
    assert "is one of the model's (B-LOC, " in message
    (tmp_path / "pos.conll").write_text("Ann\tNOUN\nsees\tVERB\n")
    message = refused(2, "evaluate", trained[1], "--data", tmp_path / "pos.conll")
    assert (
        f"{tmp_path}/pos.conll:1: in the sentence from here: tag 'NOUN' is not of the scheme IOB2: expected O"
        in message
    )


def test_data_of_another_kind(refused, trained, letters, pictures, corpus):
    (corpus / "one.txt").write_text("Ann\n")
    assert "one.txt:1: 1 column, expected 2 or more" in refused(2, "evaluate", trained[1], "--data", corpus / "one.txt")
    (corpus / "far.txt").write_text("\u6771\u4eac" * 9)
    message = refused(2, "evaluate", letters[1], "--data", corpus / "far.txt")
    assert "none of its characters is in the alphabet of" in message
    message = refused(2, "evaluate", pictures[1], "--data", corpus / "images.idx")
    assert "give an image file and a label file, as IMAGES,LABELS" in message
    assert "/nowhere: no such file" in refused(2, "evaluate", trained[1], "--data", "/nowhere")
    (corpus / "none").mkdir(exist_ok=True)
    assert "none: is a folder, expected a file" in refused(2, "evaluate", trained[1], "--data", corpus / "none")


def test_inputs_that_cannot_be_read(refused, trained, letters, pictures, mood, tmp_path):
    assert "/nowhere.txt: no such file" in refused(2, "predict", trained[1], "--input", "/nowhere.txt")
    message = refused(2, "predict", trained[1], "--input", tmp_path)
    assert message == f"spago-jax: {tmp_path}: is a folder, expected a file; it holds no files\n"
    (tmp_path / "bad.txt").write_bytes(b"Ann sees\nRome \xff\n")
    for run_folder in (trained[1], mood[1], letters[1]):
        message = refused(2, "predict", run_folder, "--input", tmp_path / "bad.txt", "--format", "json")
        assert "bad.txt:2: not UTF-8: byte 0xff" in message
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    assert "bad.npy: not a NumPy array" in refused(2, "predict", pictures[1], "--input", tmp_path / "bad.npy")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    assert "objects.npy: not a NumPy array" in refused(2, "predict", pictures[1], "--input", tmp_path / "objects.npy")
    np.save(tmp_path / "words.npy", np.array(["a"]))
    assert "words.npy: not a NumPy array" in refused(2, "predict", pictures[1], "--input", tmp_path / "words.npy")
    write_idx(tmp_path / "wide.idx", np.zeros((2, 4, 5), np.uint8))
    message = refused(2, "predict", pictures[1], "--input", tmp_path / "wide.idx")
    assert "images have shape [2, 4, 5], the model expects [n, 4, 4]" in message
    assert "an image classifier reads a file: --input FILE" in refused(2, "predict", pictures[1])
    (tmp_path / "odd.txt").write_text("Ann sees \u20ac\n")
    message = refused(2, "predict", letters[1], "--input", tmp_path / "odd.txt", "--format", "json")
    assert "character '\u20ac' (at 9) is not among the model's" in message


def test_columns_for_what_has_no_tags(refused, mood, letters, corpus):
    for folder, task in ((mood[1], "text-classification"), (letters[1], "text-generation")):
        message = refused(2, "predict", folder, "--format", "conll", "--input", corpus / "letters.txt")
        assert f"{task} has no tags to write as CoNLL columns; choose the format text or json" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["predict"], "Missing argument 'RUN'"),
        (["predict", "x", "--format", "xml"], "'xml' is not one of 'text', 'json', 'conll'"),
        (["train", "x", "--epochs", "3"], "No such option"),
        (["configs", "labeler"], "unknown task 'labeler'"),
    ],
)
def test_mistakes_on_the_command_line(capsys, arguments, message):
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err


def test_a_real_process(tmp_path, corpus):
    (tmp_path / "bad.conll").write_text("Ann\tB-PER\nRome\n")
    arguments = ["train", str(corpus / "tiny.yaml"), f"data.train={tmp_path}/bad.conll", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"spago-jax: {tmp_path}/bad.conll:2: 1 column, expected 2 as in line 1: 'Rome' " + (
        "(no tab here, but tabs between the columns of line 1)\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_in_a_real_process(copied, corpus):
    # TensorStore and Orbax report from threads of their own, which a test in this process does not see.
    for path in (copied / "checkpoints").rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            MAIN,
            "predict",
            copied,
            "--input",
            corpus / "test.conll",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be read; it may be truncated" in done.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("characters=0", "override 'characters=0': characters = 0: should be greater than or equal to 1"),
        ("seed=-1", "override 'seed=-1': seed = -1: should be greater than or equal to 0"),
        ("temperature=hot", "override 'temperature=hot': temperature = 'hot': should be a valid number"),
        ("temprature=1", "override 'temprature=1': unknown key 'temprature': did you mean 'temperature'?"),
        ("temperature", "override 'temperature' is not of the form key.sub=value"),
    ],
)
def test_options_of_a_prediction(refused, letters, option, message):
    assert message in refused(2, "predict", letters[1], option)


def test_options_that_a_task_does_not_have(refused, trained):
    message = refused(2, "predict", trained[1], "temperature=1")
    assert (
        "override 'temperature=1': unknown key 'temperature': known: distributions, score, spans, threshold" in message
    )
