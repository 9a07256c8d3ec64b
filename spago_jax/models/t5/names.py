# SPDX-License-Identifier: BSD-2-Clause
"""The names of T5's tensors in files of transformers. Data."""

LAYERS = {
    "attention_norm": "layer.0.layer_norm",
    "attention.query": "layer.0.SelfAttention.q",
    "attention.key": "layer.0.SelfAttention.k",
    "attention.value": "layer.0.SelfAttention.v",
    "attention.output": "layer.0.SelfAttention.o",
    "memory_norm": "layer.1.layer_norm",
    "memory_attention.query": "layer.1.EncDecAttention.q",
    "memory_attention.key": "layer.1.EncDecAttention.k",
    "memory_attention.value": "layer.1.EncDecAttention.v",
    "memory_attention.output": "layer.1.EncDecAttention.o",
    "norm": "layer.{feed}.layer_norm",
    "gate": "layer.{feed}.DenseReluDense.wi_0",
    "up": "layer.{feed}.DenseReluDense.wi_1",
    "down": "layer.{feed}.DenseReluDense.wo",
}
"""The names inside ``encoder.block.N`` and ``decoder.block.N``; ``{feed}`` is 1 in the encoder and 2 in the decoder."""

UNGATED = "layer.{feed}.DenseReluDense.wi"
"""The name of ``up`` without a gate."""

RELATIVE = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
"""The table of relative positions, in the first layer of each stack."""

SURPLUS = ("*.EncDecAttention.relative_attention_bias.weight", "lm_head.weight")
"""Tensors that files hold and that no model needs."""
