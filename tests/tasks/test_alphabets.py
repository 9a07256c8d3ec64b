"""Characters that training never saw, and bytes. Oracle: the cross-entropy of the model's own outputs, in NumPy."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import refuses
from sharing import made_once

import spago_jax as sj
from spago_jax.cli.main import run
from spago_jax.core.paths import flat
from spago_jax.errors import InputError, InputWarning
from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.tasks.load import open_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

SETTINGS = ["train.epochs=1", "data.dev_fraction=0.2"]


def written(path, text: str):
    path.write_text(text, encoding="utf-8")
    return path


def prepared(corpus, *overrides: str):
    experiment = load_experiment(corpus / "letters.yaml", overrides)
    return experiment.task_class.prepare(experiment)


def trained_with(corpus, folder, *overrides: str):
    experiment = load_experiment(corpus / "letters.yaml", [*SETTINGS, *overrides])
    return fit(experiment, folder, console=TrainingConsole(quiet=True))


@pytest.fixture(scope="module")
def of_bytes(corpus, tmp_path_factory):
    """A run over bytes, of a text with letters of two, three and four bytes."""

    def make(parent):
        text = (corpus / "letters.txt").read_text().replace("a", "\u00e4").replace("Bob", "\u6771\U0001f642")
        path = written(parent / "text.txt", text)
        return trained_with(corpus, parent / "run", f"data.train={path}", "model.characters=bytes"), parent / "run"

    return made_once(tmp_path_factory, "runs-bytes", make)


@pytest.fixture(scope="module")
def with_unknown(corpus, tmp_path_factory):
    """A run whose dev file has a letter that training has not."""

    def make(parent):
        dev = written(parent / "dev.txt", "Ann visits \u00c5land.\nBob likes \u00c5land \u20ac.\n" * 3)
        with pytest.warns(InputWarning, match="read as <unk>"):
            return trained_with(corpus, parent / "run", f"data.dev={dev}"), parent / "run"

    return made_once(tmp_path_factory, "runs-unknown", make)


def nats(model, ids) -> float:
    """The mean cross-entropy after the first id, float64."""
    logits, _ = model(jnp.asarray(ids[:-1]), state=model.initial_state())
    logits = np.asarray(logits, np.float64)
    return float((np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]).mean())


# -- which alphabet ------------------------------------------------------------------------------------------


def test_a_closed_alphabet_stays_as_it_was(corpus, tmp_path, recwarn):
    text = (corpus / "letters.txt").read_text()
    same = written(tmp_path / "dev.txt", text[:100])
    for overrides in ((), (f"data.dev={same}",), ("model.unknown=false",)):
        assert list(prepared(corpus, *overrides).processor.alphabet) == sorted(set(text))
    assert not recwarn.list


def test_a_dev_file_with_other_characters_opens_the_alphabet_and_says_so(corpus, tmp_path):
    dev = written(tmp_path / "dev.txt", "\u00c5nn \u00c5 sees \u20ac\n")
    said = f"{dev}: 3 of 13 characters (23 %) are not in the alphabet ('\u00c5' 2, '\u20ac' 1): read as <unk>"
    with pytest.warns(InputWarning) as caught:
        task = prepared(corpus, f"data.dev={dev}")
    assert [str(warning.message) for warning in caught] == [said]
    closed = prepared(corpus)
    assert list(task.processor.alphabet) == [*closed.processor.alphabet, "<unk>"]  # the others keep their ids
    unknown = len(closed.processor.alphabet)
    assert np.flatnonzero(task.parts["dev"].ids == unknown).tolist() == [0, 4, 11]
    whole = np.concatenate([closed.parts[split].ids for split in ("train", "dev")])
    np.testing.assert_array_equal(task.parts["train"].ids, whole)


def test_rare_characters_are_unknown(corpus, tmp_path):
    text = written(tmp_path / "text.txt", (corpus / "letters.txt").read_text() + "Zz\u20acz\n")
    task = prepared(corpus, f"data.train={text}", "model.min_count=2")
    alphabet = list(task.processor.alphabet)
    assert alphabet[-1] == "<unk>"
    assert "z" in alphabet
    assert "Z" not in alphabet
    assert np.concatenate([task.parts[s].ids for s in ("train", "dev")])[-5:].tolist() == [
        len(alphabet) - 1, alphabet.index("z"), len(alphabet) - 1, alphabet.index("z"), alphabet.index("\n"),
    ]  # fmt: skip
    with refuses(f"{text}: no character occurs as often as model.min_count = 100000"):
        prepared(corpus, f"data.train={text}", "model.min_count=100000")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.characters=bytes", "model.min_count=2"],
            "model.min_count says which characters are unknown; with model.characters: bytes none is",
        ),
        (
            ["model.characters=bytes", "model.unknown=true"],
            "model.unknown says which characters are unknown; with model.characters: bytes none is",
        ),
        (
            ["model.unknown=false", "model.min_count=2"],
            "model.min_count = 2 makes rarer characters <unk>, but model.unknown = false has none",
        ),
    ],
)
def test_settings_that_do_not_go_together(corpus, overrides, message):
    with refuses(message):
        load_experiment(corpus / "letters.yaml", overrides)


# -- scores of other texts --------------------------------------------------------------------------------


def test_a_closed_alphabet_leaves_out_what_it_does_not_have(letters, tmp_path, capsys):
    """The score is that of the text without them; how many there were is said and kept."""
    text = "Ann visits Rome.\nBob likes Lima.\n" * 4
    path, plain = written(tmp_path / "a.txt", text.replace("s", "\u20ac\u00dfs")), written(tmp_path / "b.txt", text)
    said = "24 of 156 characters (15 %) are not in the alphabet ('\u00df' 12, '\u20ac' 12): left out"
    assert run(["evaluate", str(letters[1]), "--data", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"spago-jax: warning: {path}: {said}, since it has no <unk>\n"
    with pytest.warns(InputWarning):
        found = evaluate_run(letters[1], data=str(path))["data"]
    assert found.details == {"strange_characters": {"\u20ac": 12, "\u00df": 12}}
    assert found.values == evaluate_run(letters[1], data=str(plain))["data"].values == json.loads(printed.out)["data"]
    written(path, "\u6771\u4eac" * 40)
    with pytest.raises(InputError, match="none of its characters is in the alphabet of"):
        evaluate_run(letters[1], data=str(path))


def test_an_open_alphabet_scores_what_it_does_not_have(with_unknown, tmp_path):
    result, folder = with_unknown
    writer, model = sj.load_task("text-generation", folder), sj.load_pretrained(folder).model
    assert result.scores["dev"].details == {"strange_characters": {"\u00c5": 6, "\u20ac": 3}}
    text = "Ann visits \u6771.\n"
    with pytest.warns(InputWarning, match=r"1 of 14 characters \(7.1 %\) is not in the alphabet"):
        ids = writer.processor.ids(text)
    assert ids[11] == len(writer.processor.alphabet) - 1
    with pytest.warns(InputWarning):
        assert writer.nats(text) == pytest.approx(nats(model, ids), rel=1e-5)


def test_unknown_is_never_written(with_unknown):
    """The weights are bent until ``<unk>`` is the most probable of all."""
    trained = open_run(with_unknown[1])
    bias = trained.model.decoder.bias
    unknown = trained.task.processor.alphabet.unknown
    bent = trained.model.replace(decoder=trained.model.decoder.replace(bias=bias.at[unknown].set(50.0)))
    assert "decoder.bias" in flat(bent)
    from spago_jax.tasks.load import predictor

    for options in ({"temperature": 0}, {"temperature": 1.0}, {"top_k": 1}, {"top_p": 0.5}):
        text = predictor(trained.task, bent)("Ann", characters=100, **options).text
        assert len(text) == 100
        assert "\ufffd" not in text


# -- bytes ------------------------------------------------------------------------------------------------


def test_bytes_read_every_text_and_score_per_character(of_bytes, tmp_path, recwarn):
    result, folder = of_bytes
    trained = open_run(folder)
    writer = sj.load_task("text-generation", folder)
    assert (len(writer.processor.alphabet), writer.processor.unit) == (256, "bytes")
    text = "\u00c4nn visits \u6771\u4eac \U0001f600.\n" * 3
    ids = np.frombuffer(text.encode(), np.uint8)
    assert writer.processor.ids(text).tolist() == ids.tolist()
    per_character = nats(trained.model, ids) * (len(ids) - 1) / (len(text) - 1)
    assert writer.nats(text) == pytest.approx(per_character, rel=1e-5)
    # the scores count characters; the first one here has two bytes, so its second is read, and is none
    found = evaluate_run(folder, data=str(written(tmp_path / "a.txt", text)))["data"].values
    assert found["nats"] == pytest.approx(per_character, rel=1e-5)
    assert found["bits_per_character"] == pytest.approx(per_character / np.log(2), rel=1e-5)
    assert not recwarn.list


def test_bytes_are_written_as_characters(of_bytes):
    writer = sj.load_task("text-generation", of_bytes[1])
    long = writer("\u6771", characters=150, temperature=2.0)
    assert len(long.text) == 150
    assert writer("\u6771", characters=10, temperature=2.0).text == long.text[:10]
