# SPDX-License-Identifier: BSD-2-Clause
"""Exports a trained task: a folder that takes raw text and gives answers without this library."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from spago_jax.compiler.ship.export import DEFAULT_PLATFORMS, export
from spago_jax.core import Module, Precision
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.tasks.carried_source import PACKAGE, carried_source
from spago_jax.tasks.load import TrainedRun
from spago_jax.tasks.text_to_text.objective import TextToTextObjective
from spago_jax.train.task import Batch, Task

_TEMPLATES = Path(__file__).parent / "exported"


def export_run(
    trained: TrainedRun,
    folder: str | Path,
    *,
    platforms: Sequence[str] = DEFAULT_PLATFORMS,
    differentiable: bool = False,
    overwrite: bool = False,
) -> Path:
    """Exports the prediction of a trained run with its processor, and a README.

    Args:
        trained: from ``open_run``.
        folder: where; it appears complete or not at all.
        platforms: where the program shall run.
        differentiable: ship the gradient too.
        overwrite: replace an exported program that is there.

    Returns:
        The folder.

    Raises:
        InputError: for an unknown platform, or a folder that is in the way.
        ExportError: for what cannot be exported.
    """
    refuse_loops(trained.task)
    function, inputs = prediction(trained.task)
    return export(
        function,
        folder,
        trained.model,
        *inputs,
        name=program_name(trained.task),
        platforms=platforms,
        differentiable=differentiable,
        metadata=metadata(trained),
        files=carried_files(trained, "stablehlo"),
        overwrite=overwrite,
    )


def refuse_loops(task: Task) -> None:
    """Refuses to export the program of a task whose answers are written by a loop around it.

    Raises:
        InputError: with the format that such a model has.
    """
    if isinstance(task.objective, TextToTextObjective):
        raise InputError(
            f"{task.name}: texts are written by a loop, which a program of one step does not hold; --format "
            "huggingface exports the model"
        )


def program_name(task: Task) -> str:
    """The name of a task's program: that of the task, as an identifier."""
    return task.name.replace("-", "_")


def metadata(trained: TrainedRun) -> dict[str, Any]:
    """What a manifest says about where a program came from, and the labels of its answers."""
    task = trained.task
    return {"run": trained.experiment.name, "task": task.name, "step": trained.step, "labels": list(task.labels())}


def prediction(task: Task) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of a task that is shipped, ``function(model, batch)``, and the specs of its inputs.

    A language model takes and gives its state too: ``function(model, batch, state)``.
    """
    objective = task.objective
    precision = Precision.parse(task.experiment.train.precision)

    def predict(model: Module, batch: Batch) -> Any:
        return objective.predict(precision.to_compute(model), batch)[0]

    def read(model: Module, batch: Batch, state: PyTree) -> Any:
        outputs, after = objective.predict(precision.to_compute(model), batch, state)
        return {**outputs, "state": after}

    if not task.processor.generates:
        return predict, (task.processor.specs(),)
    return read, (task.processor.specs(), jax.tree.map(_free_batch, objective.initial_carry(1)))


def _free_batch(leaf: Any) -> Any:
    (batch,) = jax.export.symbolic_shape("batch")
    return jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype)


def carried_files(trained: TrainedRun, format: str) -> dict[str, Path | bytes]:
    """What an exported folder holds beside its program: the assets of the run, the source of its processor, a README.

    Args:
        trained: from ``open_run``.
        format: ``stablehlo`` or ``onnx``.
    """
    assets = trained.run.assets
    files: dict[str, Path | bytes] = {
        f"assets/{path.relative_to(assets).as_posix()}": path for path in sorted(assets.rglob("*")) if path.is_file()
    }
    processor = trained.task.processor
    helpers = ["predictor", "exported_engine"] if format == "stablehlo" else ["predictor", "onnx_program"]
    modules = [type(part).__module__ for part in processor.components()]
    files |= carried_source([*modules, *(f"spago_jax.tasks.{name}" for name in helpers), "spago_jax.tasks.generator"])
    cls = type(processor)
    values = {
        "TASK": trained.task.name,
        "MODULE": cls.__module__.replace("spago_jax", PACKAGE),
        "CLASS": cls.__name__,
    }
    script = (_TEMPLATES / f"predict_{format}.py.txt").read_text(encoding="utf-8")
    readme = (_TEMPLATES / f"readme_{format}.txt").read_text(encoding="utf-8")
    for key, value in values.items():
        script, readme = script.replace(f"@{key}@", value), readme.replace(f"@{key}@", value)
    files["predict.py"] = script.encode("utf-8")
    files["README.txt"] = readme.encode("utf-8")
    return files
