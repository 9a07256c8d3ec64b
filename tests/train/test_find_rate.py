"""The learning-rate finder, against the definition in plain loops; that it writes nothing, and repeats itself."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from spago_jax.cli.main import run
from spago_jax.errors import InputError
from spago_jax.report.rates import rate_svg, rate_table
from spago_jax.train import load_experiment
from spago_jax.train.find_rate import RateCurve, find_rate, smooth


def curve(losses):
    rates = np.logspace(-5, 0, len(losses))
    return RateCurve(rates, np.array(losses), np.array(losses))


def test_the_average_is_that_of_the_definition():
    losses = np.random.default_rng(0).uniform(1, 3, 30)
    for t, found in enumerate(smooth(losses.tolist(), 0.9), 1):
        weights = 0.9 ** np.arange(t)[::-1]
        np.testing.assert_allclose(found, (weights * losses[:t]).sum() / weights.sum(), rtol=1e-12)


def test_the_steepest_descent_is_found_before_the_least_loss():
    x = np.linspace(-5, 0, 101)  # the power of 10; the loss falls fastest at -2 and grows from -1
    found = curve(3 - 2 / (1 + np.exp(-4 * (x + 2))) + np.exp(8 * (x + 0.5)))
    slopes = [(found.losses[i + 1] - found.losses[i - 1]) / (x[i + 1] - x[i - 1]) for i in range(1, 100)]
    assert found.steepest == 1 + int(np.argmin(slopes[: found.least]))
    assert found.suggestion == pytest.approx(0.01, rel=0.2)
    assert curve(np.linspace(1, 2, 50)).suggestion is None
    assert "steepest" in rate_table(found) and "least" in rate_table(found)  # noqa: PT018
    drawing = ElementTree.fromstring(rate_svg(found))
    assert drawing.tag.endswith("svg")


def test_a_sweep_repeats_itself_and_trains_at_each_rate(corpus):
    experiment = load_experiment(corpus / "images.yaml")
    one, two = (find_rate(experiment, low=1e-5, high=100.0, steps=40) for _ in range(2))
    np.testing.assert_array_equal(one.losses, two.losses)
    np.testing.assert_allclose(one.rates, [1e-5 * 1e7 ** (i / 39) for i in range(len(one.rates))], rtol=1e-9)
    assert one.smoothed.min() < one.losses[:5].mean()
    assert 1e-4 < one.suggestion < 1


def test_the_first_losses_are_those_of_training(corpus, tmp_path):
    """At a rate too small to change anything, each loss is that of the untrained model on its batch."""
    from spago_jax.train import fit
    from spago_jax.train.console import TrainingConsole
    from spago_jax.train.run_folder import RunFolder

    tiny = ["optimizer.learning_rate=1e-12", "train.epochs=1", "train.steps_per_call=1", "train.log_every=1"]
    fit(load_experiment(corpus / "images.yaml", tiny), tmp_path / "run", console=TrainingConsole(quiet=True))
    expected = [r["loss"] for r in RunFolder(tmp_path / "run").lines("metrics.jsonl") if r["kind"] == "train"]
    found = find_rate(load_experiment(corpus / "images.yaml"), low=1e-12, high=2e-12, steps=20)
    count = min(len(expected), 20)
    np.testing.assert_allclose(found.losses[:count], expected[:count], rtol=1e-5)


def test_the_command_writes_nothing_but_the_drawing(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["find-lr", str(corpus / "images.yaml"), "--steps", "30", "optimizer.schedule=cosine"]
    command += ["optimizer.accumulate=2", "optimizer.groups=[{match: '*.bias', learning_rate: 0.1}]"]
    assert run(command) == 0
    assert "steepest descent: optimizer.learning_rate=" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert run([*command, "--svg", "curve.svg"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["curve.svg"]
    assert run([*command, "--svg", "no/curve.svg"]) == 2
    assert "the folder no does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [({"low": 1.0, "high": 0.1}, "expected 0 < low < high"), ({"steps": 5}, "expected 20 or more")],
)
def test_bounds_that_leave_no_room(corpus, options, message):
    with pytest.raises(InputError, match=message):
        find_rate(load_experiment(corpus / "images.yaml"), **options)


def test_a_language_model_is_swept_too(corpus):
    found = find_rate(load_experiment(corpus / "letters.yaml"), low=1e-4, high=1.0, steps=25)
    assert len(found.losses) >= 3
