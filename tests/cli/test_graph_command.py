"""`spago-jax graph`: pictures of programs of configs and of runs."""

import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from spago_jax.cli.main import run


@pytest.fixture
def says(capsys):
    """Runs the command, which must succeed, and gives its standard output."""

    def check(*arguments: object) -> str:
        assert run(["graph", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return check


@pytest.fixture
def refused(capsys):
    """Runs the command, which must refuse with code 2, and gives its message."""

    def check(*arguments: object) -> str:
        assert run(["graph", *map(str, arguments)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        return printed.err

    return check


@pytest.mark.parametrize("name", ["tiny", "letters", "images", "moods-cnn", "moods-mean"])
def test_the_prediction_of_every_kind_of_model(says, corpus, name):
    root = ElementTree.fromstring(says(corpus / f"{name}.yaml", "--level", 0))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    experiment = re.search(r"name: (\S+)", (corpus / f"{name}.yaml").read_text())[1]
    assert texts[0].startswith(f"{experiment}: ")


@pytest.mark.parametrize("name", ["tiny", "letters", "images"])
@pytest.mark.parametrize("program", ["train", "eval"])
def test_training_and_scoring_as_a_table(says, corpus, name, program):
    table = says(corpus / f"{name}.yaml", "--program", program, "--format", "text")
    assert re.match(rf"\w+: {program}: \d+ operations, ", table)
    source = "state.model." if program == "train" else "model."
    assert f" parameter {source}" in table
    if program == "train":
        assert "output 0.model." in table  # the new state, and the sums of the log
        assert "output 1.gradient_norm" in table


def test_the_gradient_is_that_of_what_is_trained(says, corpus):
    frozen = "optimizer.groups=[{match: embeddings, freeze: true}]"
    table = says(corpus / "tiny.yaml", frozen, "--program", "train", "--gradient", "--format", "text")
    outputs = re.findall(r"^ +output (\S+)", table, re.MULTILINE)
    assert table.startswith("gradient of tiny: loss: ")
    assert "model.scorer.weight" in outputs
    assert not any(path.startswith("model.embeddings.") for path in outputs)
    assert not any("unknown_probability" in path for path in outputs)


def test_other_formats_and_overrides(says, config):
    assert says(config, "--format", "dot").startswith('digraph "tiny: token-classification" {')
    assert says(config, "--format", "mermaid", "--level", 1).startswith(
        '---\ntitle: "tiny: token-classification"\n---\nflowchart TD\n'
    )
    assert "f32[64,8]" in says(config, "model.encoder.hidden=16", "--format", "text")


def test_a_run_is_drawn_without_its_data(says, trained, tmp_path, refused):
    folder = tmp_path / "run"
    shutil.copytree(trained[1], folder)
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(re.sub(r"(train|dev|test): .*\.conll", r"\1: gone.conll", text))
    assert says(folder, "--level", 1) == says(trained[1], "--level", 1)
    assert "data.train: no such file" in refused(folder, "--program", "train")


def test_out_writes_a_file(says, config, tmp_path):
    out = tmp_path / "tagger.svg"
    printed = says(config, "--out", out, "--level", 1)
    assert re.match(
        r"Graph\(tiny: token-classification, \d+ inputs, \d+ operations, .*\)\nwritten to .*tagger.svg\n", printed
    )
    assert out.read_text() == says(config, "--level", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["tagger.svg"]


def test_refusals(refused, config, tmp_path, capsys):
    assert refused(config, "--gradient") == (
        "spago-jax: --gradient needs a loss, and predict has none; use it with --program train\n"
    )
    assert refused(config, "--format", "text", "--level", 1) == (
        "spago-jax: --level folds pictures; a table (--format text) shows every operation\n"
    )
    assert "Invalid value for '--level'" in refused(config, "--level", -1)
    assert "Invalid value for '--format'" in refused(config, "--format", "png")
    assert refused(config, "--out", tmp_path / "no" / "x.svg") == (
        f"spago-jax: {tmp_path}/no/x.svg: --out: cannot write there: there is no folder {tmp_path}/no\n"
    )
    assert "is a folder" in refused(config, "--out", tmp_path)
    assert "is not the folder of a run" in refused(tmp_path)
    assert "no-such.yaml" in refused(tmp_path / "no-such.yaml")
    assert "did you mean 'hidden'" in refused(config, "model.encoder.hiden=3")


def test_the_flow_of_a_model_is_drawn_by_its_steps(says, config, refused):
    steps = "[{linear: 6}, {tag: wide}, {loop: {body: [{linear: 6}, tanh], times: 2}}, {also: {linear: 6}}]"
    flow = f"model.encoder={{kind: flow, steps: {steps}}}"
    picture = says(config, flow, "--program", "flow")
    assert "Linear #wide" in picture
    assert "2 times" in picture
    assert "tanh" in picture
    assert "tanh" not in says(config, flow, "--program", "flow", "--level", 0)
    assert says(config, flow, "--program", "flow", "--format", "dot").startswith('digraph "flow" {')
    assert says(config, flow, "--program", "flow", "--format", "text") == (
        "through 'wide' (Linear) #wide\nloop 'loop' (Flow)\nalso 'linear' (Linear)\n"
    )
    assert refused(config, "--program", "flow").endswith(
        "--program flow: the model has no flow; write one as model.encoder, with kind: flow\n"
    )
