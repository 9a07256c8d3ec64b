# SPDX-License-Identifier: BSD-2-Clause
"""Describes an experiment before it runs: config, parameters, programs."""

from collections.abc import Iterator

import jax

from spago_jax.core import Precision, summary
from spago_jax.core.sharding import data_mesh
from spago_jax.train.config import dump
from spago_jax.train.programs import Programs
from spago_jax.train.registry import recipe_class
from spago_jax.train.schema import Experiment


def describe(experiment: Experiment, *, programs: bool = True) -> Iterator[str]:
    """The resolved config, the table of parameters, the batches, and the cost of each program, as text."""
    yield "# config\n" + dump(experiment)
    kind = recipe_class(experiment.model.kind)
    kind.check(experiment)
    recipe = kind.prepare(experiment)
    yield "# parameters\n" + summary(jax.eval_shape(recipe.init_model, jax.random.key(experiment.seed))) + "\n"
    yield "# batches"
    for split in recipe.splits():
        yield f"{split}: {recipe.batches(split, training=split == 'train')!r}"
    if not programs:
        return
    built = Programs(recipe, data_mesh(1), Precision.parse(experiment.train.precision))
    built.warm_up(built.state)
    yield "\n# programs"
    for program in built.all():
        yield str(program.report(roofline=False))
