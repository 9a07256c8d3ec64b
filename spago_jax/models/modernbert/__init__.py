# SPDX-License-Identifier: BSD-2-Clause
"""ModernBERT, whose block has little in common with BERT's; its heads and files are those of ``models.encoder``."""

import spago_jax.models.encoder  # noqa: F401  (whose heads stand on both encoders, so it is loaded first)
