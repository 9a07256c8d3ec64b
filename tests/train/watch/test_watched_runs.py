"""Watched experiments. Oracles: the same numbers by hand in NumPy; runs that were interrupted against whole ones."""

import io
import json
import re
import shutil

import jax
import numpy as np
import pytest
from tiny_runs import same_bits, stored

from spago_jax.core import Precision, flat, tap
from spago_jax.core.devices import Devices
from spago_jax.errors import InputError, TrainingError
from spago_jax.train import RunFolder, fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.programs import Programs

EVERYTHING = "train.watch={gradients: array, weights: module, updates: array, activations: '*', histograms: {bins: 5}}"
HALVE = "{when: {trend: loss, state: improving, window: 2}, do: {scale_learning_rate: 0.5}, repeat: true}"
OPEN = "{when: {trend: dev.loss, state: improving, window: 2, after_epoch: 3}, do: {unfreeze: hidden}}"


def run(corpus, folder, *overrides, config="images.yaml", **options):
    options.setdefault("console", TrainingConsole(quiet=True))
    return fit(load_experiment(corpus / config, overrides), folder, **options)


def records(folder, kind, name="metrics.jsonl"):
    return [r for r in RunFolder(folder).lines(name) if kind is None or r["kind"] == kind]


def programs(corpus, *overrides, config="images.yaml", gates=None):
    experiment = load_experiment(corpus / config, overrides)
    task = experiment.task_class.prepare(experiment)
    return Programs(task, Devices.of(1), Precision.parse("float32"), gates)


@pytest.fixture(scope="module")
def one_step(corpus, tmp_path_factory):
    """A run of one step on all images, and the same step in NumPy, in float64."""
    folder = tmp_path_factory.mktemp("watched") / "one"
    run(corpus, folder, "train.batch_size=96", "train.epochs=1", "train.steps_per_call=2", EVERYTHING)
    experiment = load_experiment(corpus / "images.yaml", ["train.batch_size=96", "train.steps_per_call=2"])
    task = experiment.task_class.prepare(experiment)
    model = task.from_data(task.objective.init(jax.random.key(experiment.seed)))
    arrays = task.arrays("train", task.batches("train", training=True).epoch(0)[0])
    x = (arrays["images"][0].reshape(96, -1) - np.float64(model.mean)) / np.float64(model.std)
    w = {name: np.asarray(leaf, np.float64) for name, leaf in sorted(_leaves(model).items())}
    before = x @ w["hidden.0.weight"].T + w["hidden.0.bias"]
    hidden = np.maximum(before, 0)
    logits = hidden @ w["output.weight"].T + w["output.bias"]
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    slope = (p - np.eye(4)[arrays["labels"][0]]) / 96
    back = (slope @ w["output.weight"]) * (before > 0)
    gradients = {
        "hidden.0.weight": back.T @ x,
        "hidden.0.bias": back.sum(0),
        "output.weight": slope.T @ hidden,
        "output.bias": slope.sum(0),
    }
    return folder, {"w": w, "before": before, "hidden": hidden, "logits": logits, "gradients": gradients}


def _leaves(model):
    return {path: leaf for path, leaf in flat(model).items() if path.endswith(("weight", "bias"))}


def test_values_of_a_step_are_those_of_numpy(one_step):
    folder, by_hand = one_step
    (found,) = records(folder, "watch")
    hidden, before = by_hand["hidden"], by_hand["before"]
    expected = {
        "hidden.0": hidden.mean(),
        "logits": by_hand["logits"].mean(),
        "activation/hidden.0/mean": before.mean(),
        "activation/hidden.0/rms": np.sqrt((before**2).mean()),
        "activation/hidden.0/zeros": (before == 0).mean(),
        "activation/output/rms": np.sqrt((by_hand["logits"] ** 2).mean()),
        "weight/output": np.sqrt((by_hand["w"]["output.weight"] ** 2).sum() + (by_hand["w"]["output.bias"] ** 2).sum()),
    }
    expected |= {f"gradient/{path}": np.linalg.norm(g) for path, g in by_hand["gradients"].items()}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    # The first step of Adam moves every number by the rate, whatever its gradient.
    weight = by_hand["w"]["output.weight"]
    ratio = 0.01 * np.sqrt(weight.size) / np.linalg.norm(weight)
    assert found["update/output.weight"] == pytest.approx(ratio, rel=1e-3)


