# SPDX-License-Identifier: BSD-2-Clause
"""Marian's encoder-decoder in PyTorch, over parameters that are named and shaped as the library's own."""

import math
from typing import Any

import torch
from torch.nn import functional as F
from torch_training.networks import Parameters, attend, linear, norm, real, under

Batch = dict[str, torch.Tensor]


def text_to_text(
    task: Any, module: Any, params: Parameters, batch: Batch, train: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed cross-entropy of the targets, and how many they are."""
    config, head = module.config, under(params, "head")
    source = params["source_words"]
    target = params.get("target_words", source)
    seen = real(batch["lengths"], batch["ids"].shape[1])
    seen = (seen | ~seen.any(-1, keepdim=True))[:, None, None, :]  # an empty row sees all, and counts for nothing
    memory = _stack(under(params, "encoder"), config, config.encoder, batch["ids"], source, train, seen=seen)
    states = _stack(
        under(params, "decoder"), config, config.decoder, batch["targets"], target, train, memory=memory, seen=seen
    )
    logits = F.linear(states, head.get("decoder", target))
    if "bias" in head:
        logits = logits + head["bias"]
    labels = batch["labels"].long()
    smoothing = task.objective.label_smoothing
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=smoothing)
    held = real(batch["label_lengths"], labels.shape[1])
    return (losses.view(labels.shape) * held).sum(), held.sum().float()


def _stack(
    params: Parameters,
    config: Any,
    sizes: Any,
    ids: torch.Tensor,
    words: torch.Tensor,
    train: bool,
    *,
    memory: torch.Tensor | None = None,
    seen: torch.Tensor,
) -> torch.Tensor:
    """The states of the encoder, or of a decoder that reads ``memory``."""
    ids = ids.long()
    factor = math.sqrt(config.hidden) if config.scales_embeddings else 1.0
    x = F.embedding(ids, words, padding_idx=config.padding) * factor + _sinusoids(ids.shape[1], config.hidden)
    x = F.dropout(x, config.dropout, train)
    layers, rate = under(params, "layers"), config.attention_dropout if train else 0.0
    for row in range(sizes.layers):
        own = {name: value[row] for name, value in layers.items()}
        how = {"is_causal": True} if memory is not None else {"attn_mask": seen}
        y = attend(under(own, "attention"), sizes.heads, x, x, rate, **how)
        x = norm(own, "attention_norm", x + F.dropout(y, config.dropout, train), config.eps)
        if memory is not None:
            y = attend(under(own, "memory_attention"), sizes.heads, x, memory, rate, attn_mask=seen)
            x = norm(own, "memory_norm", x + F.dropout(y, config.dropout, train), config.eps)
        inner = F.dropout(F.relu(linear(own, "up", x)), config.activation_dropout, train)
        x = norm(own, "norm", x + F.dropout(linear(own, "down", inner), config.dropout, train), config.eps)
    return x


def _sinusoids(time: int, hidden: int) -> torch.Tensor:
    """Sines, then cosines, as transformers' Marian has them."""
    rates = 10000.0 ** (-2.0 * torch.arange(hidden // 2, dtype=torch.float64) / hidden)
    angles = torch.arange(time, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1).float()
