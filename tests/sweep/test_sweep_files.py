"""Sweep files: what they may hold, and the message for everything that is wrong with one."""

import pytest
import yaml

from spago_jax.errors import InputError
from spago_jax.sweep.checks import base_experiment, checked_trials, chosen_metric, settings_of
from spago_jax.sweep.schema import Range
from spago_jax.sweep.source import load_sweep
from spago_jax.train.task import Score

SWEEP = """\
name: tries
base: {base}
method: grid
parameters:
  seed: [1, 2]
  model.dropout: [0.1, 0.2]
"""


@pytest.fixture
def write(tmp_path, config):
    """Writes a sweep of the tiny labeler, with lines after it or with others instead, and gives its path."""

    def make(more: str = "", text: str = SWEEP):
        path = tmp_path / "s.yaml"
        path.write_text(text.replace("{base}", str(config)) + more)
        return path

    return make


@pytest.fixture
def refused(tmp_path):
    """Reads and checks a sweep, which must be refused, and gives the message."""

    def check(path, *overrides):
        with pytest.raises(InputError) as error:
            checked_trials(load_sweep(path, overrides))
        return str(error.value).replace(f"{tmp_path}/", "")

    return check


def test_what_is_read(write):
    file = load_sweep(write("metric: f1\njobs: 2\nsettings: {train: {epochs: 3}, train.max_length: 6}\n"))
    assert file.sweep.method.kind == "grid"
    assert file.sweep.settings == {"train.epochs": 3, "train.max_length": 6}
    assert file.sweep.parameters["model.dropout"].choice == (0.1, 0.2)
    assert (file.sweep.metric, file.sweep.jobs) == ("f1", 2)
    found = checked_trials(file)
    assert settings_of(file.sweep, found[1]) == [
        "name=tries/002", "train.epochs=3", "train.max_length=6", "seed=1", "model.dropout=0.2", "train.metric=f1",
    ]  # fmt: skip
    assert base_experiment(file).train.metric == "f1"


def test_a_sweep_is_frozen(write):
    sweep = load_sweep(write()).sweep
    with pytest.raises(ValueError, match="frozen"):
        sweep.jobs = 3


def test_numbers_as_people_write_them(write):
    lines = "  optimizer.learning_rate: [1e-4, 1E-3]\n  optimizer.weight_decay: {choice: [0, 1e-5]}\n"
    assert load_sweep(write(lines)).sweep.parameters["optimizer.learning_rate"].choice == (1e-4, 1e-3)
    assert load_sweep(write(lines)).sweep.parameters["optimizer.weight_decay"].choice == (0, 1e-5)
    random = write("  optimizer.learning_rate: {low: 1e-4, high: 1e-2, scale: log}\n").read_text()
    found = load_sweep(write(text=random.replace("method: grid", "method: {kind: random, trials: 3}")))
    assert found.sweep.parameters["optimizer.learning_rate"] == Range(low=1e-4, high=1e-2, scale="log")


def test_overrides_go_to_the_sweep_or_to_every_trial(write):
    file = load_sweep(write(), ["jobs=3", "train.epochs=7", "parameters.model.dropout=[0.3]",
                                "parameters.optimizer.learning_rate=[0.1,0.2]", "train.max_length=4"])  # fmt: skip
    assert file.sweep.jobs == 3
    assert file.sweep.settings == {"train.epochs": 7, "train.max_length": 4}
    assert {key: value.choice for key, value in file.sweep.parameters.items()} == {
        "seed": (1, 2), "model.dropout": (0.3,), "optimizer.learning_rate": (0.1, 0.2),
    }  # fmt: skip


