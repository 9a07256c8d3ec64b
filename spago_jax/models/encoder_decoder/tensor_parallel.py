# SPDX-License-Identifier: BSD-2-Clause
"""How the arrays of an encoder-decoder are split over the axis ``model`` of a mesh; see the table of the encoder."""

RULES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    *(
        rule
        for name in ("attention", "memory_attention")
        for part in ("query", "key", "value")
        for rule in (
            (f"layers.{name}.{part}.weight", ("model", None)),
            (f"layers.{name}.{part}.bias", ("model",)),
        )
    ),
    ("layers.attention.output.weight", (None, "model")),
    ("layers.memory_attention.output.weight", (None, "model")),
    ("layers.gate.weight", ("model", None)),
    ("layers.gate.bias", ("model",)),
    ("layers.up.weight", ("model", None)),
    ("layers.up.bias", ("model",)),
    ("layers.down.weight", (None, "model")),
    ("source_words", ("model", None)),
    ("source_words", (None, "model")),  # a vocabulary that does not divide
    ("target_words", ("model", None)),
    ("target_words", (None, "model")),
    ("head.decoder", ("model", None)),
)
