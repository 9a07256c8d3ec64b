# SPDX-License-Identifier: BSD-2-Clause
"""Describes an experiment before it runs: config, parameters, programs."""

from collections.abc import Iterator

import jax

from spago_jax.core import Precision, summary
from spago_jax.core.devices import Devices
from spago_jax.train.config import dump
from spago_jax.train.programs import Programs
from spago_jax.train.schema import Experiment
from spago_jax.train.start import prepare


def describe(experiment: Experiment, *, programs: bool = True) -> Iterator[str]:
    """The resolved config, the table of parameters, the batches, and the cost of each program, as text."""
    yield "# config\n" + dump(experiment)
    experiment.task_class.check(experiment)
    task, weights = prepare(experiment)
    yield "# parameters\n" + summary(jax.eval_shape(task.objective.init, jax.random.key(experiment.seed))) + "\n"
    yield "# batches"
    for split in task.splits():
        yield f"{split}: {task.batches(split, training=split == 'train')!r}"
    if not programs:
        return
    built = Programs(task, Devices.of(1), Precision.parse(experiment.train.precision), weights=weights)
    built.warm_up(built.state)
    yield "\n# programs"
    for program in built.all():
        yield str(program.report(roofline=False))
