"""`spago-jax init`: every template trains, is evaluated and answers; nothing is overwritten."""

import io
import shlex
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from spago_jax.cli.main import run
from spago_jax.errors import InputError
from spago_jax.tasks.experiment import load_experiment
from spago_jax.tasks.pretrained.task import EncoderTask
from spago_jax.tasks.registry import TASKS
from spago_jax.tasks.templates import TEMPLATES, find_template, write_template

ROOT = Path(__file__).resolve().parents[2]
IDS = [template.kind for template in TEMPLATES]


LONG = ("numbers", "strings")  # evaluation writes hundreds of texts


@pytest.mark.extended
@pytest.mark.parametrize(
    "template", [pytest.param(one, marks=pytest.mark.slow) if one.kind in LONG else one for one in TEMPLATES], ids=IDS
)
def test_a_template_trains_is_evaluated_and_answers(template, tmp_path, capsys, monkeypatch):
    if template.kind == "digits":
        pytest.importorskip("sklearn")
    folder = tmp_path / "my first"
    assert run(["init", template.task, str(folder), "--kind", template.kind]) == 0
    said = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    words = shlex.split(said["train"])
    assert words[:2] == ["spago-jax", "train"]
    short = ["train.steps=4", "train.steps_per_call=2"]
    short += ["train.buckets=1"] if "buckets" in TASKS.find(template.task).TrainConfig.model_fields else []
    assert run([*words[1:3], *short, *words[3:], "-q"]) == 0
    assert run(shlex.split(said["evaluate"])[1:]) == 0
    assert "test" in capsys.readouterr().out
    if "predict" in said:
        before, _, command = said["predict"].rpartition(" | ")
        monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(shlex.split(before)[1:]) + "\n"))
        assert run(shlex.split(command)[1:]) == 0
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("template", TEMPLATES, ids=IDS)
def test_a_template_is_a_checked_experiment_with_the_name_of_its_folder(template, tmp_path):
    written = write_template(template, tmp_path / "no: yes")
    assert (tmp_path / "no: yes" / "config.yaml") in written
    experiment = load_experiment(tmp_path / "no: yes" / "config.yaml")
    assert (experiment.name, experiment.task) == ("no: yes", template.task)
    assert set(experiment.data.splits()) == {"train", "dev", "test"}
    assert "# " in (tmp_path / "no: yes" / "config.yaml").read_text()


def test_every_task_has_a_template():
    encoders = {name for name in TASKS.names() if issubclass(TASKS.find(name), EncoderTask)}  # need a model's files
    encoders.add("summarization")  # as it does
    assert {template.task for template in TEMPLATES} == set(TASKS.names()) - encoders
    assert find_template("token-classification").kind == "entities"


def test_a_folder_that_is_not_empty_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert run(["init", "text-generation", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"spago-jax: {tmp_path}: the folder is not empty; choose another one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    assert run(["init", "text-generation", str(tmp_path / "empty")]) == 0
    assert run(["init", "text-generation", str(tmp_path / "notes.txt")]) == 2
    assert "exists and is not a folder" in capsys.readouterr().err


def test_unknown_tasks_and_kinds(tmp_path, capsys):
    assert run(["init", "token-clasification", str(tmp_path / "x")]) == 2
    assert "did you mean 'token-classification'?" in capsys.readouterr().err
    with pytest.raises(InputError, match="--kind entity: no such template of token-classification: did you mean 'ent"):
        find_template("token-classification", "entity")
    assert not (tmp_path / "x").exists()


def test_the_package_carries_every_file_that_it_reads():
    """`pip install` takes along only what pyproject.toml names."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    left = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "spago_jax").rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and not any(
            PurePosixPath(path.relative_to(ROOT)).match(f"{package.replace('.', '/')}/{pattern}")
            for package, patterns in named.items()
            for pattern in patterns
        )
    ]
    assert left == []
