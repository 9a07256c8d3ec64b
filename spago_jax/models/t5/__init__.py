# SPDX-License-Identifier: BSD-2-Clause
"""What is T5's own, Flan-T5's and mT5's: their keys and their names; they compute as ``models.encoder_decoder``."""

import spago_jax.models.encoder_decoder  # noqa: F401  (which reads both, so it is loaded first)
