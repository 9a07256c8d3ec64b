# SPDX-License-Identifier: BSD-2-Clause
"""Module and field roles, paths, partition, gradients, randomness, precision. No layers here."""

from spago_jax.core.definition import Role as Role
from spago_jax.core.definition import buffer as buffer
from spago_jax.core.definition import param as param
from spago_jax.core.definition import static as static
from spago_jax.core.grad import value_and_grad as value_and_grad
from spago_jax.core.module import Array as Array
from spago_jax.core.module import Module as Module
from spago_jax.core.partition import combine as combine
from spago_jax.core.partition import freeze as freeze
from spago_jax.core.partition import labels as labels
from spago_jax.core.partition import partition as partition
from spago_jax.core.partition import trainable as trainable
from spago_jax.core.paths import flat as flat
from spago_jax.core.paths import match_paths as match_paths
from spago_jax.core.paths import matches as matches
from spago_jax.core.paths import roles as roles
from spago_jax.core.paths import unflat as unflat
from spago_jax.core.precision import Precision as Precision
from spago_jax.core.rng import Rng as Rng
from spago_jax.core.rng import child as child
from spago_jax.core.summary import count_parameters as count_parameters
from spago_jax.core.summary import summary as summary
from spago_jax.core.taps import add_loss as add_loss
from spago_jax.core.taps import collect_taps as collect_taps
from spago_jax.core.taps import tap as tap
from spago_jax.core.taps import with_losses as with_losses
