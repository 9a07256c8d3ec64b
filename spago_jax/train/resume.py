# SPDX-License-Identifier: BSD-2-Clause
"""What a run may be resumed with: the same experiment, judged by the same score, on the same schedule."""

from pathlib import Path
from shlex import quote

from spago_jax.errors import InputError
from spago_jax.optim.schedules import follows_length
from spago_jax.train.schema import Experiment, TrainConfig
from spago_jax.train.task import Task

# Keys of `train` that may change: they decide how long, where and how closely a run is followed.
_FREE = frozenset({
    "epochs", "steps", "device", "devices", "mesh", "sharding", "distributed", "log_every", "tensorboard",
    "eval_batch_size", "evaluate_every", "evaluate_steps", "checkpoint_every", "keep_checkpoints", "early_stopping",
    "metric", "watch",
})  # fmt: skip


def check_same_experiment(old: Experiment, new: Experiment) -> None:
    """Refuses to resume with other data, model, optimizer or seed: the numbers would mean nothing.

    Raises:
        InputError: names the keys that differ.
    """
    for section in ("task", "seed", "data", "model", "init", "optimizer"):
        before, after = getattr(old, section), getattr(new, section)
        if before != after:
            what = section
            if hasattr(before, "model_fields_set"):
                changed = [k for k, v in before.model_dump().items() if after.model_dump().get(k) != v]
                what = ", ".join(f"{section}.{k}" for k in changed) or section
            raise InputError(
                f"cannot resume: {what} differs from the run's own config. Resume with the same settings "
                f"(train.epochs and train.devices may change), or start another run with --out"
            )
    for key in sorted(set(type(new.train).model_fields) - _FREE):
        if getattr(old.train, key) != getattr(new.train, key):
            raise InputError(
                f"cannot resume: train.{key} was {getattr(old.train, key)!r}, now {getattr(new.train, key)!r}"
            )


def check_same_metric(old: Experiment, task: Task) -> None:
    """Refuses to resume with another score: the best one so far, and what patience is left, are in terms of the old.

    Args:
        old: the experiment of the run.
        task: the task of the new experiment, with its data.

    Raises:
        InputError: names both scores.
    """
    was, now = old.train.metric or task.score_names()[0], task.metric().name
    if was != now:
        raise InputError(
            f"cannot resume: train.metric was {was!r}, now {now!r}: the best checkpoint so far was picked by {was}, "
            f"and others are deleted. Resume with train.metric={was}, or start another run with --out"
        )


def check_same_schedule(old: TrainConfig, new: Experiment, steps_per_epoch: int, run: Path) -> None:
    """Refuses to resume for another number of steps if the learning rate depends on that number.

    Args:
        old: the `train` section of the run.
        new: the experiment to resume with.
        steps_per_epoch: the number of training batches.
        run: the folder of the run, for the advice.

    Raises:
        InputError: says why, and how to go on.
    """
    before, after = old.total_steps(steps_per_epoch), new.train.total_steps(steps_per_epoch)
    if before == after:
        return
    reason = follows_length(new.optimizer, before)
    if reason is not None:
        key = "steps" if old.steps is not None else "epochs"
        raise InputError(
            f"cannot resume for {after} steps: the run was laid out for {before}, and {reason}: the learning rate "
            f"would jump. Resume with train.{key}={getattr(old, key)}, or train on from its weights in another run, "
            f"with init: {{from: {quote(str(run))}}}"
        )
