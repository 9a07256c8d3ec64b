# SPDX-License-Identifier: BSD-2-Clause
"""``load_task`` and ``load_pretrained``: from a folder to answers, or to a model."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from spago_jax.compiler import Program, compile
from spago_jax.core import Module, Precision, flat, unflat
from spago_jax.data.processor import Processor, load_settings
from spago_jax.errors import CheckpointError, InputError, did_you_mean
from spago_jax.interop.flair.file import is_flair
from spago_jax.tasks.device_engine import DeviceEngine
from spago_jax.tasks.experiment import run_experiment
from spago_jax.tasks.exported_engine import ExportedEngine
from spago_jax.tasks.generator import Generator
from spago_jax.tasks.language_modeling.predictor import LanguageModeling
from spago_jax.tasks.model_call import ModelCall
from spago_jax.tasks.predictor import BatchPredictor, Predictor, TokenPredictor
from spago_jax.tasks.pretrained.registry import PRETRAINED
from spago_jax.tasks.pretrained.task import EncoderTask
from spago_jax.tasks.registry import TASKS
from spago_jax.tasks.text_to_text.task import TextToTextTask
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.run_folder import RunFolder
from spago_jax.train.schema import Experiment
from spago_jax.train.start import IMPORTED, imported_weights, is_own_folder
from spago_jax.train.task import Batch, Task

if TYPE_CHECKING:
    from spago_jax.compiler.ship import LoadedProgram
    from spago_jax.interop.huggingface import Pretrained
    from spago_jax.interop.huggingface.locate import Download


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run folder opened for use: its task, without data, and the weights of a checkpoint."""

    run: RunFolder
    experiment: Experiment
    task: Task
    model: Module
    step: int

    @property
    def config(self) -> Experiment:
        """The experiment, by the name that the config of a pre-trained model has."""
        return self.experiment

    @property
    def tokenizer(self) -> Any:
        """What cuts texts; None for a task that reads none, or whose texts come as tokens."""
        return getattr(self.task.processor, "tokenizer", None)


@dataclasses.dataclass(frozen=True)
class ExportedTask:
    """An exported folder opened for use.

    Attributes:
        config: what was written down at the export: the names of the run and of the task, the step and the labels.
        model: the program; ``model.weights`` are its arrays by path.
        processor: from inputs to arrays, and from outputs to answers.
    """

    config: Mapping[str, Any]
    model: "LoadedProgram"
    processor: Processor

    @property
    def tokenizer(self) -> Any:
        """What cuts texts; None for a task that reads none, or whose texts come as tokens."""
        return getattr(self.processor, "tokenizer", None)


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
    precision = Precision.parse(experiment.train.precision)
    skeleton = jax.eval_shape(lambda key: precision.to_params(task.objective.init(key)), jax.random.key(0))
    if (run / IMPORTED).is_file():
        if step:
            raise CheckpointError(f"{run.path}: no checkpoint of step {step}; it was imported, and never trained here")
        return TrainedRun(run, experiment, task, _imported_model(run, skeleton), 0)
    with closing(Checkpoints(run.checkpoints, metric=task.metric(), read_only=True)) as checkpoints:
        chosen = checkpoints.best() if step is None else step
        if chosen is None:
            raise CheckpointError(f"{run.checkpoints}: there is no checkpoint yet")
        if chosen not in checkpoints.steps():
            raise CheckpointError(f"{run.checkpoints}: no checkpoint of step {chosen}; there are {checkpoints.steps()}")
        model, _ = checkpoints.load(chosen, skeleton, ("model", "average"))
    return TrainedRun(run, experiment, task, jax.device_put(model), chosen)


def _imported_model(run: RunFolder, skeleton: Module) -> Module:
    """The model of a folder that was imported.

    Raises:
        CheckpointError: for arrays that are damaged, or not those of its config.
    """
    arrays, wanted = imported_weights(run.path), flat(skeleton)
    try:
        return unflat(
            skeleton, {path: jnp.asarray(a, getattr(wanted.get(path), "dtype", None)) for path, a in arrays.items()}
        )
    except InputError as error:
        raise CheckpointError(f"{run / IMPORTED}: {error}") from None


