# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax graph`: draws a program of an experiment or a run."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.compiler.graph import Graph
    from spago_jax.core import Array, Module
    from spago_jax.core.tree import PyTree
    from spago_jax.flow import Network
    from spago_jax.train.state import TrainState
    from spago_jax.train.task import Batch, Task


class Which(enum.StrEnum):
    """What is drawn."""

    train = "train"
    eval = "eval"
    predict = "predict"
    flow = "flow"


class Format(enum.StrEnum):
    """How it is drawn."""

    svg = "svg"
    dot = "dot"
    mermaid = "mermaid"
    text = "text"


@app.command()
def graph(
    what: Annotated[Path, typer.Argument(metavar="CONFIG|RUN", help="A YAML experiment or a run folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE")] = None,
    program: Annotated[
        Which,
        typer.Option(help="The training step, the scoring of a batch, the answer, or the model's flow by its steps."),
    ] = Which.predict,
    format: Annotated[Format, typer.Option(help="svg for a browser, dot, mermaid, or a table as text.")] = Format.svg,
    gradient: Annotated[
        bool, typer.Option("--gradient", help="The derivative of the training loss, with --program train.")
    ] = False,
    level: Annotated[
        int | None, typer.Option(min=0, help="How deep modules and loops are open; all the way by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file; standard output by default.")] = None,
) -> None:
    """Draws a program with the modules, shapes and costs of its operations, for one batch.

    A run is drawn from its own vocabularies where --program is predict; the other programs read its data.
    """
    if gradient and program is not Which.train:
        raise InputError(f"--gradient needs a loss, and {program.value} has none; use it with --program train")
    if level is not None and format is Format.text:
        raise InputError("--level folds pictures; a table (--format text) shows every operation")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        why = "is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise InputError(f"--out: cannot write there: {why}", path=out)
    if program is Which.flow:
        found: Any = flow_of(what, overrides or [])
        text = drawn_flow(found, format, level)
    else:
        found = traced(what, overrides or [], program, gradient)
        text = found.text() + "\n" if format is Format.text else getattr(found, format.value)(level)
    if out is None:
        print(text, end="")
        return
    from spago_jax.core.disk import replace_file

    replace_file(out, text)
    print(f"{found!r}\nwritten to {out}")


def flow_of(what: Path, overrides: list[str]) -> "Network":
    """The flow of an experiment's model, without its arrays.

    Raises:
        InputError: for a config with mistakes, or a model without a flow.
    """
    import jax

    from spago_jax.flow import Network

    leaves = jax.tree.leaves(_model(_task(what, overrides, data=False)), is_leaf=lambda node: isinstance(node, Network))
    nets = [leaf for leaf in leaves if isinstance(leaf, Network)]
    if not nets:
        raise InputError(
            "--program flow: the model has no flow; write one as model.encoder, with kind: flow",
            path=what,
        )
    return nets[0]


def drawn_flow(net: "Network", format: Format, level: int | None) -> str:
    """A flow in a format: a picture by its steps and tags, or its steps as lines."""
    from spago_jax import flow

    if format is Format.text:
        return "".join(f"{step}{f' #{step.tag}' if step.tag else ''}\n" for step in net.plan.steps)
    return getattr(flow, format.value)(net, level=level)


def _task(what: Path, overrides: list[str], *, data: bool) -> "Task":
    """The task of a config, or of a run, whose data are read where they are needed."""
    from spago_jax.tasks.experiment import load_experiment, run_experiment
    from spago_jax.train.run_folder import RunFolder
    from spago_jax.train.start import prepare

    if not what.is_dir():
        return prepare(load_experiment(what, overrides))[0]
    run = RunFolder.open(what)
    experiment = run_experiment(run, overrides)
    if not data:
        return experiment.task_class.open(experiment, run.assets)
    experiment.task_class.check(experiment)
    return prepare(experiment, run)[0]


def traced(what: Path, overrides: list[str], program: Which, gradient: bool = False) -> "Graph":
    """The graph of a program of an experiment.

    Args:
        what: a YAML experiment, or a run folder.
        overrides: texts like ``model.dropout=0.1``.
        program: which one.
        gradient: the derivative of the training loss instead of the training step.

    Raises:
        InputError: for a config with mistakes, or data that are not there.
    """
    task = _task(what, overrides, data=program is not Which.predict)
    if program is Which.predict:
        return _predict(task)
    if program is Which.eval:
        return _eval(task)
    return _loss(task).gradient(_trained(task)) if gradient else _train(task)


