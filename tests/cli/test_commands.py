"""What the commands print, in every format, from files and from pipes."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import images, texts, write_idx

from spago_jax.cli.main import run
from spago_jax.cli.predict import wants_color
from spago_jax.data.formats.conll import read_conll
from spago_jax.train.metrics import EntityF1, score_conll_files

MAIN = "from spago_jax.cli import main; main()"


@pytest.fixture
def says(capsys):
    """Runs the command, which must succeed, and gives its standard output."""

    def check(*arguments: object) -> str:
        assert run([str(a) for a in arguments]) == 0
        return capsys.readouterr().out

    return check


@pytest.fixture
def stdin(monkeypatch):
    """Puts bytes on standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


# -- train, evaluate, inspect, configs -------------------------------------------------------------------------------


def test_train_prints_scores_and_where_they_are(config, tmp_path, capsys):
    assert run(["train", str(config), "train.epochs=2", "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["f1", "precision", "recall", "accuracy", "loss"]
    assert [line.split()[0] for line in lines[1:5]] == ["dev", "baseline", "test", "baseline"]
    assert lines[5:] == [
        "best checkpoint: step 16",
        f"run folder:      {tmp_path / 'run'}",
        f"report:          {tmp_path / 'run' / 'report.html'}",
    ]
    assert re.search(r"tiny: [\d,]+ parameters, 1 device\(s\), run folder", printed.err)
    assert len(re.findall(r"^epoch [12]/2: dev f1 \d\.\d{4}.*tokens/s\)$", printed.err, re.MULTILINE)) == 2
    assert "\x1b" not in printed.err  # no colours and no bars where there is no terminal


def test_quiet_prints_the_scores_only(config, tmp_path, capsys):
    assert run(["train", str(config), "train.epochs=1", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "best checkpoint: step 8" in printed.out


def test_the_run_folder_is_named_after_the_experiment(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(corpus / "images.yaml"), "train.epochs=1", "-q"]) == 0
    assert (tmp_path / "runs" / "images" / "report.html").exists()


@pytest.mark.parametrize("kind", ["trained", "letters", "pictures", "mood"])
def test_evaluate_gives_the_scores_of_training(says, request, kind):
    result, folder = request.getfixturevalue(kind)
    found = json.loads(says("evaluate", folder, "--json"))
    assert found == {split: score.values for split, score in result.scores.items()}


def test_evaluate_a_file(says, trained, pictures, mood, letters, corpus):
    result, folder = trained
    found = json.loads(says("evaluate", folder, "--data", corpus / "test.conll", "--json"))["data"]
    expected = result.scores["test"].values
    assert found == pytest.approx(expected, rel=1e-5)  # other lengths to pad to: the same up to rounding
    assert re.search(r"^data +\d\.\d{4} ", says("evaluate", folder, "--data", corpus / "test.conll"), re.MULTILINE)
    found = json.loads(says("evaluate", pictures[1], "--data", f"{corpus}/images.idx,{corpus}/labels.idx", "--json"))
    assert found["data"]["accuracy"] > 0.9
    found = json.loads(says("evaluate", mood[1], "--data", corpus / "texts.csv", "--json"))
    assert found["data"]["accuracy"] > 0.9
    found = json.loads(says("evaluate", letters[1], "--data", corpus / "letters.txt", "--json"))
    assert found["data"]["nats"] < 1.5


def test_evaluate_another_checkpoint(says, trained):
    result, folder = trained
    steps = sorted(int(path.name) for path in (folder / "checkpoints").iterdir())
    other = next(step for step in steps if step != result.best_step)
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (expected,) = [line for line in log if line["kind"] == "dev" and line["step"] == other]
    assert json.loads(says("evaluate", folder, "--step", other, "--json"))["dev"]["loss"] == expected["loss"]


@pytest.mark.parametrize("what", ["config", "run"])
def test_inspect(says, trained, config, what):
    printed = says("inspect", config if what == "config" else trained[1], "train.epochs=7")
    assert "epochs: 7" in printed
    assert "scorer.weight" in printed
    assert re.search(r"^train: LengthBatches\(60 examples, 8 batches of 8", printed, re.MULTILINE)
    assert "train_block" in printed
    assert "evaluate_block" in printed
    assert "train_block" not in says("inspect", config, "--no-programs")


def test_configs(says):
    printed = says("configs")
    for task in ("token-classification", "text-generation", "image-classification", "text-classification"):
        assert f"model (for task: {task}): " in printed
    assert "train.batch_size: int > 0 (default 32)    examples (or parallel text streams) per step" in printed
    assert "data (format: conllu, for task: token-classification): " in printed
    assert "model.embeddings[] (kind: characters).filters: int > 0 (default 50)" in printed
    assert "init.from: str (required)" in printed
    only = says("configs", "text-generation")
    assert "model (for task: text-generation)" in only
    assert "token-classification" not in only
    assert only.index("train.chunk") < only.index("For every task:") < only.index("train.epochs")


@pytest.mark.parametrize(
    "task", ["token-classification", "text-generation", "image-classification", "text-classification"]
)
def test_configs_shows_types_and_limits_in_words(says, task):
    printed = says("configs", task)
    for leftover in ("Annotated", "]]", "[[", "typing", "<class", "Optional", "Literal", "NoneType", "Union", "..., "):
        assert leftover not in printed
    for line in printed.splitlines():
        about = line.partition("    ")[0]
        assert about.count("(") == about.count(")"), line
        assert about.count("[") == about.count("]"), line
    assert "train.epochs: int > 0 (default 10)" in printed
    assert "train.average: 0 < float < 1 or null (default null)" in printed
    assert "optimizer.plateau.mode: one of: max, min or null (default null)" in printed
    assert "init.freeze: list of str (default [])" in printed


def test_help(says, capsys):
    assert "Usage: spago-jax" in says("--help")
    for command in ("train", "evaluate", "predict", "inspect", "configs"):
        assert f"Usage: spago-jax {command}" in says(command, "--help")
    assert run([]) == 2
    assert "Usage: spago-jax" in "".join(capsys.readouterr())


# -- predict ---------------------------------------------------------------------------------------------------------


def test_columns_written_score_as_the_run_did(says, trained, corpus, tmp_path):
    result, folder = trained
    (tmp_path / "found.conll").write_text(
        says("predict", folder, "--input", corpus / "test.conll", "--format", "conll")
    )
    scores = EntityF1().compute(score_conll_files(corpus / "test.conll", tmp_path / "found.conll"))
    expected = result.scores["test"].values
    for name in ("f1", "precision", "recall", "accuracy"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-12)


def test_the_three_formats_say_the_same(says, trained, corpus):
    arguments = ("predict", trained[1], "--input", corpus / "test.conll", "--format")
    gold = list(read_conll(corpus / "test.conll"))
    records = [json.loads(line) for line in says(*arguments, "json").splitlines()]
    assert [record["tokens"] for record in records] == [sentence.tokens for sentence in gold]
    columns = [block.splitlines() for block in says(*arguments, "conll").removesuffix("\n\n").split("\n\n")]
    assert [[line.split("\t")[1] for line in block] for block in columns] == [record["tags"] for record in records]
    for record, line in zip(records, says(*arguments, "text").splitlines(), strict=True):
        marked = re.findall(r"\[(.*?)\]\((\w+)\)", line)
        assert marked == [(found["text"], found["label"]) for found in record["spans"]]
        for found in record["spans"]:
            assert record["text"][found["start"] : found["end"]] == found["text"]
        assert re.sub(r"\[(.*?)\]\(\w+\)", r"\1", line) == " ".join(record["tokens"])


def test_sentences_from_a_file_and_from_a_pipe(says, trained, tmp_path, stdin):
    text = "Ann visits Rome.\n\nBob, Zoë and Eve like Lima .\r\n   \n"
    (tmp_path / "text.txt").write_text(text, newline="")
    from_file = says("predict", trained[1], "--input", tmp_path / "text.txt", "--format", "json")
    stdin(text.encode())
    assert says("predict", trained[1], "--format", "json") == from_file
    tokens = [json.loads(line)["tokens"] for line in from_file.splitlines()]
    assert tokens[0] == ["Ann", "visits", "Rome", "."]
    assert tokens[2][:4] == ["Bob", ",", "Zoë", "and"]
    assert tokens[1] == tokens[3] == []  # one answer per line: blank ones have no tokens
    assert [json.loads(line)["line"] for line in from_file.splitlines()] == [1, 2, 3, 4]


def test_no_input_gives_no_answers(says, trained, mood, stdin, tmp_path):
    for folder in (trained[1], mood[1]):
        stdin(b"")
        assert says("predict", folder) == ""
        stdin(b"\n \n")
        assert len(says("predict", folder).splitlines()) == 2


def test_bytes_that_are_not_utf8_in_a_pipe(trained, letters, stdin, capsys):
    for folder in (trained[1], letters[1]):
        stdin(b"Ann\nBob \xff\n")
        assert run(["predict", str(folder)]) == 2
        assert capsys.readouterr().err == "spago-jax: -:2: not UTF-8: byte 0xff at offset 8\n"


def test_texts(says, mood, stdin):
    lines = [text for text, _ in texts(7, 40)]
    stdin("\n".join(lines).encode())
    records = [json.loads(line) for line in says("predict", mood[1], "--format", "json").splitlines()]
    assert [record["text"] for record in records] == lines
    for record in records:
        assert record["ranking"][record["label"]] == pytest.approx(record["score"], abs=1e-5)
        assert sum(record["ranking"].values()) == pytest.approx(1, abs=1e-5)
    stdin("\n".join(lines).encode())
    for line, record in zip(says("predict", mood[1]).splitlines(), records, strict=True):
        label, probability, text = line.split("\t")
        assert (label, text) == (record["label"], record["text"])
        assert float(probability) == pytest.approx(record["score"], abs=1e-4)


def test_images(says, pictures, tmp_path):
    pixels, labels = images(9, 30)
    write_idx(tmp_path / "new.idx", pixels)
    np.save(tmp_path / "new.npy", pixels)
    found = says("predict", pictures[1], "--input", tmp_path / "new.idx")
    assert says("predict", pictures[1], "--input", tmp_path / "new.npy") == found
    right = [line.split("\t")[0] == str(label) for line, label in zip(found.splitlines(), labels, strict=True)]
    assert np.mean(right) > 0.9


def test_writing_on(says, letters, stdin):
    options = ["characters=70", "seed=3"]
    stdin(b"Ann\nBob \n")
    one = says("predict", letters[1], *options, "--format", "json")
    records = [json.loads(line) for line in one.splitlines()]
    assert [record["prompt"] for record in records] == ["Ann", "Bob "]
    assert [len(record["text"]) for record in records] == [70, 70]
    stdin(b"Ann\nBob \n")
    assert says("predict", letters[1], *options) == "".join(f"{r['prompt']}{r['text']}\n" for r in records)
    stdin(b"Ann\n")
    assert says("predict", letters[1], "characters=70", "seed=4") != f"Ann{records[0]['text']}\n"


# -- colours and pipes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_where_colours_are_shown(monkeypatch, variables, terminal, wanted):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert wants_color() is wanted


def test_colours_can_be_asked_for(says, trained, corpus, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    arguments = ("predict", trained[1], "--input", corpus / "test.conll")
    assert "\x1b[" not in says(*arguments)
    assert "\x1b[38;5;" in says(*arguments, "--color")
    assert "\x1b" not in says(*arguments, "--color", "--format", "json")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[38;5;" in says(*arguments)
    assert "\x1b" not in says(*arguments, "--no-color")


def spawn(*arguments: object, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_a_broken_pipe_is_no_error(trained, tmp_path):
    (tmp_path / "long.txt").write_text("Ann visits Rome .\n" * 20_000)
    process = spawn("predict", trained[1], "--input", tmp_path / "long.txt")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() != b""
    process.stdout.close()  # as `head -1` does
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_a_pipe_that_nobody_reads_is_no_error():
    process = spawn("configs")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(trained, tmp_path):
    # The largest memory of a process that tags 60,000 lines of its input, over that after the first 2,000.
    script = f"""
import resource, sys
from spago_jax.cli.main import run

class Lines:
    def isatty(self):
        return False

    def __iter__(self):
        for i in range(60_000):
            if i == 2_000:
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
            yield f"Ann visits Rome{{i}} .\\n"

sys.stdin = Lines()
sys.stdout = open("/dev/null", "w")
code = run(["predict", {str(trained[1])!r}])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    early, late = map(int, done.stderr.split())
    assert late - early < 30_000  # kB; the input and its answers are 4 MB as text, ten times that as Python objects


def test_source_code_is_coloured(says, tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    for i in range(40):
        function = f"import os\n\n\ndef f{i}(a, b):\n    return os.path.join(a, str(b), 'x{i}')\n"
        (folder / f"m{i}.py").write_text(function * 2)
    (tmp_path / "code.yaml").write_text(
        f"task: token-classification\nname: code\ndata: {{format: python-source, folder: {folder}, window: 32}}\n"
        "model: {embeddings: [{kind: words, size: 6}], encoder: {kind: birnn, hidden: 6}, output: softmax}\n"
        "optimizer: {name: adam, learning_rate: 0.02}\n"
        "train: {epochs: 3, batch_size: 4, eval_batch_size: 4, buckets: 1, steps_per_call: 2}\n"
    )
    out = tmp_path / "run"
    says("train", tmp_path / "code.yaml", "--out", out, "-q")
    source = "def g(x):\n    # why\n    return [y for y in x]\n"
    (tmp_path / "new.py").write_text(source)
    coloured = says("predict", out, "--input", tmp_path / "new.py")
    assert "\x1b[" in coloured  # also where there is no terminal: that is what it is for
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).startswith(source)
    plain = says("predict", out, "--input", tmp_path / "new.py", "--no-color")
    assert plain.splitlines()[0].startswith("1:1\t'def'\t")
    assert "\x1b" not in plain
    columns = says("predict", out, "--input", tmp_path / "new.py", "--format", "conll")
    assert columns.startswith("def\t")
    record = json.loads(says("predict", out, "--input", tmp_path / "new.py", "--format", "json").splitlines()[0])
    assert record["tokens"][0] == "def"
    assert record["offsets"][0] == [0, 3]
    assert record["text"] == source


def test_a_run_is_used_without_its_data(config, tmp_path, says, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "dev", "test"):
        (data / f"{name}.conll").write_bytes(config.with_name(f"{name}.conll").read_bytes())
    (data / "x.yaml").write_text(config.read_text().replace(str(config.parent), str(data)))
    says("train", data / "x.yaml", "train.epochs=1", "--out", tmp_path / "run", "-q")
    kept = tmp_path / "kept.conll"
    (data / "test.conll").rename(kept)
    for path in data.iterdir():
        path.unlink()
    assert says("predict", tmp_path / "run", "--input", kept).count("\n") == 16
    assert "data" in says("evaluate", tmp_path / "run", "--data", kept)
    assert run(["evaluate", str(tmp_path / "run")]) == 2


def test_the_installed_command():
    found = Path(sys.executable).with_name("spago-jax")
    if not found.exists():
        pytest.skip("the console script is not installed beside this Python")
    done = subprocess.run([found, "configs", "image-classification"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "model (for task: image-classification)" in done.stdout
