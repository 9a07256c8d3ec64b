"""Experiments whose models are flows in YAML: they learn, are saved and used, and their mistakes have a line."""

import json

import jax
import numpy as np
import pytest

from spago_jax.cli.main import run
from spago_jax.core import Rng, flat
from spago_jax.errors import InputError
from spago_jax.train import fit, load_experiment
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.console import TrainingConsole
from spago_jax.train.step import training_loss

TAGGER = """
extends: tiny.yaml
name: thinker
model:
  encoder:
    kind: flow
    steps:
      - {bi_rnn: 4}
      - {tag: context}
      - loop:
          body: [{input: context}, add, {using: [context]}, {also: [{linear: 8}, tanh]}]
          adaptive: learned_halt
          most: 3
          cost: COST
      - {using: [context]}
      - {tag: thinking}
train: {epochs: 4, buckets: 1, watch: {tags: "thinking.*"}}
"""


def write(corpus, name, text):
    path = corpus / name
    path.write_text(text)
    return path


def trained(path, folder, *overrides):
    return fit(load_experiment(path, overrides), folder, console=TrainingConsole(quiet=True))


@pytest.fixture(scope="module")
def thinker(corpus, tmp_path_factory):
    path = write(corpus, "thinker.yaml", TAGGER.replace("COST", "0.01"))
    folder = tmp_path_factory.mktemp("thinker") / "run"
    return trained(path, folder), folder, path


def test_an_adaptive_tagger_learns_and_is_used(thinker, config, capsys):
    result, folder, _ = thinker
    assert result.scores["test"].values["f1"] > 0.9
    assert run(["predict", str(folder), "--input", str(config.with_name("test.conll")), "--format", "conll"]) == 0
    assert "B-PER" in capsys.readouterr().out
    programs = json.loads((folder / "programs.json").read_text())
    assert programs["compilations_after_warm_up"] == 0


def test_what_the_loop_does_is_watched(thinker):
    _, folder, _ = thinker
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    watched = [record for record in records if record["kind"] == "watch"]
    assert len(watched) == 4
    assert all(0 < record["thinking.iterations"] <= 3 for record in watched)
    assert all(0 < record["thinking.ponder"] <= 4 for record in watched)


def test_the_auxiliary_loss_is_part_of_the_loss(thinker):
    # Twice the cost must be the cost more: the loss is linear in it.
    _, _, path = thinker
    losses = []
    for cost in (0.0, 0.5, 1.0):
        experiment = load_experiment(write(path.parent, "cost.yaml", TAGGER.replace("COST", str(cost))))
        task = experiment.task_class.prepare(experiment)
        model = task.objective.init(jax.random.key(0))
        block = task.batches("train", training=True).epoch(0)[0]
        batch = jax.tree.map(lambda a: a[0], task.arrays("train", block))
        loss = training_loss(task.objective, model, batch, (), Rng.seed(0))
        losses.append(float(loss.total / loss.weight))
    np.testing.assert_allclose(losses[2] - losses[1], losses[1] - losses[0], rtol=1e-3)
    assert 0.5 < losses[1] - losses[0] < 2.0  # half of one to four iterations


CLASSIFIER = """
extends: FILE.yaml
model:
  encoder:
    kind: flow
    steps:
      - {linear: 8}
      - switch: {selector: {fixed_selector: 1}, branches: [[{linear: 8}, tanh], [{linear: 8}, relu]]}
      - {gate: {router: {top_k_router: {experts: 2, k: 1, balance: 0.01}}, experts: [{linear: 6}, {linear: 6}]}}
optimizer: {name: adamw, learning_rate: 0.02, weight_decay: 0.1}
"""


@pytest.mark.parametrize(("base", "score"), [("images", 0.9), ("moods-cnn", 0.8)])
def test_classifiers_are_flows_too_and_leave_alone_what_was_not_chosen(corpus, tmp_path, base, score):
    path = write(corpus, f"flow-{base}.yaml", CLASSIFIER.replace("FILE", base))
    result = trained(path, tmp_path / "run")
    assert result.scores["dev"].values["accuracy"] > score
    stored = Checkpoints(tmp_path / "run" / "checkpoints", read_only=True).arrays(result.steps)
    experiment = load_experiment(path)
    task = experiment.task_class.prepare(experiment)
    fresh = flat(jax.jit(task.objective.init)(jax.random.key(experiment.seed)))
    resting = [name for name in fresh if "switch.branch_0" in name]
    moving = [name for name in fresh if "switch.branch_1" in name and "weight" in name]
    assert resting
    assert moving
    for name in resting:  # no decay, no momentum
        np.testing.assert_array_equal(stored[f"model.{name}"], fresh[name])
    for name in moving:
        assert not np.array_equal(stored[f"model.{name}"], fresh[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{bi_rnn: 4}|{bi_rn: 4}", r"broken.yaml:8: model.encoder.steps\[0\]: no step 'bi_rn': did you mean 'bi_rnn'"),
        ("most: 3|mots: 3", r"broken.yaml:10: model.encoder.steps\[2\].loop: unknown key 'mots': did you mean 'most'"),
        (
            "[{linear: 8}, tanh]|[{linear: 8}, tahn]",
            r"broken.yaml:11: model.encoder.steps\[2\].loop.body\[3\].also\[1\]: no part 'tahn'",
        ),
        ("{tag: thinking}|{tag: context}", r"broken.yaml:16: model.encoder.steps\[4\]: duplicate tag name 'context'"),
        (
            "{using: [context]}\n      - {tag: t|{using: [memory]}\n      - {tag: t",
            r"unresolved forward reference 'memory'|no place in",
        ),
    ],
)
def test_mistakes_have_a_line(corpus, change, message):
    old, new = change.split("|")
    path = write(corpus, "broken.yaml", TAGGER.replace("COST", "0.1").replace(old, new))
    with pytest.raises(InputError, match=message):
        load_experiment(path)


def test_shapes_that_do_not_fit(corpus, tmp_path):
    path = write(corpus, "shapes.yaml", TAGGER.replace("COST", "0.1").replace("{linear: 8}, tanh", "{linear: 7}, tanh"))
    with pytest.raises(InputError, match=r"model.encoder.steps\[2\].*loop 'thinking'.*\(11, 13, 8\).*\(11, 13, 7\)"):
        trained(path, tmp_path / "run")
    path = write(
        corpus, "shapes.yaml", "extends: tiny.yaml\nmodel: {encoder: {kind: flow, steps: [{reshape: [-1, 4]}]}}\n"
    )
    with pytest.raises(
        InputError, match=r"model.encoder.steps: turns f32\[11, 13, \d+\] into .*; only the last axis may change"
    ):
        trained(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
