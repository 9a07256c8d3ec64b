# SPDX-License-Identifier: BSD-2-Clause
"""The programs of one experiment and their initial state: all that is compiled before training."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import Program, compile, compile_all
from spago_jax.core import Array, Module, Precision, Rng
from spago_jax.core.devices import Devices
from spago_jax.core.tree import PyTree
from spago_jax.data.batching import Block
from spago_jax.embeddings.store_index import row_numbers
from spago_jax.errors import InputError
from spago_jax.flow.unused import branch_paths, skip_unused
from spago_jax.models.execution import Execution, current_execution, execution, has_layers
from spago_jax.optim import build_optimizer, plateau_update, trained_paths
from spago_jax.optim.lazy_rows import lazy_rows
from spago_jax.train.evaluate import fresh_carry, own_part, pad_steps, place
from spago_jax.train.layout import Layout
from spago_jax.train.start import optimizer_config, with_weights
from spago_jax.train.state import TrainState
from spago_jax.train.step import evaluation_program, train_program, training_loss
from spago_jax.train.stored_rows import StoredRows, refuse_unsuited, stored
from spago_jax.train.task import Batch, Task
from spago_jax.train.watch.discover import discover
from spago_jax.train.watch.histograms import histogram_program
from spago_jax.train.watch.measures import NOTHING, Measures


class Programs:
    """The train step, the evaluation step, and the plateau rule of an experiment.

    Attributes:
        batches: the training batches.
        steps_per_epoch: the number of training batches.
        state: the state before the first step, on the host's default device.
        train: ``(state, block, count) -> (state, totals)``.
        evaluation: ``(model, block, carry) -> (outputs, carry)``.
        plateau: ``(optimizer state, score) -> optimizer state``, or None.
        layout: where the arrays of the state lie, on several devices; None on one.
        rows: the trainable stores of vectors on disk, or None.
        measures: the values that the train step measures for the watch.
        histograms: ``(model, batch, carry) -> histograms``, or None.

    Args:
        task: the task, with its data.
        weights: initial arrays by path, instead of random ones.
        devices: the devices that share each batch.
        precision: the dtypes of parameters and computation.
        gates: path patterns that stay frozen until they are opened, see ``build_optimizer``; None for an optimizer
            without controls.
        shapes_only: makes no arrays: ``state`` holds their shapes, for compilation alone.
    """

    def __init__(
        self,
        task: Task,
        devices: Devices,
        precision: Precision,
        gates: Sequence[str] | None = None,
        weights: Mapping[str, np.ndarray] | None = None,
        *,
        shapes_only: bool = False,
    ):
        self.task, self.devices, self.precision = task, devices, precision
        experiment = task.experiment
        self.config = experiment.train
        self.batches = task.batches("train", training=True)
        blocks = self.batches.epoch(0)
        self.blocks_per_epoch, self.steps_per_epoch = len(blocks), sum(block.steps for block in blocks)
        self.steps = self.config.total_steps(self.steps_per_epoch)
        self.epochs = self.config.total_epochs(self.steps_per_epoch)
        if shapes_only:
            model = jax.eval_shape(lambda key: precision.to_params(task.objective.init(key)), jax.random.key(0))
        else:
            model = jax.jit(task.objective.init)(jax.random.key(experiment.seed))
            model = task.from_data(model)
            if weights is not None and experiment.init is not None:
                model = with_weights(model, weights, experiment.init, task.growing)
            model = precision.to_params(model)
        rule = optimizer_config(experiment)
        optimizer = build_optimizer(
            rule,
            model,
            total_steps=self.steps,
            steps_per_epoch=self.steps_per_epoch,
            gates=gates,
        )
        places, _ = stored(task)
        if places:
            if devices.processes > 1 or (devices.size > 1 and self.config.sharding != "replicated"):
                raise InputError("model.embeddings: a store is trained by one process, with train.sharding: replicated")
            refuse_unsuited(experiment)
            optimizer = lazy_rows(optimizer, [f"embeddings.parts.{place}.block" for place in places])
        if branch_paths(model):  # flows with switches: branches that were not taken are not updated
            optimizer = skip_unused(optimizer, model)
        paths = trained_paths(rule, model, gates or ())
        average = self.config.average

        # One program for the whole state: leaf by leaf, it would be dozens of small ones.
        def begin(model: Module, carry: PyTree) -> TrainState:
            return TrainState.init(
                model, optimizer, lambda _: paths, carry, experiment.seed, averaged=average is not None
            )

        carry = task.objective.initial_carry(self.config.batch_size)
        self.state = jax.eval_shape(begin, model, carry) if shapes_only else jax.jit(begin)(model, carry)
        self.layout = None if devices.size == 1 else Layout(devices, model, self.config.sharding)
        self.rows = StoredRows.of(task, self.state, devices)
        how = self._execution(model)
        self.measures, self.histograms = self._watch(model, paths, how)
        self.train = train_program(
            task.objective, optimizer, lambda _: paths, self.layout, precision,
            average=average, measures=self.measures, how=how,
        )  # fmt: skip
        self.evaluation = evaluation_program(task.objective, self.layout, precision)
        self.plateau = self._plateau()

    def all(self) -> list[Program]:
        """Returns every program of the experiment."""
        programs = (self.train, self.evaluation, self.plateau, self.histograms)
        return [program for program in programs if program is not None]

    def evaluated(self) -> list[str]:
        """Returns the parts of the data that are scored."""
        return [split for split in self.task.splits() if split != "train"]

    def warm_up(self, state: TrainState) -> None:
        """Compiles every shape that training and evaluation will meet, then forbids any other shape.

        Args:
            state: the state that training will start from, on the devices.
        """
        pending = [
            self.train.prepare(state if self.rows is None else self.rows.shaped(state, arrays), arrays, np.int32(0))
            for arrays in self._one_block_per_shape("train", training=True)
        ]
        if self.plateau is not None:
            pending.append(self.plateau.prepare(state.optimizer, np.float32(0)))
        if self.histograms is not None:
            pending.append(self.histograms.prepare(state.model, *self.fixed_batch()))
        model = state.model_for_evaluation()
        carry = fresh_carry(self.task, self.config.eval_batch_size, self.devices)
        known = set()  # parts of the data share lengths, and so programs
        for split in self.evaluated():
            for arrays in self._one_block_per_shape(split, training=False):
                shapes = tuple((name, array.shape, str(array.dtype)) for name, array in sorted(arrays.items()))
                if shapes not in known:
                    known.add(shapes)
                    pending.append(self.evaluation.prepare(model, arrays, carry))
        compile_all(pending)
        for program in self.all():
            program.freeze()

    def padded(self, split: str, block: Block) -> dict[str, np.ndarray]:
        """Returns the arrays of a block, padded to the number of steps per call; of this process's rows alone."""
        return pad_steps(self.task.arrays(split, own_part(block, self.devices)), self.config.steps_per_call)

    def train_arrays(self, block: Block) -> dict[str, np.ndarray]:
        """Returns the arrays of a block of training; of rows of stores, their numbers."""
        if self.rows is None:
            return self.padded("train", block)
        with row_numbers():
            return self.padded("train", block)

    def placed(self, state: TrainState) -> TrainState:
        """Returns a state from the host on its devices."""
        if self.layout is not None:
            return self.layout.put(state)
        carry = state.carry
        state = self.devices.replicate(state.replace(carry=()))
        return state.replace(carry=self.placed_carry(carry))

    def fresh_carry(self) -> Any:
        """Returns the initial carry of a training text, on the devices."""
        return self.placed_carry(self.task.objective.initial_carry(self.config.batch_size))

    def placed_carry(self, carry: PyTree) -> PyTree:
        """Puts a carry on the devices, split over its batch axis if there are several."""
        return self.devices.split(carry, axis=0)

    def fixed_batch(self) -> tuple[Any, Any]:
        """Returns the very first training batch and the carry before it, whole on every device, for the histograms."""
        block = self.batches.epoch(0)[0]
        arrays = {name: array[0] for name, array in self.task.arrays("train", block).items()}
        return self.devices.replicate((arrays, self.task.objective.initial_carry(self.config.batch_size)))

    def _execution(self, model: Module) -> Execution:
        remat = self.config.remat
        if remat is not None and not has_layers(model):
            raise InputError(
                f"train.remat = {remat!r}: this model has no stack of transformer layers, and nothing is kept of one; "
                "leave it out (a loop of a flow has a remat of its own)"
            )
        return dataclasses.replace(current_execution(), remat=remat)

    def _watch(self, model: Module, trained: set[str], how: Execution) -> tuple[Measures, Program | None]:
        config, task, precision = self.config.watch, self.task, self.precision
        if config is None:
            return NOTHING, None

        def loss(model: Module, batch: Batch, carry: PyTree) -> Array:
            key = jax.random.fold_in(jax.random.key(task.experiment.seed), 0)
            with execution(how):
                found = training_loss(task.objective, precision.to_compute(model), batch, carry, Rng(key))
            return found.total.astype(jnp.float32) / jnp.maximum(found.weight.astype(jnp.float32), 1e-8)

        found = discover(loss, model, *self.fixed_batch())
        measures = Measures(config, found, sorted(trained))
        if config.histograms is None:
            return measures, None
        return measures, histogram_program(config.histograms, loss, found, model, trained)

    def _one_block_per_shape(self, split: str, *, training: bool) -> Iterator[Any]:
        seen = set()
        for block in self.task.batches(split, training=training).epoch(0):
            if block.length not in seen:
                seen.add(block.length)
                arrays = self.train_arrays(block) if training else self.padded(split, block)
                yield place(arrays, block, self.devices)

    def _plateau(self) -> Program | None:
        config = self.task.experiment.optimizer.plateau
        if config is None:
            return None
        if config.mode is None:
            config = config.model_copy(update={"mode": self.task.metric().better})

        def follow_plateau(memory: PyTree, score: Array) -> PyTree:
            memory = plateau_update(config, memory, score)
            return memory if self.layout is None else self.layout.keep(memory)

        return compile(follow_plateau)
