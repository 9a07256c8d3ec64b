# SPDX-License-Identifier: BSD-2-Clause
"""The engine: one queue, one thread that computes, and answers to many requests at once."""

from spago_jax.serve.engine.engine import Engine
from spago_jax.serve.engine.limits import Limits
from spago_jax.serve.engine.models import Served
from spago_jax.serve.engine.request import Outcome, Request
from spago_jax.serve.engine.streams import Stream

__all__ = ["Engine", "Limits", "Outcome", "Request", "Served", "Stream"]
