# SPDX-License-Identifier: BSD-2-Clause
"""How the arrays of models are split over the axis ``model`` of a mesh: those of the taggers here, others beside them.

Recurrent layers keep their recurrent weights whole: the gates of a step are computed together, and a sum over the
devices at every step would take longer than its product. Their inputs, which are projected for all steps at once, are
split by features.
"""

from spago_jax.models.encoder.tensor_parallel import RULES as ENCODER
from spago_jax.models.encoder_decoder.tensor_parallel import RULES as ENCODER_DECODER

TAGGER: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ("table.weight", ("model", None)),
    ("table.weight", (None, "model")),
    ("ngrams.weight", ("model", None)),
    ("forward.input_weight", (None, "model")),
    ("backward.input_weight", (None, "model")),
    ("scorer.weight", (None, "model")),
)

RULES = (*ENCODER, *ENCODER_DECODER, *TAGGER)
"""All of them; a path that two fit is split by the first."""
