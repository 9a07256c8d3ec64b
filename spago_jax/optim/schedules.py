# SPDX-License-Identifier: BSD-2-Clause
"""Learning-rate schedules: pure functions from the number of updates to a factor of the learning rate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError
from spago_jax.optim.config import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    HyperbolicSchedule,
    LinearSchedule,
    OptimizerConfig,
    Schedule,
    StepSchedule,
)

__all__ = ["ScheduleFunction", "build_schedule", "follows_length", "warmup_steps"]

ScheduleFunction = Callable[[jax.typing.ArrayLike], jax.Array]


def warmup_steps(config: Schedule, total_steps: int) -> int:
    """How many steps the warm-up takes: `warmup` itself, or that part of all steps where it is below 1.

    >>> warmup_steps(ConstantSchedule(warmup=0.1), 500), warmup_steps(ConstantSchedule(warmup=20), 500)
    (50, 20)
    """
    return round(config.warmup * total_steps) if config.warmup < 1 else int(config.warmup)


def follows_length(config: OptimizerConfig, total_steps: int | None = None) -> str | None:
    """Says why a run of another number of steps would have had other updates from the start.

    Args:
        config: The ``optimizer:`` section.
        total_steps: How many batches the run takes in all; None where that is not known.

    Returns:
        The reason, or None where a run that goes on equals one that had all steps from the start.

    >>> follows_length(OptimizerConfig(schedule="cosine"))
    'the cosine schedule follows the number of all steps'
    >>> follows_length(OptimizerConfig(accumulate=4), 10)
    'with optimizer.accumulate = 4 its last update is that of 2 batches'
    """
    schedule = config.schedule
    if 0 < schedule.warmup < 1:
        return "optimizer.schedule.warmup is a part of all steps"
    if isinstance(schedule, LinearSchedule | CosineSchedule | ExponentialSchedule) and schedule.steps is None:
        return f"the {schedule.name} schedule follows the number of all steps"
    left = config.accumulate - 1 if total_steps is None else total_steps % config.accumulate
    if left:
        of = "fewer batches" if total_steps is None else f"{left} batch{'es' if left > 1 else ''}"
        return f"with optimizer.accumulate = {config.accumulate} its last update is that of {of}"
    return None


def build_schedule(config: Schedule, *, total_steps: int, steps_per_epoch: int) -> ScheduleFunction:
    """The factor of the learning rate at an update (counted from 0), as a function that JAX can trace.

    During a warm-up of w steps the factor of step t is (t + 1) / w, so no step is lost to a rate of zero; then
    the schedule starts at its own t = 0. It ends at n = total_steps - w, and keeps that value from then on.

    >>> schedule = build_schedule(CosineSchedule(warmup=2), total_steps=10, steps_per_epoch=5)
    >>> [round(float(schedule(t)), 3) for t in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]

    Args:
        config: Which schedule.
        total_steps: How many updates there will be.
        steps_per_epoch: How many updates one pass over the data takes.

    Raises:
        InputError: `total_steps` or `steps_per_epoch` below 1, or a warm-up that takes more than all steps.
    """
    if total_steps < 1 or steps_per_epoch < 1:
        raise InputError(f"total_steps={total_steps} and steps_per_epoch={steps_per_epoch}: expected 1 or more of each")
    warm = warmup_steps(config, total_steps)
    if warm > total_steps:
        raise InputError(
            f"optimizer.schedule.warmup is {warm} steps, but there are only {total_steps} steps in all: "
            "shorten it, or give a part of all steps (0.1)"
        )
    rest = max(1, total_steps - warm)

    def body(t: jax.Array) -> jax.Array:
        match config:
            case ConstantSchedule():
                return jnp.ones_like(t)
            case HyperbolicSchedule():
                unit = steps_per_epoch if config.unit == "epoch" else 1
                return jnp.maximum(config.final, 1 / (1 + config.rate * t / unit))
            case StepSchedule():
                unit = steps_per_epoch if config.unit == "epoch" else 1
                return config.factor ** jnp.floor(t / (unit * config.every))
        part = jnp.minimum(t / (config.steps or rest), 1.0)
        match config:
            case LinearSchedule():
                return 1 + (config.final - 1) * part
            case CosineSchedule():
                return config.final + (1 - config.final) * (1 + jnp.cos(jnp.pi * part)) / 2
            case ExponentialSchedule():
                return config.final**part

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        t = jnp.asarray(count, dtype=jnp.result_type(float))
        if warm == 0:
            return body(t)
        return jnp.where(t < warm, (t + 1) / warm, body(jnp.maximum(t - warm, 0)))

    return schedule
