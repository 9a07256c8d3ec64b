# SPDX-License-Identifier: BSD-2-Clause
"""Choosing the next id, and loops on the device that write text."""

from spago_jax.generation.choice import Choice as Choice
from spago_jax.generation.sampling import sample as sample
