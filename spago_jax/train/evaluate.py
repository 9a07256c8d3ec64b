# SPDX-License-Identifier: BSD-2-Clause
"""Scores a model on one part of the data; outputs are fetched one block behind the device."""

import dataclasses
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import Program
from spago_jax.core import Module
from spago_jax.core.devices import Devices
from spago_jax.data.batching import Block
from spago_jax.train.task import Scores, Task


def evaluate(
    task: Task, program: Program, model: Module, split: str, devices: Devices, *, keep: int | None = None,
    quick: bool = False,
) -> Scores:  # fmt: skip
    """Scores ``model`` on one part of the data.

    Args:
        task: the task, with its data.
        program: its evaluation step.
        model: the model, on the devices.
        split: the part.
        devices: the devices.
        keep: how many mistakes are kept; None: as many as usual.
        quick: whether training goes on afterwards, so that answers that are written step by step may be fewer.
    """
    batches = task.batches(split, training=False)
    scorer: Any = task.scorer(split)
    if keep is not None:
        scorer.keep = keep
    size = task.experiment.train.eval_batch_size
    carry = fresh_carry(task, size, devices)
    waiting: tuple[Any, Any] | None = None
    for block in batches.epoch(0):
        if getattr(block, "first", False):
            carry = fresh_carry(task, size, devices)
        own = pad_steps(task.arrays(split, own_part(block, devices)), task.experiment.train.steps_per_call)
        arrays = place(own, block, devices)
        outputs, carry = program(model, arrays, carry)
        if waiting is not None:
            scorer.update(waiting[0], jax.device_get(waiting[1]))
        waiting = (block, outputs)
    if waiting is not None:
        scorer.update(waiting[0], jax.device_get(waiting[1]))
    found = scorer.compute()
    if not task.writes:
        return found
    # Of several devices, the first of each process writes all texts: so no process waits for another.
    written = task.written(devices.whole(model), split, quick=quick, keep=keep)
    if written is None:
        return found
    return Scores({**written.values, **found.values}, {**found.details, **written.details})


def pad_steps(arrays: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """Pads a block with zero batches, so that full and partial blocks have the same shape."""

    def one(array: np.ndarray) -> np.ndarray:
        missing = steps - array.shape[0]
        return array if missing == 0 else np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1))

    return {name: one(array) for name, array in arrays.items()}


def own_part(block: Block, devices: Devices) -> Any:
    """Returns a block with the rows of its batches that this process reads."""
    rows = devices.rows(block.indices.shape[1])
    return block if rows is None else dataclasses.replace(block, indices=block.indices[:, rows])


def place(arrays: dict[str, np.ndarray], block: Block, devices: Devices) -> Any:
    """Puts the arrays of a block on the devices, split over the batch axis if there are several.

    Args:
        arrays: those of the rows that this process reads.
        block: the whole block.
        devices: the devices.
    """
    return devices.join(arrays, block.indices.shape[1]) if devices.size > 1 else arrays


def fresh_carry(task: Task, batch_size: int, devices: Devices) -> Any:
    """Returns the initial carry of a text, on the devices."""
    return devices.split(task.objective.initial_carry(batch_size), axis=0)
