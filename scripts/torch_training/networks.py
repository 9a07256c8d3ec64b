# SPDX-License-Identifier: BSD-2-Clause
"""The networks of the shipped configs in PyTorch, over parameters that are named and shaped as the library's own."""

from typing import Any

import torch
from torch.nn import functional as F

Parameters = dict[str, torch.Tensor]


def under(params: Parameters, prefix: str) -> Parameters:
    """The parameters below a path, by the rest of their paths."""
    return {path[len(prefix) + 1 :]: value for path, value in params.items() if path.startswith(f"{prefix}.")}


def linear(params: Parameters, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, params[f"{name}.weight"], params.get(f"{name}.bias"))


def norm(params: Parameters, name: str, x: torch.Tensor, eps: float) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], params[f"{name}.weight"], params.get(f"{name}.bias"), eps)


def real(lengths: torch.Tensor, time: int) -> torch.Tensor:
    return torch.arange(time) < lengths[:, None]


def take(states: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """[batch, time, hidden] and [batch, n] -> [batch, n, hidden]."""
    at = at.long().clamp(0, states.shape[1] - 1)
    return states.gather(1, at[..., None].expand(-1, -1, states.shape[-1]))


def embed(params: Parameters, config: Any, batch: dict[str, torch.Tensor], train: bool) -> torch.Tensor:
    """Words, places and types; in packed rows places count from each text's beginning."""
    ids = batch["ids"].long()
    x = F.embedding(ids, params["words"], padding_idx=config.padding)
    types = batch.get("types")
    x = x + (params["types"][0] if types is None else params["types"][types.long()])
    place = torch.arange(ids.shape[1]).expand_as(ids)
    if "segments" in batch:
        segments = batch["segments"]
        begins = torch.ones_like(segments, dtype=torch.bool)
        begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
        place = place - torch.where(begins, place, 0).cummax(1).values
    x = norm(params, "norm", x + params["positions"][place], config.eps)
    x = F.dropout(x, config.dropout, train)
    return linear(params, "projection", x) if "projection.weight" in params else x


def attend(own: Parameters, heads: int, x: torch.Tensor, read: torch.Tensor, rate: float, **seen: Any) -> torch.Tensor:
    """What ``x`` finds in ``read``: [batch, time, hidden], kept."""

    def split(name: str, y: torch.Tensor) -> torch.Tensor:
        return linear(own, name, y).unflatten(-1, (heads, -1)).transpose(1, 2)

    y = F.scaled_dot_product_attention(
        split("query", x), split("key", read), split("value", read), dropout_p=rate, **seen
    )
    return linear(own, "output", y.transpose(1, 2).flatten(2))


def encoder(params: Parameters, config: Any, batch: dict[str, torch.Tensor], train: bool) -> torch.Tensor:
    """BERT's and ELECTRA's encoder: the states [batch, time, hidden]."""
    x = embed(under(params, "embeddings"), config, batch, train)
    seen = real(batch["lengths"], x.shape[1])[:, None, None, :]
    if "segments" in batch:
        segments = batch["segments"]
        seen = (segments[:, None, :, None] == segments[:, None, None, :]) & (segments != 0)[:, None, None, :]
    seen = seen | ~seen.any(-1, keepdim=True)  # an empty row sees all, and counts for nothing
    layers = under(params, "layers")
    activation = {"gelu": F.gelu, "gelu_new": lambda y: F.gelu(y, approximate="tanh")}[config.activation]
    for row in range(config.layers):
        own = {name: value[row] for name, value in layers.items()}
        rate = config.attention_dropout if train else 0.0
        y = attend(under(own, "attention"), config.heads, x, x, rate, attn_mask=seen)
        x = norm(own, "attention_norm", x + F.dropout(y, config.dropout, train), config.eps)
        y = linear(own, "down", activation(linear(own, "up", x)))
        x = norm(own, "norm", x + F.dropout(y, config.dropout, train), config.eps)
    return x


def masked_words(params: Parameters, words: torch.Tensor, states: torch.Tensor, eps: float) -> torch.Tensor:
    """The logits of the vocabulary at the states given."""
    x = norm(params, "norm", F.gelu(linear(params, "dense", states)), eps)
    return F.linear(x, params.get("decoder", words), params["bias"])


def tagger(params: Parameters, module: Any, batch: dict[str, torch.Tensor], train: bool) -> torch.Tensor:
    """The emissions of a ``Tagger`` whose embeddings are transformers, words, characters and shapes."""
    parts = []
    for number, part in enumerate(module.embeddings.parts):
        own = under(params, f"embeddings.parts.{number}")
        kind = type(part).__name__
        if kind == "TransformerEmbedding":
            name = part.name
            pieces = {"ids": batch[name], "lengths": batch[f"{name}_lengths"]}
            states = encoder(under(own, "encoder"), part.encoder.config, pieces, train)
            found = take(states, batch[f"{name}_starts"])
            parts.append(found * (batch[f"{name}_counts"] > 0)[..., None])
        elif kind == "WordEmbedding":
            ids = batch[part.name].long()
            if train:
                hidden = torch.rand(ids.shape) < own["unknown_probability"][ids]
                ids = torch.where(hidden & (ids > 0), 1, ids)
            parts.append(F.embedding(ids, own["table.weight"], padding_idx=0))
        elif kind == "ShapeEmbedding":
            parts.append(F.embedding(batch[part.name].long(), own["table.weight"], padding_idx=0))
        else:
            parts.append(characters(under(own, "encoder"), part.encoder, batch, part.name, train))
    lengths = batch["lengths"]
    x = shared_dropout(torch.cat(parts, -1), module.dropout, train)
    if module.encoder is not None:
        x = shared_dropout(bilstm(under(params, "encoder.rnn.layers.0"), x, lengths), module.dropout, train)
    return linear(params, "scorer", x)


def shared_dropout(x: torch.Tensor, rate: float, train: bool) -> torch.Tensor:
    """The same features fall away at every step of a text (Gal and Ghahramani, 2016)."""
    return x * F.dropout(torch.ones(x.shape[0], 1, x.shape[2]), rate, train)


def characters(params: Parameters, module: Any, batch: dict[str, torch.Tensor], name: str, train: bool) -> torch.Tensor:
    """Filters of several widths over the characters of each word, and the maximum of each."""
    ids, lengths = batch[name].long(), batch[f"{name}_lengths"]
    x = F.dropout(F.embedding(ids, params["embedding.weight"]), module.dropout, train)
    held = real(lengths.flatten(), ids.shape[-1])
    x = (x.flatten(0, 1) * held[..., None]).transpose(1, 2)
    found = []
    for number in range(len(module.convolutions)):
        weight = params[f"convolutions.{number}.weight"]
        before = (weight.shape[-1] - 1) // 2
        padded = F.pad(x, (before, weight.shape[-1] - 1 - before))
        y = F.relu(F.conv1d(padded, weight, params[f"convolutions.{number}.bias"]))
        best = y.masked_fill(~held[:, None], float("-inf")).amax(-1)
        found.append(torch.where(lengths.flatten()[:, None] > 0, best, 0.0))
    return torch.cat(found, -1).unflatten(0, lengths.shape)


def bilstm(params: Parameters, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Both directions over the real steps, side by side."""
    weights = []
    for direction in ("forward", "backward"):
        own = under(params, direction)
        weights += [own["input_weight"], own["recurrent_weight"], own["bias"], torch.zeros_like(own["bias"])]
    hidden = params["forward.recurrent_weight"].shape[1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths.clamp(min=1).long(), True, enforce_sorted=False)
    state = torch.zeros(2, x.shape[0], hidden)
    out, *_ = torch.lstm(packed.data, packed.batch_sizes, (state, state), weights, True, 1, 0.0, False, True)
    again = torch.nn.utils.rnn.PackedSequence(out, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return torch.nn.utils.rnn.pad_packed_sequence(again, True, total_length=x.shape[1])[0]


def crf_losses(emissions: torch.Tensor, tags: torch.Tensor, params: Parameters, lengths: torch.Tensor) -> torch.Tensor:
    """Minus the log-likelihood of each sentence; row 0 of the transitions is START, column 0 END."""
    transitions = params["transitions"]
    if "allowed" in params:
        transitions = transitions.masked_fill(~params["allowed"], -1e9)
    start, end, follow = transitions[0, 1:], transitions[1:, 0], transitions[1:, 1:]
    time = emissions.shape[1]
    held = real(lengths, time)
    alpha = start + emissions[:, 0]
    gold = start[tags[:, 0]] + emissions[:, 0].gather(1, tags[:, :1])[:, 0]
    for t in range(1, time):
        step = torch.logsumexp(alpha[:, :, None] + follow, 1) + emissions[:, t]
        alpha = torch.where(held[:, t, None], step, alpha)
        new = follow[tags[:, t - 1], tags[:, t]] + emissions[:, t].gather(1, tags[:, t, None])[:, 0]
        gold = gold + torch.where(held[:, t], new, 0.0)
    last = tags.gather(1, (lengths.long() - 1).clamp(min=0)[:, None])[:, 0]
    return torch.where(lengths > 0, torch.logsumexp(alpha + end, 1) - gold - end[last], 0.0)
