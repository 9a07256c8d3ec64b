# SPDX-License-Identifier: BSD-2-Clause
"""ModelCall: a Program of a model and a batch, as the function of the batch that predictors call."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spago_jax.compiler import Program
from spago_jax.core import Module


class ModelCall:
    """The function of a batch that a Program and a model make.

    Args:
        program: of a model and a batch.
        model: the model.
    """

    def __init__(self, program: Program, model: Module):
        self.program, self.model = program, model

    def __call__(self, batch: Mapping[str, np.ndarray]) -> Any:
        """Runs the program."""
        return self.program(self.model, batch)

    def prepare(self, batch: Mapping[str, np.ndarray]) -> Callable[[], None]:
        """Traces the program for batches of this shape, and returns what compiles it: several at once, in threads."""
        return self.program.prepare(self.model, batch)
