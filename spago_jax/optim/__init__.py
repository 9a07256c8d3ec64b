# SPDX-License-Identifier: BSD-2-Clause
"""Optimizers: a config becomes an optax chain."""

from spago_jax.optim.build import apply_updates as apply_updates
from spago_jax.optim.build import build_optimizer as build_optimizer
from spago_jax.optim.build import trained_paths as trained_paths
from spago_jax.optim.config import OptimizerConfig as OptimizerConfig
from spago_jax.optim.config import PlateauConfig as PlateauConfig
from spago_jax.optim.controls import controls as controls
from spago_jax.optim.controls import set_controls as set_controls
from spago_jax.optim.rates import current_learning_rate as current_learning_rate
from spago_jax.optim.rates import plateau_update as plateau_update
from spago_jax.optim.schedules import build_schedule as build_schedule
