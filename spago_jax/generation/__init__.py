# SPDX-License-Identifier: BSD-2-Clause
"""Loops on the device that write text."""

from spago_jax.generation.sampling import sample as sample