def test_histograms_are_those_of_numpy(one_step):
    folder, by_hand = one_step
    (found,) = records(folder, None, "histograms.jsonl")
    weights = stored(folder)
    for path in ("hidden.0.weight", "output.bias"):
        counts, edges = np.histogram(weights[f"model.{path}"], bins=5)
        assert found["weights"][path]["counts"] == counts.tolist()
        assert [found["weights"][path]["low"], found["weights"][path]["high"]] == [edges[0], edges[-1]]
    assert set(found["gradients"]) == set(by_hand["gradients"])
    assert sum(found["activations"]["hidden.0"]["counts"]) == by_hand["hidden"].size
    assert set(found["activations"]) == {"hidden.0", "hidden.0 (tap)", "output", "MLPClassifier", "logits"}
    assert found["activations"]["hidden.0"]["low"] < 0 == found["activations"]["hidden.0 (tap)"]["low"]
    assert found["weights"]["output.weight"]["not_finite"] == 0


def test_files_of_a_watched_run(one_step):
    folder, _ = one_step
    (found,) = records(folder, "watch")
    lines = (folder / "watch.csv").read_text().splitlines()
    header = lines[0].split(",")
    assert header[:4] == ["epoch", "loss", "gradient_norm", "learning_rate"]
    assert {"hidden.0", "logits", "dev.accuracy"} <= set(header)
    assert float(lines[1].split(",")[header.index("logits")]) == pytest.approx(found["logits"], rel=1e-6)
    assert "epoch   1  loss=" in (folder / "watch.log").read_text()
    assert json.loads((folder / "programs.json").read_text())["compilations_after_warm_up"] == 0


@pytest.fixture(scope="module")
def acting(corpus, tmp_path_factory):
    """A whole run with actions: the rate is halved while the loss falls, and the hidden layer unfreezes."""
    folder = tmp_path_factory.mktemp("watched") / "acting"
    run(corpus, folder, *ACTING)
    return folder


ACTING = ("train.epochs=5", EVERYTHING, f"train.actions=[{HALVE}, {OPEN}]", "train.checkpoint_every=3")


def test_actions_fire_and_nothing_compiles(acting):
    fired = records(acting, "action")
    assert [(r["epoch"], r["action"]) for r in fired] == [(2, 0), (3, 1), (4, 0)]
    assert fired[1]["when"] == "dev.loss improving over 2 epochs"
    assert fired[1]["did"] == "unfreeze hidden"
    rates = [r["learning_rate"] for r in records(acting, "watch")]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.005, 0.005, 0.0025], rtol=1e-6)
    moved = [r["update/hidden.0.weight"] for r in records(acting, "watch")]
    assert moved[:3] == [0, 0, 0]
    assert min(moved[3:]) > 0
    assert json.loads((acting / "programs.json").read_text())["compilations_after_warm_up"] == 0


