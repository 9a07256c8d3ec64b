# SPDX-License-Identifier: BSD-2-Clause
"""Text in, answers out: a trained run opened for use."""

from spago_jax.tasks.run import TrainedRun as TrainedRun
from spago_jax.tasks.run import open_run as open_run
