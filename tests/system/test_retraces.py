"""After warm-up neither training nor evaluation compiles anything: of our programs or of others (acceptance 4)."""

import json

import pytest

from spago_jax.cli.main import run


def compiled(folder) -> dict:
    """What programs.json says, after what must hold for every run."""
    found = json.loads((folder / "programs.json").read_text())
    assert found["compilations_in_warm_up"] >= len(found["programs"])
    assert found["compilations_after_warm_up"] == 0
    for program in found["programs"]:
        assert program["traces"] == len(program["signatures"]) > 0, program["name"]
    return {program["name"]: program for program in found["programs"]}


@pytest.mark.parametrize("kind", ["trained", "letters", "pictures"])
def test_every_kind_of_model(request, kind):
    programs = compiled(request.getfixturevalue(kind)[1])
    assert set(programs) == {"train_block", "evaluate_block"}


def test_every_text_classifier(moods):
    compiled(moods[1])


def test_with_everything_that_a_run_may_have(config, tmp_path):
    changes = [
        "train.epochs=3", "train.buckets=3", "train.average=0.9", "train.checkpoint_every=3", "train.max_length=10",
        "train.early_stopping={patience: 2}", "optimizer.plateau={factor: 0.5, patience: 0}",
        "optimizer.schedule={name: cosine, warmup: 0.1}", "optimizer.groups=[{match: embeddings.parts.0, scale: 0.5}]",
        "model.encoder.layers=2", "model.encoder.cell=gru", "model.output=softmax",
    ]  # fmt: skip
    assert run(["train", str(config), *changes, "--out", str(tmp_path / "run"), "-q"]) == 0
    programs = compiled(tmp_path / "run")
    assert set(programs) == {"train_block", "evaluate_block", "follow_plateau"}
    assert len(programs["train_block"]["signatures"]) > 1  # one a padded length
    assert len(programs["follow_plateau"]["signatures"]) == 1


def test_a_resumed_run(config, tmp_path):
    for epochs in (1, 3):
        arguments = ["train", str(config), f"train.epochs={epochs}", "train.average=0.9", "--resume", "-q"]
        assert run([*arguments, "--out", str(tmp_path / "run")]) == 0
        compiled(tmp_path / "run")


def test_the_count_sees_what_is_compiled_late(config, tmp_path, monkeypatch):
    # A program that JAX compiles in mid-training, whoever made it, is counted.
    import jax
    import jax.numpy as jnp

    from spago_jax.train.history import History

    real = History.judge

    def judge(self, *arguments):
        jax.jit(lambda x: x * 3 + 1)(jnp.arange(5.0) + len(arguments))
        return real(self, *arguments)

    monkeypatch.setattr(History, "judge", judge)
    assert run(["train", str(config), "train.epochs=1", "--out", str(tmp_path / "run"), "-q"]) == 0
    assert json.loads((tmp_path / "run" / "programs.json").read_text())["compilations_after_warm_up"] > 0
