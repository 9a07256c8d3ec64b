# SPDX-License-Identifier: BSD-2-Clause
"""Watching training: histories of values, their trends, the actions they trigger, and how they are shown."""

from spago_jax.train.watch.trend import STATES as STATES
from spago_jax.train.watch.trend import Trend as Trend
from spago_jax.train.watch.trend import TrendGroup as TrendGroup
from spago_jax.train.watch.watch import Watch as Watch
