# SPDX-License-Identifier: BSD-2-Clause
"""Define by run: arrays that remember how they were computed, for exploring and teaching; compile what ran."""

from spago_jax.eager.backward import backward as backward
from spago_jax.eager.lift import gradients as gradients
from spago_jax.eager.lift import ops as ops
from spago_jax.eager.lift import stop_gradient as stop_gradient
from spago_jax.eager.lift import values as values
from spago_jax.eager.lift import variables as variables
from spago_jax.eager.optimizer import Optimizer as Optimizer
from spago_jax.eager.tape import Tape as Tape
from spago_jax.eager.var import Var as Var
from spago_jax.eager.var import apply as apply
