# SPDX-License-Identifier: BSD-2-Clause
"""``load_task`` and ``load_pretrained``: from a folder to answers, or to a model."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import Program, compile
from spago_jax.core import Precision
from spago_jax.data.processor import load_settings
from spago_jax.errors import CheckpointError, InputError, did_you_mean
from spago_jax.generation.choice import Choice
from spago_jax.generation.sampling import sample
from spago_jax.tasks.experiment import run_experiment
from spago_jax.tasks.exported_engine import ExportedEngine
from spago_jax.tasks.generator import Generator
from spago_jax.tasks.predictor import BatchPredictor, Predictor
from spago_jax.tasks.pretrained.registry import PRETRAINED
from spago_jax.tasks.pretrained.task import EncoderTask
from spago_jax.tasks.registry import TASKS
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Objective, Task


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run folder opened for use: its task, without data, and the weights of a checkpoint."""

    run: RunFolder
    experiment: Experiment
    task: Task
    model: Any
    step: int


def open_run(path: str | Path, *, step: int | None = None, task: Task | None = None) -> TrainedRun:
    """Opens a run for use.

    Args:
        path: the run folder.
        step: which checkpoint; the best one by default.
        task: one that was prepared with data; by default one without data is opened from the run's assets.

    Raises:
        InputError: where there is no run.
        CheckpointError: where there is no checkpoint, or it cannot be read.
    """
    run = RunFolder.open(path)
    experiment = run_experiment(run) if task is None else task.experiment
    task = task or experiment.task_class.open(experiment, run.assets)
    assert task is not None
    with closing(Checkpoints(run.checkpoints, metric=task.metric(), read_only=True)) as checkpoints:
        chosen = checkpoints.best() if step is None else step
        if chosen is None:
            raise CheckpointError(f"{run.checkpoints}: there is no checkpoint yet")
        if chosen not in checkpoints.steps():
            raise CheckpointError(f"{run.checkpoints}: no checkpoint of step {chosen}; there are {checkpoints.steps()}")
        precision = Precision.parse(experiment.train.precision)
        skeleton = jax.eval_shape(lambda key: precision.to_params(task.objective.init(key)), jax.random.key(0))
        model, _ = checkpoints.load(chosen, skeleton, ("model", "average"))
    return TrainedRun(run, experiment, task, jax.device_put(model), chosen)


def load_task(name: str, source: str | Path, *, step: int | None = None, **settings: Any) -> Predictor:
    """A task with a trained model, ready to answer.

    Args:
        name: of the task, such as ``token-classification``.
        source: a run folder, an exported folder, or a folder or a name in Hugging Face's layout.
        step: which checkpoint of a run; the best one by default.
        settings: how a pre-trained model is opened: ``dtype``, ``download``, ``max_length``, and what the task has.

    Raises:
        InputError: for an unknown task, a folder that is none of these, or one of another task.
        CheckpointError: for a checkpoint or an exported program that cannot be read.
    """
    folder = Path(source)
    is_run, is_exported = (folder / "config.yaml").is_file(), (folder / "manifest.json").is_file()
    if not is_run and not is_exported and name in PRETRAINED.names():
        return PRETRAINED.find(name).open(source, **settings)
    if name not in TASKS.names():
        known = sorted({*TASKS.names(), *PRETRAINED.names()})
        raise InputError(f"unknown task {name!r}: {did_you_mean(name, known)}")
    task_class = TASKS.find(name)
    if settings:
        raise InputError(f"{', '.join(settings)}: only a pre-trained model can be opened with settings", path=folder)
    if is_exported and not is_run:
        return _exported(task_class, folder)
    trained = open_run(folder, step=step)
    _refuse_other(name, trained.task.name, folder)
    return predictor(trained.task, trained.model)


def load_pretrained(source: str | Path, *, step: int | None = None) -> Any:
    """The trained model of a run folder, a Module; ``load_task`` gives one that answers texts.

    Raises:
        InputError: where there is no run.
        CheckpointError: for a checkpoint that cannot be read.
    """
    return open_run(source, step=step).model


