# SPDX-License-Identifier: BSD-2-Clause
"""From a YAML file, or a mapping, to a checked Experiment of the task that it names."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import Field, create_model

from spago_jax.errors import InputError
from spago_jax.tasks.registry import TASKS
from spago_jax.train.config import validate, where
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Task
from spago_jax.train.yaml_source import Source, read


def load_experiment(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), *, files: bool = True
) -> Experiment:
    """Reads and checks an experiment; nothing else is done, so a mistake costs no time.

    Args:
        source: a YAML file, whose name is that of the experiment if it gives none, or the same settings as a mapping.
        overrides: texts like ``optimizer.learning_rate=0.01``, applied last.
        files: whether the files that it names must be there; a trained run is used without them.

    Raises:
        InputError: for the mistakes found: unknown keys (with the nearest known one), wrong types, missing keys, each
            with file and line.

    >>> settings = {"task": "image-classification", "name": "digits", "data": {"format": "digits"},
    ...             "model": {"hidden": [16]}, "optimizer": {"name": "adam"}}
    >>> load_experiment(settings, ["model.hidden=[32, 32]"]).model.hidden
    (32, 32)
    """
    settings = read(source, overrides)
    if not isinstance(source, Mapping) and isinstance(settings.tree, dict):
        settings.tree.setdefault("name", Path(source).stem)
    task = _named_task(settings, None if isinstance(source, Mapping) else source)
    experiment = validate(experiment_class(task), settings.tree, settings, ())
    if files:
        task.check(experiment)
    return experiment


@functools.cache
def experiment_class(task: type[Task]) -> type[Experiment]:
    """The schema of a task's experiments, with typed `data`, `model` and `train` sections."""
    fields = Experiment.model_fields
    readers: Any = Union[task.readers]  # noqa: UP007  (a tuple of classes)
    data: Any = Annotated[readers, Field(discriminator="format")] if len(task.readers) > 1 else readers
    train = Field(default_factory=task.TrainConfig, description=fields["train"].description)
    made: type[Experiment] = create_model(  # pyright: ignore[reportCallIssue]
        "Experiment",
        __base__=Experiment,
        __doc__=Experiment.__doc__,
        data=(data, Field(description=fields["data"].description)),
        model=(task.ModelConfig, Field(description=fields["model"].description)),
        train=(task.TrainConfig, train),
    )
    made.task_class = task
    return made


def run_experiment(run: RunFolder, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a run; its data files need not be there any more."""
    return load_experiment(run / "config.yaml", overrides, files=False)


def _named_task(source: Source, path: str | Path | None) -> type[Task]:
    if not isinstance(source.tree, dict) or "task" not in source.tree:
        raise InputError(f"key 'task' is missing: one of {', '.join(TASKS.names())}", path=path)
    model = source.tree.get("model")
    try:
        return TASKS.find(str(source.tree["task"])).variant(model if isinstance(model, Mapping) else {})
    except InputError as error:
        raise InputError(f"{where(source, ('task',))}{error}") from None
