"""`spago-jax run` and `spago-jax tasks`, as a user writes them. Oracles: the answers from Python; the input files."""

import io
import json
import sys

import numpy as np
import pytest
from tiny_pretrained import write_tiny, write_vocabulary

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.pretrained.registry import PRETRAINED

MODELS = {
    "words": {"head": "masked-words"},
    "classes": {"head": "sequence-classification", "id2label": {"0": "no", "1": "maybe", "2": "yes"}},
    "nli": {"head": "sequence-classification", "id2label": {"0": "contradiction", "1": "neutral", "2": "entailment"}},
    "spans": {"head": "question-answering"},
    "tags": {"head": "token-classification", "id2label": {"0": "O", "1": "B-X", "2": "I-X"}},
    "next": {"head": "next-sentence"},
    "states": {"head": "states"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Gives the folder of a tiny model, written when it is first asked for."""
    root = tmp_path_factory.mktemp("models")

    def find(name):
        folder = root / name
        if not folder.exists():
            write_tiny(folder, **MODELS[name])
            write_vocabulary(folder)
        return str(folder)

    return find


@pytest.fixture
def says(capsys):
    """Runs a command and returns what it writes: to standard output, or to standard error where it fails."""

    def check(*arguments, code=0):
        assert run([str(argument) for argument in arguments]) == code, capsys.readouterr().err
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return out if code == 0 else err

    return check


def lines(printed):
    return [json.loads(line) for line in printed.splitlines()]


def test_texts_as_arguments_are_answered_in_three_formats(says, model):
    expected = [answer.to_dict() for answer in sj.load_task("text-classification", model("classes"))(["a b", "c"])]
    command = ("run", "text-classification", model("classes"), "a b", "c")
    assert lines(says(*command, "--format", "jsonl")) == expected
    assert json.loads(says(*command, "--format", "json")) == expected
    rows = [row.split("\t") for row in says(*command).splitlines()]
    assert [(row[0], row[2]) for row in rows] == [(found["label"], found["text"]) for found in expected]
    assert [float(row[1]) for row in rows] == pytest.approx([found["score"] for found in expected], abs=1e-4)


def test_a_file_of_texts_and_one_of_records_keep_their_lines(says, model, tmp_path):
    (tmp_path / "a.txt").write_text("a b\n\nc\n", encoding="utf-8")
    found = lines(says("run", "text-encoding", model("states"), "--input", tmp_path / "a.txt", "--format", "jsonl"))
    assert [(each["text"], each["line"]) for each in found] == [("a b", 1), ("", 2), ("c", 3)]
    records = {
        "text-classification": ("classes", {"text": "a b", "pair": "c"}),
        "zero-shot-classification": ("nli", {"text": "a b", "labels": ["c", "d, e"]}),
        "question-answering": ("spans", {"question": "a", "passage": "b c d"}),
        "token-classification": ("tags", {"tokens": ["a", "b"]}),
        "replaced-token-detection": (None, {"text": "a"}),
        "next-sentence": ("next", {"first": "a", "second": "b"}),
        "text-encoding": ("states", {"text": "a"}),
        "fill-mask": ("words", {"text": "a [MASK]", "targets": ["b"]}),
    }
    for task, (name, record) in records.items():
        if name is None:
            continue
        path = tmp_path / f"{task}.jsonl"
        path.write_text("\n" + json.dumps(record) + "\n")
        (answer,) = lines(says("run", task, model(name), "--input", path, "--format", "jsonl"))
        assert answer["line"] == 2, task


def test_standard_input_is_read(says, model, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a b\nc\n"))
    by_default = says("run", "text-classification", model("classes"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("a b\nc\n"))
    assert says("run", "text-classification", model("classes"), "--input", "-") == by_default
    assert by_default.count("\n") == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert says("run", "text-classification", model("classes")) == ""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert json.loads(says("run", "text-classification", model("classes"), "--format", "json")) == []


def test_an_answer_to_a_file_appears_when_all_is_done(says, model, tmp_path):
    out = tmp_path / "out.jsonl"
    (tmp_path / "a.txt").write_text("a [MASK]\nno mask\n")
    message = says(
        "run", "fill-mask", model("words"), "--input", tmp_path / "a.txt", "--output", out, "--format", "jsonl", code=2
    )
    assert message.startswith(f"spago-jax: {tmp_path / 'a.txt'}:2: 'no mask' has no mask: write [MASK] where a word is")
    assert not out.exists()
    (tmp_path / "a.txt").write_text("a [MASK]\n")
    assert says("run", "fill-mask", model("words"), "--input", tmp_path / "a.txt", "--output", out) == ""
    assert len(lines(out.read_text())[0]["masks"]) == 1
    out = tmp_path / "out.txt"
    assert says("run", "fill-mask", model("words"), "--input", tmp_path / "a.txt", "--output", out) == ""
    assert len(out.read_text().splitlines()) == 5


def test_options_of_a_task(says, model):
    labels = ("--labels", "x", "--labels=y", "--labels", "z")
    (found,) = lines(
        says("run", "zero-shot-classification", model("nli"), "a b", *labels, "--multi-label", "--format", "jsonl")
    )
    task = sj.load_task("zero-shot-classification", model("nli"))
    assert found == task("a b", ["x", "y", "z"], multi_label=True).to_dict()
    (found,) = lines(
        says(
            "run", "zero-shot-classification", model("nli"), "a b", *labels, "--multi-label", "no", "--format", "jsonl"
        )
    )
    assert found == task("a b", ["x", "y", "z"]).to_dict()
    assert len(says("run", "fill-mask", model("words"), "a [MASK]", "--top-k", "2").splitlines()) == 2
    cut = says("run", "text-encoding", model("states"), "a b c d e f", "--max-length", "4", "--format", "jsonl")
    assert lines(cut)[0]["dropped"] == 4


def test_what_begins_with_hyphens_and_is_a_text_stands_after_two_hyphens(says, model):
    command = ("run", "text-classification", model("classes"), "--format", "jsonl")
    found = lines(says(*command, "a", "--", "--b", "-c", "--"))
    assert [answer["text"] for answer in found] == ["a", "--b", "-c", "--"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            ("zero-shot-classification", "nli", "a", "--labels", "x", "--labels", "y", "--template", "b {}"),
            ("zero-shot-classification", "nli", "--text", "a", "--candidate-labels", "x", "--possible-labels", "y",
             "--hypothesis-template", "b {}"),
        ),
        (
            ("zero-shot-classification", "nli", "a", "--labels", "x", "--labels", "y", "--multi-label"),
            ("zero-shot-classification", "nli", "a", "--labels", "x", "--labels", "y", "--multi-class"),
        ),
        (
            ("question-answering", "spans", "a", "--passage", "b c d e", "--top-k", "2", "--max-answer-length", "1"),
            ("question-answering", "spans", "--question", "a", "--passage", "b c d e", "--max-answers", "2",
             "--max-answers-len", "1"),
        ),
        (("fill-mask", "words", "a [MASK]", "--top-k", "3"), ("fill-mask", "words", "--text=a [MASK]", "--k", "3")),
        (
            ("text-encoding", "states", "a", "--pooling", "max"),
            ("text-encoding", "states", "a", "--pooling-strategy", "max"),
        ),
        (
            ("text-classification", "classes", "a", "--pair", "b"),
            ("text-classification", "classes", "a", "--text2", "b"),
        ),
        (
            ("token-classification", "tags", "a b", "--aggregation", "simple"),
            ("token-classification", "tags", "a b", "--aggregation-strategy", "simple"),
        ),
    ],
)  # fmt: skip
def test_options_have_the_names_of_spago_and_cybertron_too(says, model, ours, theirs):
    found = [says("run", task, model(name), *more) for task, name, *more in (ours, theirs)]
    assert found[0] == found[1] != ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fill-mask", "words", "a", "--topk", "3"), "fill-mask has no option --topk: did you mean 'top-k'?"),
        (("fill-mask", "words", "a", "--top-k"), "--top-k needs a value"),
        (("fill-mask", "words", "a", "--top-k", "0"), "--top-k '0': Input should be greater than or equal to 1"),
        (("fill-mask", "words", "a", "--top-k", "1", "--top-k", "2"), "--top-k is given twice"),
        (("fill-mask", "words", "a", "--top-k", "many"), "--top-k 'many': Input should be a valid integer"),
        (("fill-mask", "words", "a"), "'a' has no mask: write [MASK] where a word is asked for"),
        (("zero-shot-classification", "nli", "a"), "no labels to choose from: give labels=[...]"),
        (
            ("zero-shot-classification", "nli", "a", "--labels", "x, y"),
            "--labels 'x, y' holds a comma: give --labels once for each item; a comma within one goes into a record",
        ),
        (
            ("zero-shot-classification", "nli", "a", "--labels", "x", "--template", "about"),
            "template = 'about': write {} where the label stands",
        ),
        (("question-answering", "spans", "a"), "'a' has no passage to find answers in: give passage="),
        (("question-answering", "spans", " ", "--passage", "b"), "the question is empty"),
        (("next-sentence", "next", "a"), "a str, expected two texts"),
        (("token-classification", "tags", "a", "--threshold", "2"), "--threshold '2': Input should be less than"),
        (("fill-mask", "classes", "a [MASK]"), "lacks 5 of the tensors of a model with the head 'masked-words'"),
        (("replaced-token-detection", "words", "a"), "bert has no head 'replaced-tokens'"),
        (("fill_mask", "words", "a"), "unknown task 'fill_mask': did you mean 'fill-mask'?"),
        (("discriminate", "words", "a"), "unknown task 'discriminate': it is called 'replaced-token-detection' here"),
        (("text-encoding", "states", "a", "--pooling", "meen"), "pooling = 'meen': did you mean 'mean'?"),
        (("text-encoding", "nowhere", "a"), "no folder 'nowhere', no installed package of this name, and no model"),
        (("text-encoding", "states", "a", "--input", "b"), "1 texts and --input b: give one of the two"),
        (("text-encoding", "states", "--input", "no-such-file"), "no-such-file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(says, model, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    task, name, *more = arguments
    assert message in says("run", task, model(name) if name in MODELS else name, *more, code=2)


def test_texts_over_the_limit_are_cut_and_said_to_be_or_refused(says, model):
    (cut,) = lines(says("run", "text-classification", model("classes"), "a " * 30, "--format", "jsonl"))
    assert cut["cut"] == 12
    message = says("run", "fill-mask", model("words"), "a " * 30 + "[MASK]", code=2)
    assert "a a a" in message
    assert "31 pieces, and the model reads 18 beside the marks at its ends: shorten it" in message
    message = says("run", "question-answering", model("spans"), "a " * 30, "--passage", "b", code=2)
    assert "has 30 pieces, which leaves no room for the passage: at most 16 fit beside one piece of it" in message


def test_an_empty_passage_has_no_answers(says, model):
    command = ("run", "question-answering", model("spans"), "a", "--format", "jsonl", "--passage", "")
    assert lines(says(*command))[0]["answers"] == []
    assert lines(says(*command, "--no-answer"))[0]["answers"] == [{"text": "", "start": 0, "end": 0, "score": 1.0}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', "not JSON"),
        ('["a"]', "a list, expected an object"),
        ('{"txt": "a"}', "the record has no 'text', but txt, line"),
        ('{"text": "a", "par": "b"}', "the record has an unknown field 'par': did you mean 'pair'?"),
        ('{"text": 3}', "3 is a int, expected a text"),
        ('{"text": "\\ud800"}', "not Unicode"),
    ],
)
def test_a_bad_record_is_named_with_its_line(says, model, tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' + line + "\n")
    found = says("run", "text-classification", model("classes"), "--input", path, code=2)
    if "ud800" not in line:
        assert f"{path}:2: " in found
        assert message in found


def test_a_config_of_another_family_is_refused_by_name(says, model, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    for kind in ("gpt2", "whisper", "llama"):
        (folder / "config.json").write_text(json.dumps({"model_type": kind}))
        (folder / "model.safetensors").write_bytes(b"")
        message = says("run", "fill-mask", folder, "a", code=2)
        assert f"{folder / 'config.json'}: model_type is {kind!r}; supported are albert, bart, bert" in message
    (folder / "config.json").write_text('{"model_type": "t5"}')
    assert f"{folder / 'config.json'}: t5 has no head 'masked-words'" in says("run", "fill-mask", folder, "a", code=2)


def test_a_pipe_that_is_closed_is_no_error(model, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert run(["run", "text-classification", model("classes"), "a"]) == 0


def test_a_file_of_10000_lines_is_answered_as_it_is_read(model, tmp_path, monkeypatch):
    """No more than a few hundred lines are held at any time: the lead of reading over writing is bounded."""
    path, read, written, lead = tmp_path / "a.txt", [0], [0], [0]
    path.write_text("".join(f"a b {'c ' * (n % 9)}\n" for n in range(10_000)))
    own = InputFile.lines

    def counted(self):
        for line in own(self):
            read[0] += 1
            lead[0] = max(lead[0], read[0] - written[0])
            yield line

    class Out(io.StringIO):
        def write(self, text):
            written[0] += text.count("\n")
            return len(text)

    monkeypatch.setattr(InputFile, "lines", counted)
    monkeypatch.setattr(sys, "stdout", Out())
    assert run(["run", "text-classification", model("classes"), "--input", str(path)]) == 0
    assert (read[0], written[0]) == (10_000, 10_000)
    assert lead[0] <= 512


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_the_type_of_numbers_is_one_option(says, model, dtype):
    found = lines(says("run", "text-encoding", model("states"), "a b", "--dtype", dtype, "--format", "jsonl"))
    expected = lines(says("run", "text-encoding", model("states"), "a b", "--format", "jsonl"))
    tolerance = 3e-2 if dtype == "bfloat16" else 1e-5
    np.testing.assert_allclose(found[0]["vector"], expected[0]["vector"], atol=tolerance)


def test_tasks_lists_all_and_shows_one(says):
    rows = {line.split()[0]: line for line in says("tasks").splitlines()}
    assert set(PRETRAINED.names()) < set(rows)
    assert "train, run" in rows["text-classification"]
    for name in PRETRAINED.names():
        shown = says("tasks", name)
        found = PRETRAINED.find(name)
        for field in (*found.Options.model_fields, *found.Settings.model_fields):
            assert f"--{field.replace('_', '-')} " in shown
    assert "--hypothesis-template" in says("tasks", "zero-shot-classification")
    assert "It is trained" in says("tasks", "image-classification")
    assert "did you mean 'fill-mask'" in says("tasks", "fil-mask", code=2)


def test_help_says_how_options_and_texts_are_written(says):
    shown = " ".join(says("run", "--help").split())
    assert "spago-jax tasks TASK" in shown
    assert "--labels politics --labels sport" in shown
