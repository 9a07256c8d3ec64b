# SPDX-License-Identifier: BSD-2-Clause
"""How the arrays that only an encoder-decoder has are split over the axis ``model`` of a mesh.

Its other ones, of the layers' own attention and of their feed-forward blocks, have the paths of the encoder's table.
"""

RULES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    *(
        rule
        for part in ("query", "key", "value")
        for rule in (
            (f"layers.memory_attention.{part}.weight", ("model", None)),
            (f"layers.memory_attention.{part}.bias", ("model",)),
        )
    ),
    ("layers.memory_attention.output.weight", (None, "model")),
    ("layers.gate.weight", ("model", None)),
    ("layers.gate.bias", ("model",)),
    ("source_words", ("model", None)),
    ("source_words", (None, "model")),  # a vocabulary that does not divide
    ("target_words", ("model", None)),
    ("target_words", (None, "model")),
)