def open_model(path: str | Path) -> tuple[Task, Any]:
    """Opens the task of a run, or of a file of Flair's, without data, and its trained model.

    Raises:
        InputError: where there is neither, or it is damaged.
        CheckpointError: for a checkpoint that cannot be read.
    """
    if is_flair(path):
        from spago_jax.interop.flair.open import import_flair

        return import_flair(path).open()
    trained = open_run(path)
    return trained.task, trained.model


def load_task(name: str, source: str | Path, *, step: int | None = None, **settings: Any) -> Predictor:
    """A task with a trained model, ready to answer.

    Args:
        name: of the task, such as ``token-classification``.
        source: a run folder, an exported or an imported folder, a folder or a name in Hugging Face's layout, or a file
            of Flair's.
        step: which checkpoint of a run; the best one by default.
        settings: how a pre-trained model is opened: ``dtype``, ``download``, ``max_length``, and what the task has.

    Raises:
        InputError: for an unknown task, a folder that is none of these, or one of another task.
        CheckpointError: for a checkpoint or an exported program that cannot be read.
    """
    if name == LanguageModeling.name:
        generator = load_task("text-generation", source, step=step, **settings)
        assert isinstance(generator, Generator)
        return LanguageModeling(generator)
    folder = Path(source)
    if is_flair(folder) and name in TASKS.names():
        from spago_jax.interop.flair.open import load_flair

        return load_flair(name, folder, **settings)
    is_run, is_exported = (folder / "config.yaml").is_file(), (folder / "manifest.json").is_file()
    if not is_run and not is_exported and name in PRETRAINED.names():
        return PRETRAINED.find(name).open(source, **settings)
    if name not in TASKS.names():
        known = sorted({*TASKS.names(), *PRETRAINED.names()})
        raise InputError(f"unknown task {name!r}: {did_you_mean(name, known)}")
    if settings:
        raise InputError(f"{', '.join(settings)}: only a pre-trained model can be opened with settings", path=folder)
    if is_exported and not is_run:
        return _exported(name, folder)
    trained = open_run(folder, step=step)
    _refuse_other(name, trained.task.name, folder)
    return predictor(trained.task, trained.model)


def load_pretrained(
    source: str | Path,
    *,
    head: str | None = None,
    dtype: str = "float32",
    allow_missing: str | Sequence[str] = (),
    download: "Download" = "never",
    revision: str | None = None,
    token: str | None = None,
    step: int | None = None,
) -> "Pretrained | TrainedRun | ExportedTask":
    """Opens a model with its config and its tokenizer; ``load_task`` gives one that answers texts.

    Whatever ``source`` is, what comes back has ``.config``, ``.model`` (a Module; an exported folder's program) and
    ``.tokenizer``. Nothing is downloaded unless ``download`` says so, and no code or pickle of a model's is run.

    Args:
        source: a run folder, an exported folder, a folder in Hugging Face's layout, or a name: of an installed package
            with a model in it, or of a model in Hugging Face's cache or on its hub.
        head: of a model in Hugging Face's layout, as are all arguments but ``step``: one that its architecture has,
            such as ``states`` or ``sequence-classification``; by default the one that its config names.
        dtype: ``float32``, ``float64`` (with JAX's x64 mode) or ``bfloat16``.
        allow_missing: patterns of tensors that the file may lack; they start at random.
        download: ``never``, ``missing`` or ``always``.
        revision: a branch, a tag or a commit of a name.
        token: of an account on the hub.
        step: which checkpoint of a run; the best one by default.

    Raises:
        InputError: where there is no model, or one that is damaged or not supported, and for arguments that do not go
            with what is there.
        CheckpointError: for a checkpoint or an exported program that cannot be read.

    >>> load_pretrained("someone/no-such-model")
    Traceback (most recent call last):
    ...
    spago_jax.errors.InputError: there is no folder 'someone/no-such-model', ...
    """
    layout = {
        "head": head, "allow_missing": allow_missing or None, "download": None if download == "never" else download,
        "revision": revision, "token": token, "dtype": None if dtype == "float32" else dtype,
    }  # fmt: skip
    if not is_own_folder(str(source)):
        if step is not None:
            raise InputError(f"step={step}: only a run folder has checkpoints to choose from", path=source)
        from spago_jax.interop.huggingface import load_pretrained as load

        return load(
            source, head=head, dtype=dtype, allow_missing=allow_missing, download=download, revision=revision,
            token=token,
        )  # fmt: skip
    if given := [name for name, value in layout.items() if value is not None]:
        raise InputError(f"{', '.join(given)}: only for a model in Hugging Face's layout", path=source)
    folder = Path(source)
    if (folder / "config.yaml").is_file():
        return open_run(folder, step=step)
    if step is not None:
        raise InputError(f"step={step}: only a run folder has checkpoints to choose from", path=folder)
    return open_exported(folder)


