# SPDX-License-Identifier: BSD-2-Clause
"""Finds a learning rate: the loss of a short training whose rate grows from very small to far too large."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from spago_jax.compiler.cache import cache_by_default
from spago_jax.core import Precision
from spago_jax.core.devices import Devices
from spago_jax.errors import InputError
from spago_jax.optim import OptimizerConfig, set_controls
from spago_jax.optim.config import ConstantSchedule
from spago_jax.train.evaluate import place
from spago_jax.train.programs import Programs
from spago_jax.train.schema import Experiment
from spago_jax.train.start import prepare
from spago_jax.train.stored_rows import stored

SMOOTHING = 0.95
DIVERGED = 4.0  # times the least smoothed loss


@dataclasses.dataclass(frozen=True)
class RateCurve:
    """The losses of a sweep over learning rates.

    Attributes:
        rates: the learning rate of each step, rising.
        losses: the loss of each step's batch, before its update.
        smoothed: the same as an exponential average, with the start corrected.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def least(self) -> int:
        """The step of the least smoothed loss."""
        return int(np.argmin(self.smoothed))

    @property
    def steepest(self) -> int | None:
        """The step where the smoothed loss falls fastest over the logarithm of the rate, before its least value.

        None where it never falls. The first tenth is left out: there the average is of few losses.
        """
        slopes = np.gradient(self.smoothed, np.log(self.rates)) if len(self.rates) > 1 else np.zeros(1)
        first = len(self.rates) // 10
        part = slopes[first : self.least + 1]
        if len(part) == 0 or part.min() >= 0:
            return None
        return first + int(np.argmin(part))

    @property
    def suggestion(self) -> float | None:
        """The rate of the steepest descent, to two digits; None where the loss never falls."""
        return None if self.steepest is None else float(f"{self.rates[self.steepest]:.1e}")


def smooth(losses: Sequence[float], decay: float = SMOOTHING) -> np.ndarray:
    """Returns s_t = m_t / (1 - decay^t) with m_t = decay m_(t-1) + (1 - decay) x_t, m_0 = 0.

    >>> smooth([4.0, 2.0], 0.5).round(3).tolist()
    [4.0, 2.667]
    """
    found, average = [], 0.0
    for t, loss in enumerate(losses, 1):
        average = decay * average + (1 - decay) * loss
        found.append(average / (1 - decay**t))
    return np.array(found)


def find_rate(experiment: Experiment, *, low: float = 1e-6, high: float = 10.0, steps: int = 200) -> RateCurve:
    """Trains for some steps, each with a higher learning rate than the one before; nothing is written.

    The rate of step i (from 0) of n is ``low (high / low)^(i / (n - 1))``. The sweep ends early where the loss is not
    finite, or the smoothed loss exceeds four times its least value. Schedule, plateau and accumulation are left out;
    groups keep their rates relative to the optimizer's. The same experiment gives the same curve.

    Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.

    Args:
        experiment: from ``load_experiment``.
        low: the first rate.
        high: the last one.
        steps: how many batches.

    Raises:
        InputError: for bad data, or bounds that do not leave room for a sweep.
    """
    if not 0 < low < high or not math.isfinite(high):
        raise InputError(f"the rates go from {low:g} to {high:g}: expected 0 < low < high")
    if steps < 20:
        raise InputError(f"{steps} steps are too few for a curve; expected 20 or more")
    cache_by_default()
    experiment = _plain(experiment, low, steps)
    devices = experiment.train.make_devices()
    devices.check_divides(experiment.train.batch_size, "train.batch_size")
    named = experiment.train.device is not None
    with jax.default_device(devices.first) if named else contextlib.nullcontext():
        rates, losses = _sweep(experiment, devices, low * (high / low) ** (np.arange(steps) / (steps - 1)))
    if len(losses) < 2:
        raise InputError(f"the loss is not finite from the start, at a learning rate of {low:g}: is the data sound?")
    return RateCurve(rates, np.array(losses), smooth(losses))


def _sweep(experiment: Experiment, devices: Devices, rates: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Returns the rates that were tried, and their losses."""
    task, weights = prepare(experiment)
    if "train" not in task.splits():
        raise InputError("data.train is missing: there is nothing to train on")
    if stored(task)[0]:
        raise InputError("model.embeddings: this would train a store; look for the rate with trainable: false")
    programs = Programs(task, devices, Precision.parse(experiment.train.precision), (), weights)
    state = programs.placed(programs.state)
    losses: list[float] = []
    for rate, block in zip(rates, _blocks(programs), strict=False):
        if getattr(block, "first", False):
            state = state.replace(carry=programs.fresh_carry())
        state = state.replace(optimizer=set_controls(state.optimizer, scale=float(rate / rates[0])))
        arrays = place(programs.padded("train", block), block, devices)
        state, totals = programs.train(state, arrays, np.int32(1))
        found = jax.device_get(totals)
        loss = float(found["loss"]) / max(float(found["weight"]), 1e-8)
        if not math.isfinite(loss):
            break
        losses.append(loss)
        smoothed = smooth(losses)
        if smoothed[-1] > DIVERGED * smoothed.min() and len(losses) > len(rates) // 10:
            break
        if int(found["bad_step"]) >= 0:  # the gradient: the next loss would not be finite
            break
    return rates[: len(losses)], losses


def _plain(experiment: Experiment, low: float, steps: int) -> Experiment:
    """Returns the experiment with one step per call, a constant rate, and nothing that follows scores or trends."""
    config: OptimizerConfig = experiment.optimizer
    groups = tuple(
        group
        if group.learning_rate is None
        else group.model_copy(update={"learning_rate": None, "scale": group.learning_rate / config.learning_rate})
        for group in config.groups
    )
    changes: dict[str, Any] = {"learning_rate": low, "schedule": ConstantSchedule.model_validate({}), "plateau": None}
    optimizer = config.model_copy(update=changes | {"accumulate": 1, "groups": groups})
    quiet = {"steps": steps, "steps_per_call": 1, "watch": None, "actions": (), "average": None}
    train = experiment.train.model_copy(update=quiet)
    return experiment.model_copy(update={"optimizer": optimizer, "train": train})


def _blocks(programs: Programs) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from programs.batches.epoch(epoch)
        epoch += 1
