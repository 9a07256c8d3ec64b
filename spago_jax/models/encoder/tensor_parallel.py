# SPDX-License-Identifier: BSD-2-Clause
"""How the arrays of an encoder are split over the axis ``model`` of a mesh (tensor parallelism), as a table.

A row is the end of a path, and the axes of the mesh that the array's last axes are split over; the first row that fits
a path, and whose sizes divide, counts. Matrices come in pairs, as in Megatron-LM: the first is split by its outputs
(its rows here), the second by its inputs, so that there is one sum over the devices for each pair.

Source: Shoeybi et al. (2019), "Megatron-LM: Training multi-billion parameter language models using model parallelism".
"""

RULES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ("attention.query.weight", ("model", None)),
    ("attention.query.bias", ("model",)),
    ("attention.key.weight", ("model", None)),
    ("attention.key.bias", ("model",)),
    ("attention.value.weight", ("model", None)),
    ("attention.value.bias", ("model",)),
    ("attention.output.weight", (None, "model")),
    ("layers.up.weight", ("model", None)),
    ("layers.up.bias", ("model",)),
    ("layers.down.weight", (None, "model")),
    # ModernBERT's: one matrix for queries, keys and values, whose parts XLA brings together.
    ("layers.projections.weight", ("model", None)),
    ("layers.projections.bias", ("model",)),
    ("layers.output.weight", (None, "model")),
    ("embeddings.words", ("model", None)),
    ("embeddings.words", (None, "model")),  # a vocabulary that does not divide
    ("words.decoder", ("model", None)),
    ("head.decoder", ("model", None)),
)
