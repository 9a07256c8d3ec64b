# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax configs`: everything that can be set, with defaults and meaning, read off the schema itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from spago_jax.cli.app import app

if TYPE_CHECKING:
    from spago_jax.train.task import Task


@app.command()
def configs(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="A task; all of them by default.")] = None,
) -> None:
    """Lists what an experiment can set: key, type, default and meaning; first what is particular to the task."""
    from spago_jax.tasks.registry import TASKS

    for name in [task] if task else TASKS.names():
        for line in _particular(TASKS.find(name)):
            print(line)
    for line in _general():
        print(line)


def _particular(task: "type[Task]") -> Iterator[str]:
    """Data of each format, model, and the keys of `train` that only some tasks have."""
    from spago_jax.cli.schema_text import first_sentence, section_lines
    from spago_jax.train.schema import TrainConfig

    for reader in task.readers:
        name = get_args(reader.model_fields["format"].annotation)[0]
        yield f"data (format: {name}, for task: {task.name}): {first_sentence(reader)}"
        yield from section_lines(reader, "data.", skip=["format"])
        yield ""
    yield f"model (for task: {task.name}): {first_sentence(task.ModelConfig)}"
    yield from section_lines(task.ModelConfig, "model.")
    yield ""
    own = [name for name in task.TrainConfig.model_fields if name not in TrainConfig.model_fields]
    if own:
        yield f"train (for task: {task.name}): {first_sentence(task.TrainConfig)}"
        yield from section_lines(task.TrainConfig, "train.", skip=list(TrainConfig.model_fields))
        yield ""


def _general() -> Iterator[str]:
    """What every experiment has."""
    from spago_jax.cli.schema_text import first_sentence, section_lines
    from spago_jax.train.schema import Experiment, TrainConfig

    yield "For every task:"
    yield "extends: file    another YAML file, read first and overlaid by this one"
    yield from section_lines(Experiment, "", skip=["data", "model", "train", "optimizer", "init"])
    yield ""
    yield f"train: {first_sentence(TrainConfig)}"
    yield from section_lines(TrainConfig, "train.")
    yield ""
    yield from section_lines(Experiment, "", skip=["data", "model", "train", *("task", "name", "description", "seed")])