def test_the_base_is_found_from_the_sweeps_folder(write, config, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.yaml").write_text(f"extends: {config}\nseed: 9\n")
    text = SWEEP.replace("{base}", "deep/one.yaml")
    assert base_experiment(load_sweep(write(text=text))).seed == 9
    assert base_experiment(load_sweep(write(text=text.replace("deep/", "./deep/")))).seed == 9
    monkeypatch.chdir(tmp_path / "deep")
    assert base_experiment(load_sweep(write(text=text.replace("deep/one", "no")), ["base=one.yaml"])).seed == 9


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("jbos: 2\n", "s.yaml:7: unknown key 'jbos': did you mean 'jobs'?"),
        ("jobs: 0\n", "s.yaml:7: jobs = 0: should be greater than or equal to 1"),
        ("  train.max_length: 3\n",
         "parameters.train.max_length = 3: expected a list of values, {choice: [...]} or {low: ..., high: ...}"),
        ("  train.max_length: []\n", "s.yaml:7: parameters.train.max_length = []: tuple should have at least 1 item"),
        ("  train.max_length: [3, 4, 3]\n", "s.yaml:7: parameters.train.max_length = [3, 4, 3]: 3 is listed twice"),
        ("  train.max_length: {low: 3}\n", "s.yaml:7: key 'parameters.train.max_length.high' is missing"),
        ("  train.max_length: {low: 3, high: 3}\n", "low = 3 should be below high = 3"),
        ("  train.max_length: {low: 0, high: 3, scale: log}\n", "low = 0 should be above 0 on a logarithmic scale"),
        ("  train.max_length: {low: 0.5, high: 3, integer: true}\n",
         "low and high should be whole numbers where integer is true"),
        ("  train.max_length: {low: 1, high: 3, scale: lin}\n",
         "s.yaml:7: parameters.train.max_length.scale = 'lin': should be 'linear' or 'log'"),
        ("  train.max_length: {low: 1, high: 3}\n",
         "s.yaml:7: parameters.train.max_length is a range, and a grid needs values: list them, or use method: random"),
        ("  name: [a, b]\n", "s.yaml:7: parameters.name cannot be varied: each trial is named after the sweep"),
        ("  description: [a]\n", "s.yaml:7: parameters.description cannot be varied: it changes nothing"),
        ("  train.metric: [f1]\n",
         "s.yaml:7: parameters.train.metric cannot be varied: the trials are ranked by one score: set metric"),
        ("  train.devices: [1, 2]\n", "s.yaml:7: parameters.train.devices cannot be varied: the devices are chosen"),
        ("settings: {seed: 3}\n", "s.yaml:5: seed is both a parameter and among the settings of every trial"),
        ("settings: {train.epohs: 3}\n", "s.yaml:7: unknown key 'train.epohs': did you mean 'epochs'?"),
        ("  train.max_lenght: [3]\n", "s.yaml:7: trial 1: unknown key 'train.max_lenght': did you mean 'max_length'?"),
        ("  train.epochs: [2, many]\n", "s.yaml:7: trial 2: train.epochs = 'many': should be a valid integer"),
        ("  data.train: [/nowhere/x.conll]\n",
         "s.yaml: trial 1 (seed=1, model.dropout=0.1, data.train=/nowhere/x.conll): /nowhere/x.conll: data.train: "
         "no such file"),
    ],
)  # fmt: skip
def test_mistakes(write, refused, more, message):
    assert message in refused(write(more))


def with_method(method: str, more: str = "") -> str:
    return SWEEP.replace("method: grid", "method: {" + method + "}") + more


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("kind: gird", "s.yaml:3: method.kind = 'gird': did you mean 'grid'?"),
        ("kind: random", "s.yaml:3: key 'method.trials' is missing"),
        ("kind: random, trials: 5",
         "s.yaml:3: method.trials = 5: the parameters have only 4 combinations, and none is tried twice"),
        ("kind: random, trials: 2, sed: 3", "s.yaml:3: unknown key 'method.sed'"),
        ("kind: halving, trials: 1, max_epochs: 3", "s.yaml:3: method.trials = 1: should be greater than or equal"),
        ("kind: halving, trials: 4, max_epochs: 3, eta: 1", "s.yaml:3: method.eta = 1: should be greater than or"),
        ("kind: halving, trials: 4", "s.yaml:3: key 'method.max_epochs' is missing"),
        ("kind: halving, trials: 4, min_epochs: 5, max_epochs: 3",
         "min_epochs = 5 should be at most max_epochs = 3"),
    ],
)  # fmt: skip
def test_methods(write, refused, method, message):
    assert message in refused(write(text=with_method(method)))


def test_halving_sets_the_epochs(write, refused):
    halving = "kind: halving, trials: 4, max_epochs: 3"
    expected = "train.epochs: halving sets the epochs: use method.min_epochs and method.max_epochs"
    parameter = write(text=with_method(halving, "  train.epochs: [1, 2]\n"))
    assert refused(parameter) == f"s.yaml:7: parameters.{expected}"
    assert refused(write(text=with_method(halving)), "train.epochs=3") == (
        f"override 'train.epochs=3': settings.{expected}"
    )


def test_no_base(write, refused, tmp_path):
    assert "no such config file" in refused(write(text=SWEEP.replace("{base}", "no.yaml")))
    assert refused(write(text=SWEEP.replace("base: {base}\n", ""))) == "key 'base' is missing"
    assert refused(write(text="- 1\n")).startswith("s.yaml: ")
    assert refused(write(text=SWEEP.replace("parameters:\n", "parameters: 3\nx:\n"))).startswith(
        "s.yaml:4: parameters = 3: should be a mapping"
    )


def test_an_override_without_a_value(write, refused):
    assert refused(write(), "train.epochs") == "override 'train.epochs' is not of the form key.sub=value"
    assert refused(write(), "train.epohs=3") == (
        "override 'train.epohs=3': unknown key 'train.epohs': did you mean 'epochs'?"
    )


def test_a_score_that_the_model_does_not_have(write, tmp_path):
    file = load_sweep(write("metric: acuracy\n"))
    with pytest.raises(InputError) as error:
        chosen_metric(file, base_experiment(file))
    assert str(error.value) == f"{tmp_path}/s.yaml:7: metric = 'acuracy': did you mean 'accuracy'?"
    file = load_sweep(write("metric: loss\n"))
    assert chosen_metric(file, base_experiment(file)) == Score("loss", "min")


def test_a_base_without_dev_data(write, config, tmp_path):
    tree = yaml.safe_load(config.read_text())
    del tree["data"]["dev"]
    (tmp_path / "nodev.yaml").write_text(yaml.safe_dump(tree))
    file = load_sweep(write(text=SWEEP.replace("{base}", "nodev.yaml")))
    with pytest.raises(InputError) as error:
        chosen_metric(file, base_experiment(file))
    assert "nodev.yaml: a sweep ranks its trials by a dev score, and data.dev is missing; name a file" in str(
        error.value
    )