def predictor(task: Task, model: Any) -> Predictor:
    """A task with a trained model, ready to answer, on programs compiled for few shapes."""
    if isinstance(task, EncoderTask):
        return task.predictor(model)
    precision = Precision.parse(task.experiment.train.precision)
    if task.processor.generates:
        return Generator(task.name, task.processor, DeviceEngine(task.objective, model, precision))
    program = prediction_program(task, precision)
    return BatchPredictor(task.name, task.processor, lambda batch: program(model, batch), freeze=program.freeze)


def prediction_program(task: Task, precision: Precision) -> Program:
    """A Program ``(model, batch) -> outputs`` of what answers are made from."""
    objective, wanted = task.objective, task.processor.outputs

    def predict(model: Any, batch: Any) -> dict[str, jax.Array]:
        outputs, _ = objective.predict(precision.to_compute(model), batch)
        return {name: outputs[name] for name in wanted}

    return compile(predict, name=f"predict {task.name}")


class DeviceEngine:
    """Runs a language model on the device; many characters are written in one call."""

    def __init__(self, objective: Objective, model: Any, precision: Precision):
        self._objective, self._model = objective, model

        def read(model: Any, ids: jax.Array, length: jax.Array, state: Any) -> tuple[jax.Array, Any]:
            batch = {"inputs": ids[None], "lengths": length[None]}
            outputs, state = objective.predict(precision.to_compute(model), batch, state)
            return outputs["logits"][0], state

        def write(model: Any, logits: Any, state: Any, key: Any, heat: Any, top_p: Any, fixed: Any) -> Any:
            computing, (count, top_k, never) = precision.to_compute(model), fixed

            def step(ids: jax.Array, *, state: Any) -> tuple[jax.Array, Any]:
                batch = {"inputs": ids, "lengths": jax.numpy.ones(ids.shape[:1], jax.numpy.int32)}
                outputs, state = objective.predict(computing, batch, state)
                return outputs["logits"].astype(logits.dtype), state

            how = {"count": count, "top_k": top_k, "top_p": top_p, "never": never}
            ids, _, after, state = sample(step, logits[None], state, key, heat, **how)
            return ids[0], after[0], state

        self._read = compile(read, name="read")
        self._write = compile(write, static="fixed", name="write")

    def start(self) -> Any:
        """Zeros."""
        return self._objective.initial_carry(1)

    def read(self, ids: np.ndarray, length: int, state: Any) -> tuple[Any, Any]:
        """Reads a piece of a text."""
        return self._read(self._model, ids, np.int32(length), state)

    def write(self, logits: Any, state: Any, count: int, choice: Choice, noise: Sequence[int]) -> tuple[Any, Any, Any]:
        """Writes a piece of a text."""
        seed, *places = noise
        key = jax.random.key(seed)
        for place in places:
            key = jax.random.fold_in(key, place)
        top_p = None if choice.top_p is None else np.float32(choice.top_p)
        heat, fixed = np.float32(choice.temperature), (count, choice.top_k, choice.never)
        return self._write(self._model, logits, state, key, heat, top_p, fixed)


def _exported(task_class: type[Task], folder: Path) -> Predictor:
    from spago_jax.compiler.ship import ProgramError, load_program

    try:
        program = load_program(folder)
    except ProgramError as error:
        raise CheckpointError(str(error)) from None
    _refuse_other(task_class.name, program.metadata.get("task"), folder)
    processor = task_class.variant(load_settings(folder / "assets")).processor_class.load(folder / "assets")
    if processor.generates:
        return Generator(task_class.name, processor, ExportedEngine(program))
    return BatchPredictor(task_class.name, processor, program)


def _refuse_other(name: str, found: str | None, folder: Path) -> None:
    if found != name:
        raise InputError(f"a model of the task {found!r}, not of {name!r}", path=folder)