def _predict(task: "Task") -> "Graph":
    """What an export ships, for a batch of the size of evaluation; needs no weights."""
    import jax

    from spago_jax.compiler import spec
    from spago_jax.compiler.graph import graph
    from spago_jax.tasks.export import prediction

    function, inputs = prediction(task)
    sizes = {**task.processor.sizes(), "batch": task.experiment.train.eval_batch_size}

    def struct(leaf: Any) -> jax.ShapeDtypeStruct:
        if isinstance(leaf, str):
            return spec("input", leaf).struct(sizes)
        shape = tuple(size if isinstance(size, int) else sizes[str(size)] for size in leaf.shape)
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    filled = jax.tree.map(struct, inputs, is_leaf=lambda leaf: isinstance(leaf, str))
    return graph(function, _model(task), *filled, name=f"{task.experiment.name}: {task.name}")


def _eval(task: "Task") -> "Graph":
    from spago_jax.compiler.graph import graph
    from spago_jax.core import Precision

    objective, precision = task.objective, Precision.parse(task.experiment.train.precision)
    split = next((name for name in task.splits() if name != "train"), "train")

    def evaluate(model: "Module", batch: "Batch", carry: "PyTree") -> Any:
        model = precision.to_compute(model)
        outputs, carry = objective.predict(model, batch, carry)
        return objective.measure(model, batch, outputs), carry

    carry = objective.initial_carry(task.experiment.train.eval_batch_size)
    batch = {name: array[0] for name, array in _block(task, split, training=False).items()}
    return graph(evaluate, _model(task), batch, carry, name=f"{task.experiment.name}: eval")


def _train(task: "Task") -> "Graph":
    """One step: loss, gradients and update, as the train program takes it many times in a call."""
    import numpy as np

    from spago_jax.compiler.graph import graph
    from spago_jax.core import Precision
    from spago_jax.core.devices import Devices
    from spago_jax.train.programs import Programs

    programs = Programs(task, Devices.of(1), Precision.parse(task.experiment.train.precision))
    block = {name: array[:1] for name, array in _block(task, "train", training=True).items()}

    def train(state: "TrainState", batch: "Batch") -> Any:
        return programs.train.function(state, batch, np.int32(1))

    return graph(train, programs.state, block, name=f"{task.experiment.name}: train")


def _loss(task: "Task") -> "Graph":
    import jax
    import jax.numpy as jnp

    from spago_jax.compiler.graph import graph
    from spago_jax.core import Precision, Rng
    from spago_jax.train.step import training_loss

    objective, precision = task.objective, Precision.parse(task.experiment.train.precision)

    def loss(model: "Module", batch: "Batch", carry: "PyTree", key: "Array") -> Any:
        rng = Rng(jax.random.wrap_key_data(key))
        found = training_loss(objective, precision.to_compute(model), batch, carry, rng)
        return (found.total / jnp.maximum(found.weight, 1e-8)).astype(jnp.float32)

    batch = {name: array[0] for name, array in _block(task, "train", training=True).items()}
    carry = objective.initial_carry(task.experiment.train.batch_size)
    key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    return graph(loss, _model(task), batch, carry, key, name=f"{task.experiment.name}: loss")


def _trained(task: "Task") -> list[str]:
    """The paths of the arrays that training differentiates for."""
    from spago_jax.optim import trained_paths
    from spago_jax.train.start import optimizer_config

    return [f"model.{path}" for path in sorted(trained_paths(optimizer_config(task.experiment), _model(task)))]


def _model(task: "Task") -> Any:
    """The model without its arrays."""
    import jax

    from spago_jax.core import Precision

    precision = Precision.parse(task.experiment.train.precision)
    return jax.eval_shape(lambda key: precision.to_params(task.objective.init(key)), jax.random.key(0))


def _block(task: "Task", split: str, *, training: bool) -> dict[str, Any]:
    """The arrays of the first block of a part of the data, [steps, batch, ...]."""
    return task.arrays(split, task.batches(split, training=training).epoch(0)[0])