def open_exported(path: str | Path) -> ExportedTask:
    """Opens an exported folder for use.

    Raises:
        InputError: for the program of something else than a task.
        CheckpointError: where it cannot be read.
    """
    from spago_jax.compiler.ship import ProgramError, load_program

    folder = Path(path)
    try:
        program = load_program(folder)
    except ProgramError as error:
        raise CheckpointError(str(error)) from None
    name = program.metadata.get("task")
    if name not in TASKS.names():
        raise InputError("a program, but not that of a task: open it with spago_jax.load_program", path=folder)
    variant = TASKS.find(name).variant(load_settings(folder / "assets"))
    return ExportedTask(program.metadata, program, variant.processor_class.load(folder / "assets"))


def predictor(task: Task, model: Module) -> Predictor:
    """A task with a trained model, ready to answer, on programs compiled for few shapes."""
    if isinstance(task, EncoderTask | TextToTextTask):
        return task.predictor(model)
    precision = Precision.parse(task.experiment.train.precision)
    if task.processor.generates:
        found: Predictor = Generator(task.name, task.processor, DeviceEngine(task.objective, model, precision))
    else:
        program = prediction_program(task, precision)
        kind = _kind(task.processor)
        found = kind(task.name, task.processor, ModelCall(program, model), freeze=program.freeze)
    found.Options = task.Options  # pyright: ignore[reportAttributeAccessIssue] of this one alone
    return found


def prediction_program(task: Task, precision: Precision) -> Program:
    """A Program ``(model, batch) -> outputs`` of what answers are made from."""
    objective, wanted = task.objective, task.processor.outputs

    def predict(model: Module, batch: Batch) -> dict[str, jax.Array]:
        outputs, _ = objective.predict(precision.to_compute(model), batch)
        return {name: outputs[name] for name in wanted}

    return compile(predict, name=f"predict {task.name}")


def _exported(name: str, folder: Path) -> Predictor:
    found = open_exported(folder)
    _refuse_other(name, found.config["task"], folder)
    if found.processor.generates:
        made: Predictor = Generator(name, found.processor, ExportedEngine(found.model))
    else:
        made = _kind(found.processor)(name, found.processor, found.model)
    variant = TASKS.find(name).variant(load_settings(folder / "assets"))
    made.Options = variant.Options  # pyright: ignore[reportAttributeAccessIssue] of this one alone
    return made


def _kind(processor: Processor) -> type[BatchPredictor]:
    """What answers from a processor's batches: sentences may also be given by their tokens."""
    return TokenPredictor if processor.unit == "tokens" else BatchPredictor


def _refuse_other(name: str, found: str | None, folder: Path) -> None:
    if found != name:
        raise InputError(f"a model of the task {found!r}, not of {name!r}", path=folder)
