"""docs/from-spago.md: every command, option, task and module that it names exists."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "from-spago.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"`spago-jax run ([^`]+)`", PAGE)))
TASKS = sorted(set(re.findall(r'sj\.load_task\("([^"]+)"', PAGE)))
MODULES = sorted(set(re.findall(r"`(spago_jax(?:\.\w+)+)", PAGE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    from spago_jax.cli.task_options import split
    from spago_jax.tasks.pretrained.registry import pretrained_task

    task, _, *rest = shlex.split(command)
    found = pretrained_task(task)
    texts, _, _ = split(task, rest, found.Options, found.Settings)
    assert texts in (["T"], ["Q"])


@pytest.mark.parametrize("task", TASKS)
def test_tasks_exist(task):
    from spago_jax.tasks.pretrained.registry import PRETRAINED

    assert PRETRAINED.find(task)


@pytest.mark.parametrize("name", MODULES)
def test_modules_exist(name):
    try:
        assert importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_old_names_of_options_are_understood():
    from spago_jax.cli.task_options import ALIASES

    for name in ("multi_class", "hypothesis_template", "possible_labels", "text2", "pooling_strategy", "max_answers"):
        assert name in ALIASES
