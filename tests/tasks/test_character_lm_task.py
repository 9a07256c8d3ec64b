"""Character language models of both directions. Oracle: the forward model of the text written the other way round."""

import json

import numpy as np
import pytest
from tiny_runs import stored

from spago_jax.cli.main import run as cli
from spago_jax.data.formats.text_files import TextFiles
from spago_jax.data.load import load_text
from spago_jax.errors import InputError
from spago_jax.tasks.load import load_task
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

TEXT = "".join(f"line {n % 7} of the small text, which ends here: {n * n % 11}.\n" for n in range(60))
PARTS = ["data.dev_fraction=0.25", "train.epochs=2"]


def train(config, folder, *overrides, **options):
    return fit(load_experiment(config, [*PARTS, *overrides]), folder, console=TrainingConsole(quiet=True), **options)


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """A backward run of a text, and a forward run of the text the other way round: folder by name."""
    folder = tmp_path_factory.mktemp("directions")
    cut = int(len(TEXT) * 0.75)
    (folder / "text.txt").write_text(TEXT)
    # the same parts, each turned by itself: dev is the end of the text for both
    (folder / "turned.txt").write_text(TEXT[:cut][::-1] + TEXT[cut:][::-1])
    for name, source, direction in (("backward", "text", "backward"), ("turned", "turned", "forward")):
        overrides = [f"data.train={folder / source}.txt", f"model.direction={direction}"]
        train(corpus / "letters.yaml", folder / name, *overrides)
    return folder


def test_a_backward_model_learns_as_a_forward_one_of_the_text_turned_round(runs):
    one, other = stored(runs / "backward"), stored(runs / "turned")
    for path in one:
        np.testing.assert_array_equal(one[path], other[path], err_msg=path)


def test_a_backward_model_writes_what_stands_before(runs):
    backward, turned = (load_task("text-generation", runs / name) for name in ("backward", "turned"))
    found = backward("text, which ends here", characters=40, seed=3)
    expected = turned("text, which ends here"[::-1], characters=40, seed=3)
    assert found.text == expected.text[::-1]
    assert found.to_text() == f"{found.text}text, which ends here\n"
    stop = found.text[10:13]
    stopped = backward("text, which ends here", characters=40, seed=3, stop=stop).text
    assert stopped.startswith(stop)
    assert found.text.endswith(stopped)
    assert stopped.count(stop) == 1
    (written,) = backward.written(["text, which ends here"], "text", characters=40, seed=3)
    assert written == found.to_text()
    pieces = list(backward.pieces("text, which ends here", 200, seed=3))
    assert len(pieces) > 1
    assert "".join(reversed(pieces)).endswith(found.text)


def test_language_modeling_gives_the_probability_of_each_character(runs):
    backward, turned = (load_task("language-modeling", runs / name) for name in ("backward", "turned"))
    text = "of the text."
    one, other = backward(text), turned(text[::-1])
    assert one.probabilities[-1] is None
    assert other.probabilities[0] is None
    assert one.probabilities[:-1] == pytest.approx(other.probabilities[:0:-1], rel=1e-5)
    assert one.loss == pytest.approx(-np.log(np.array(one.probabilities[:-1])).mean(), rel=1e-5)
    assert one.loss == pytest.approx(backward.generator.nats(text), rel=1e-6)
    assert one.perplexity == pytest.approx(np.exp(one.loss))
    assert one.to_dict()["text"] == text
    with pytest.raises(InputError, match="fewer than two characters"):
        backward("a")


def test_the_command_runs_language_modeling_as_a_task_of_its_own(runs, capsys):
    """It is no other name of fill-mask."""
    assert cli(["run", "language-modeling", str(runs / "turned"), "of the text."]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out == load_task("language-modeling", runs / "turned")("of the text.").to_text()


def test_the_dev_score_is_the_perplexity_of_the_whole_part(runs, corpus):
    """The chunks of an evaluation carry their state: one stream scores as a text read at once."""
    scores = json.loads((runs / "backward" / "scores.json").read_text())["scores"]["dev"]
    dev = TEXT[int(len(TEXT) * 0.75) :]
    assert load_task("language-modeling", runs / "backward")(dev).loss == pytest.approx(scores["nats"], rel=1e-4)
    assert scores["perplexity"] == pytest.approx(np.exp(scores["nats"]), rel=1e-6)


def test_files_and_folders_are_read_one_after_the_other(corpus, tmp_path):
    (tmp_path / "parts").mkdir()
    for number, at in enumerate(range(0, len(TEXT), 500)):
        (tmp_path / "parts" / f"{number:02}.txt").write_text(TEXT[at : at + 500])
    (tmp_path / "parts" / ".hidden").write_text("ÿ")
    (tmp_path / "whole.txt").write_text(TEXT)
    data = TextFiles(format="text", train=str(tmp_path / "parts"))
    assert len(data.files("train")) == -(-len(TEXT) // 500)
    assert "".join(piece.text for piece in data.read("train")) == TEXT
    one, other = load_text(data.files("train")), load_text(tmp_path / "whole.txt")
    np.testing.assert_array_equal(one.ids, other.ids)
    assert not one.ids.flags.owndata  # it stays on disk
    assert list(one.alphabet) == list(other.alphabet)
    for train_on in (str(tmp_path / "parts"), str(tmp_path / "parts" / "*.txt")):
        experiment = load_experiment(corpus / "letters.yaml", [*PARTS, f"data.train={train_on}"])
        task = experiment.task_class.prepare(experiment)
        np.testing.assert_array_equal(task.parts["train"].ids, other.ids[: int(len(TEXT) * 0.75)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"data.train: is a folder, expected a file"):
        load_experiment(corpus / "letters.yaml", [f"data.train={tmp_path / 'empty'}"])


def test_directions_do_not_mix(runs, corpus, capsys):
    text = f"data.train={runs / 'text.txt'}"
    with pytest.raises(InputError, match="backward needs model.characters: text"):
        train(corpus / "letters.yaml", runs / "x", text, "model.direction=backward", "model.characters=bytes")
    with pytest.raises(InputError, match="init.from is a model of the other direction"):
        train(corpus / "letters.yaml", runs / "x", text, f"init={{from: {runs / 'backward'}}}")
    (runs / "prompts.txt").write_text("ends here\n")
    assert cli(["predict", str(runs / "backward"), "characters=5", "--input", str(runs / "prompts.txt")]) == 0
    assert capsys.readouterr().out.endswith("ends here\n")
