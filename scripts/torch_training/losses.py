# SPDX-License-Identifier: BSD-2-Clause
"""The training loss of each task in PyTorch: ``loss(task, module, params, batch, train) -> (total, weight)``."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch_training.networks import Parameters, crf_losses, encoder, linear, masked_words, real, tagger, take, under
from torch_training.text_to_text import text_to_text

Batch = dict[str, torch.Tensor]
Loss = tuple[torch.Tensor, torch.Tensor]


def classification(task: Any, module: Any, params: Parameters, batch: Batch, train: bool) -> Loss:
    config = module.config
    states = encoder(under(params, "encoder"), config, _with_types(module, batch), train)
    rate = module.head.after
    pooled = torch.tanh(linear(params, "head.dense", states[:, 0]))
    logits = linear(params, "head.output", F.dropout(pooled, rate, train))
    smoothing = task.experiment.model.label_smoothing
    losses = F.cross_entropy(logits, batch["labels"].long(), reduction="none", label_smoothing=smoothing)
    return (losses * batch["weight"]).sum(), batch["weight"].sum()


def question_answering(task: Any, module: Any, params: Parameters, batch: Batch, train: bool) -> Loss:
    states = encoder(under(params, "encoder"), module.config, _with_types(module, batch), train)
    logits = linear(params, "head.output", states)
    held = real(batch["lengths"], logits.shape[1])[..., None]
    logits = logits.masked_fill(~held, torch.finfo(logits.dtype).min).transpose(1, 2)
    losses = F.cross_entropy(logits.flatten(0, 1), batch["spans"].long().flatten(), reduction="none")
    losses = losses.unflatten(0, logits.shape[:2]).mean(-1)
    return (losses * batch["weight"]).sum(), batch["weight"].sum()


def fill_mask(task: Any, module: Any, params: Parameters, batch: Batch, train: bool) -> Loss:
    config = module.config
    states = encoder(under(params, "encoder"), config, _with_types(module, batch), train)
    words = params["encoder.embeddings.words"]
    logits = masked_words(under(params, "head"), words, take(states, batch["at"]), config.eps)
    losses = F.cross_entropy(logits.flatten(0, 1), batch["labels"].long().flatten(), reduction="none")
    weights = batch["weights"].flatten()
    return (losses * weights).sum(), weights.sum()


def replaced_tokens(task: Any, module: Any, params: Parameters, batch: Batch, train: bool) -> Loss:
    own, config = under(params, "generator"), module.config
    small = {f"embeddings.{name}": value for name, value in under(params, "encoder.embeddings").items()}
    small = {name: value for name, value in small.items() if not name.startswith("embeddings.projection")}
    small |= {f"embeddings.{name}": value for name, value in own.items() if name.startswith("projection")}
    small |= {name: value for name, value in own.items() if name.startswith("layers")}
    words, weights = params["encoder.embeddings.words"], batch["weights"]
    states = encoder(small, module.generator.config, batch, train)
    logits = masked_words(under(own, "head"), words, take(states, batch["at"]), config.eps)
    labels = batch["labels"].long()
    nats = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none") * weights.flatten()
    noise = -torch.log(-torch.log(torch.rand(logits.shape).clamp(1e-20, 1 - 1e-7)))
    drawn = (logits.detach() + noise).argmax(-1)
    at = torch.where(weights > 0, batch["at"].long(), batch["ids"].shape[1])  # one place more, for those not used
    ids, fake = F.pad(batch["ids"].long(), (0, 1)), torch.zeros(batch["ids"].shape[0], batch["ids"].shape[1] + 1)
    ids = ids.scatter(1, at, drawn)[:, :-1]
    fake = fake.scatter(1, at, (drawn != labels).float())[:, :-1]
    states = encoder(under(params, "encoder"), config, {**batch, "ids": ids}, train)
    found = linear(params, "head.output", F.gelu(linear(params, "head.dense", states)))[..., 0]
    held = real(batch["lengths"], ids.shape[1]).float()
    bits = (F.binary_cross_entropy_with_logits(found, fake, reduction="none") * held).sum()
    count = held.sum()
    rate = task.experiment.model.discriminator_weight
    return nats.sum() * count / weights.sum().clamp(min=1) + rate * bits, count


def token_classification(task: Any, module: Any, params: Parameters, batch: Batch, train: bool) -> Loss:
    emissions, lengths = tagger(params, module, batch, train), batch["lengths"]
    tags, config = batch["tags"].long().clamp(min=0), task.experiment.model
    if train and config.recall_bias and task.processor.tags.scheme != "plain":
        cost = F.pad((config.recall_bias * (tags != 0))[..., None], (0, emissions.shape[-1] - 1))
        emissions = emissions + cost
    if module.crf is not None:
        return crf_losses(emissions, tags, under(params, "crf"), lengths).sum(), (lengths > 0).sum()
    losses = F.cross_entropy(emissions.flatten(0, 1), tags.flatten(), reduction="none").view(tags.shape)
    return (losses * real(lengths, tags.shape[1])).sum(), lengths.sum()


def _with_types(module: Any, batch: Batch) -> Batch:
    return batch if getattr(module.config, "types", 0) > 1 else {k: v for k, v in batch.items() if k != "types"}


LOSSES: dict[str, Callable[..., Loss]] = {
    "fill-mask": fill_mask,
    "question-answering": question_answering,
    "replaced-token-detection": replaced_tokens,
    "text-classification": classification,
    "text2text-generation": text_to_text,
    "token-classification": token_classification,
    "translation": text_to_text,
}