def test_an_interrupted_watched_run_ends_with_the_same_bits(acting, corpus, tmp_path):
    def stop_in_the_third_epoch(end):
        if end.epoch == 3:
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):  # its last checkpoint lies within the third epoch
        run(corpus, tmp_path / "cut", *ACTING, on_epoch=stop_in_the_third_epoch)
    run(corpus, tmp_path / "cut", *ACTING, resume=True)
    same_bits(acting, tmp_path / "cut")
    for name in ("watch.csv", "histograms.jsonl"):
        assert (acting / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name


def test_a_rate_alone_can_be_acted_on(corpus, tmp_path):
    action = "{when: {trend: loss, state: improving, window: 2}, do: {scale_learning_rate: 0.5}}"
    run(corpus, tmp_path / "x", "train.epochs=3", f"train.actions=[{action}]")
    assert len(records(tmp_path / "x", "action")) == 1
    assert records(tmp_path / "x", "watch") == []  # nothing is watched beside what is there anyway
    assert stored(tmp_path / "x")["optimizer.controls.scale"] == 0.5


def test_other_actions_cannot_be_resumed(acting, corpus, tmp_path):
    shutil.copytree(acting, tmp_path / "x")
    with pytest.raises(InputError, match=r"cannot resume: train.actions was "):
        run(corpus, tmp_path / "x", "train.epochs=6", resume=True)


def test_python_acts_on_trends(corpus, tmp_path):
    seen = []

    def act(end):
        seen.append(end.watch.trend("dev.loss").improving())
        if end.epoch == 1:
            end.scale_learning_rate(0.1)
            end.unfreeze("hidden")
        if end.epoch == 2:
            end.stop()

    file = io.StringIO()
    shown = TrainingConsole(file)
    run(corpus, tmp_path / "x", "train.epochs=9", on_epoch=act, unfreezes=["hidden"], console=shown)
    lines = file.getvalue().splitlines()
    assert re.search(r"^epoch 1/9: dev accuracy .*, [\d.]+ (s|min \d+ s) left, .* examples/s\)$", lines[2])
    assert lines[3:5] == ["  on_epoch: learning rate times 0.1", "  on_epoch: unfreeze hidden"]
    assert "left" not in lines[5]  # it was stopped
    assert seen == [False, True]
    assert [r["did"] for r in records(tmp_path / "x", "action")] == [
        "learning rate times 0.1",
        "unfreeze hidden",
        "stop",
    ]
    rates = [r["learning_rate"] for r in records(tmp_path / "x", "train")]
    assert rates[-1] == pytest.approx(0.001)

    def unfreeze(end):
        end.unfreeze("hiden")

    with pytest.raises(InputError, match=r"unfreeze\('hiden'\): .* did you mean 'hidden'\?"):
        run(corpus, tmp_path / "y", "train.epochs=1", on_epoch=unfreeze, unfreezes=["hidden"])


def test_the_first_value_that_is_not_finite_is_named(corpus, tmp_path):
    broken = ("optimizer.name=sgd", "optimizer.learning_rate=1e25")
    first = r"at step 2: the first value that is not finite is"
    with pytest.raises(TrainingError, match=rf"{first} the tap 'logits'\."):
        run(corpus, tmp_path / "x", *broken, "train.watch={}")
    with pytest.raises(TrainingError, match=rf"{first} the module 'output'\."):
        run(corpus, tmp_path / "y", *broken, "train.watch={locate: modules}")
    with pytest.raises(TrainingError, match=rf"{first} the loss\."):
        run(corpus, tmp_path / "z", *broken, "train.watch={tags: []}")
    hint = r"at step 2\. .* With train.watch: \{locate: modules\} this line names where in the model it began\."
    with pytest.raises(TrainingError, match=hint):
        run(corpus, tmp_path / "u", *broken)
    with pytest.raises(TrainingError, match=hint):
        run(corpus, tmp_path / "v", *broken, "train.watch={locate: null}")


def test_unwatched_the_program_is_that_of_a_model_without_taps(corpus, monkeypatch):
    def text():
        made = programs(corpus)
        (arrays, _) = made.fixed_batch()
        block = {name: array[None] for name, array in arrays.items()}
        _, totals = jax.eval_shape(made.train.function, made.state, block, np.int32(1))
        assert set(totals) == {"loss", "weight", "gradient_norm", "learning_rate", "bad_step"}
        jaxpr = jax.make_jaxpr(made.train.function)(made.state, block, np.int32(1))
        return re.sub(r"0x[0-9a-f]+", "", str(jaxpr))

    with_taps = text()
    monkeypatch.setattr("spago_jax.models.image_mlp.tap", lambda name, value: value)
    assert text() == with_taps


def action(trend="loss", state="stalled", do="stop: true"):
    return f"train.actions=[{{when: {{trend: {trend}, state: {state}}}, do: {{{do}}}}}]"


REFUSED = {
    "train.watch={tags: hiden.0}": r"train.watch.tags: 'hiden.0' matches no tap of the model: .* 'hidden.0'\?",
    "train.watch={activations: outputs}": r"train.watch.activations: 'outputs' matches no module's output .*'output'\?",
    "train.watch={histograms: {weights: outputs}}": r"train.watch.histograms.weights: 'outputs' matches no array of",
    action("dev.los"): r"train.actions\[0\].when.trend: nothing is watched under 'dev.los': did you mean 'dev.loss'\?",
    action(do="unfreeze: hiden"): r"unfreeze pattern 'hiden' matches no array of the model: did you mean 'hidden'\?",
    action(do="unfreeze: mean"): r"unfreeze pattern 'mean' matches only arrays that are not trained",
    action(state="stale"): r"train.actions.0.when.state = 'stale': should be 'stalled', 'improving', 'converged'",
    action(do=""): r"nothing to do: give scale_learning_rate, unfreeze or stop: true",
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_cannot_be_watched_or_done_is_refused_before_training(corpus, tmp_path, override):
    with pytest.raises(InputError, match=REFUSED[override]):
        run(corpus, tmp_path / "x", override)
    assert not (tmp_path / "x").exists()


def test_a_tap_with_the_name_of_something_else_is_refused(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("spago_jax.models.image_mlp.tap", lambda name, value: tap("loss", value))
    with pytest.raises(InputError, match=r"the tap 'loss' of the model shares its name with something else"):
        run(corpus, tmp_path / "x", "train.watch={}")


def test_a_tap_that_depends_on_the_batch_is_refused(corpus, tmp_path, monkeypatch):
    calls = []

    def first_only(name, value):
        calls.append(name)
        return tap(name, value) if len(calls) <= 2 else value

    monkeypatch.setattr("spago_jax.models.image_mlp.tap", first_only)
    with pytest.raises(InputError, match=r"the tap 'hidden.0' exists for some batches only"):
        run(corpus, tmp_path / "x", "train.watch={}")
