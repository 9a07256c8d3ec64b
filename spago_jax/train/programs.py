# SPDX-License-Identifier: BSD-2-Clause
"""The programs of one experiment and the state that they start from: everything that is compiled before training."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from spago_jax.compiler import Program, compile, compile_all
from spago_jax.core import Precision, Rng
from spago_jax.core.sharding import put_replicated, put_split
from spago_jax.flow.unused import branch_paths, skip_unused
from spago_jax.optim import build_optimizer, plateau_update, trained_paths
from spago_jax.train.evaluate import fresh_carry, pad_steps, place
from spago_jax.train.recipe import Recipe
from spago_jax.train.state import TrainState
from spago_jax.train.step import evaluation_program, train_program
from spago_jax.train.watch.discover import discover
from spago_jax.train.watch.histograms import histogram_program
from spago_jax.train.watch.measures import NOTHING, Measures


class Programs:
    """The train step, the evaluation step, and the plateau rule of an experiment.

    Attributes:
        batches: the training batches.
        steps_per_epoch: their number.
        state: the state before the first step, on the host's default device.
        train: ``(state, block, count) -> (state, totals)``.
        evaluation: ``(model, block, carry) -> (outputs, carry)``.
        plateau: ``(optimizer state, score) -> optimizer state``, or None.
        measures: what the train step measures for the watch.
        histograms: ``(model, batch, carry) -> histograms``, or None.

    Args:
        recipe: with its data.
        mesh: the devices.
        precision: of parameters and computation.
        gates: path patterns that stay frozen until they are opened, see ``build_optimizer``; None for an optimizer
            without controls.
    """

    def __init__(self, recipe: Recipe, mesh: Mesh, precision: Precision, gates: Sequence[str] | None = None):
        self.recipe, self.mesh, self.precision = recipe, mesh, precision
        experiment = recipe.experiment
        self.config = experiment.train
        self.batches = recipe.batches("train", training=True)
        blocks = self.batches.epoch(0)
        self.blocks_per_epoch, self.steps_per_epoch = len(blocks), sum(block.steps for block in blocks)
        model = jax.jit(recipe.init_model)(jax.random.key(experiment.seed))
        model = precision.to_params(recipe.pretrained(model))
        optimizer = build_optimizer(
            experiment.optimizer,
            model,
            total_steps=self.config.epochs * self.steps_per_epoch,
            steps_per_epoch=self.steps_per_epoch,
            gates=gates,
        )
        if branch_paths(model):  # flows with switches: what was not chosen is not moved
            optimizer = skip_unused(optimizer, model)
        paths = trained_paths(experiment.optimizer, model, gates or ())
        average = self.config.average
        # One program for the whole state: made leaf by leaf it would be dozens of small ones.
        self.state = jax.jit(
            lambda model, carry: TrainState.init(
                model, optimizer, lambda _: paths, carry, experiment.seed, averaged=average is not None
            )
        )(model, recipe.initial_carry(self.config.batch_size))
        self.measures, self.histograms = self._watch(model, paths)
        self.train = train_program(
            recipe, optimizer, lambda _: paths, mesh, precision, average=average, measures=self.measures
        )
        self.evaluation = evaluation_program(recipe, mesh, precision)
        self.plateau = self._plateau()

    def all(self) -> list[Program]:
        """The programs that there are."""
        programs = (self.train, self.evaluation, self.plateau, self.histograms)
        return [program for program in programs if program is not None]

    def evaluated(self) -> list[str]:
        """The parts of the data that are scored."""
        return [split for split in self.recipe.splits() if split != "train"]

    def warm_up(self, state: TrainState) -> None:
        """Compiles every shape that training and evaluation will meet, then forbids any other.

        Args:
            state: as training will start with it, on the devices.
        """
        pending = [
            self.train.prepare(state, arrays, np.int32(0)) for arrays in self._one_block_a_shape("train", training=True)
        ]
        if self.plateau is not None:
            pending.append(self.plateau.prepare(state.optimizer, np.float32(0)))
        if self.histograms is not None:
            pending.append(self.histograms.prepare(state.model, *self.fixed_batch()))
        model = state.model_for_evaluation()
        carry = fresh_carry(self.recipe, self.config.eval_batch_size, self.mesh)
        for split in self.evaluated():
            for arrays in self._one_block_a_shape(split, training=False):
                pending.append(self.evaluation.prepare(model, arrays, carry))
        compile_all(pending)
        for program in self.all():
            program.freeze()

    def padded(self, split: str, block: Any, *, training: bool) -> dict[str, np.ndarray]:
        """A block's arrays, filled up to the number of steps of a call."""
        return pad_steps(self.recipe.collate(split, block, training=training), self.config.steps_per_call)

    def fresh_carry(self) -> Any:
        """The carry that a training text begins with, on the devices."""
        return self.placed_carry(self.recipe.initial_carry(self.config.batch_size))

    def placed_carry(self, carry: Any) -> Any:
        """Hands a carry to the devices, split over its batch axis where there are several."""
        return put_split(carry, self.mesh, axis=0)

    def fixed_batch(self) -> tuple[Any, Any]:
        """The first training batch of all and the carry before it, whole on every device; for the histograms."""
        block = self.batches.epoch(0)[0]
        arrays = {name: array[0] for name, array in self.padded("train", block, training=True).items()}
        return put_replicated((arrays, self.recipe.initial_carry(self.config.batch_size)), self.mesh)

    def _watch(self, model: Any, trained: set[str]) -> tuple[Measures, Program | None]:
        config, recipe, precision = self.config.watch, self.recipe, self.precision
        if config is None:
            return NOTHING, None

        def loss(model: Any, batch: Any, carry: Any) -> Any:
            key = jax.random.fold_in(jax.random.key(recipe.experiment.seed), 0)
            found = recipe.loss(precision.to_compute(model), batch, carry, Rng(key))
            return found.total.astype(jnp.float32) / jnp.maximum(found.weight.astype(jnp.float32), 1e-8)

        found = discover(loss, model, *self.fixed_batch())
        measures = Measures(config, found, sorted(trained), several=self.mesh.size > 1)
        if config.histograms is None:
            return measures, None
        return measures, histogram_program(config.histograms, loss, found, model, trained)

    def _one_block_a_shape(self, split: str, *, training: bool) -> Iterator[Any]:
        seen = set()
        for block in self.recipe.batches(split, training=training).epoch(0):
            if block.length not in seen:
                seen.add(block.length)
                yield place(self.padded(split, block, training=training), self.mesh)

    def _plateau(self) -> Program | None:
        config = self.recipe.experiment.optimizer.plateau
        if config is None:
            return None
        if config.mode is None:
            config = config.model_copy(update={"mode": self.recipe.chosen_metric().mode})

        def follow_plateau(memory: Any, score: Any) -> Any:
            return plateau_update(config, memory, score)

        return compile(follow_plateau)
