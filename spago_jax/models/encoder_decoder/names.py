# SPDX-License-Identifier: BSD-2-Clause
"""The names of an encoder-decoder's tensors in files of transformers, one table for each architecture."""

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np

from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig
from spago_jax.models.encoder_decoder.plans import PLANS
from spago_jax.models.encoder_decoder.positions import sinusoids
from spago_jax.models.t5 import names as t5
from spago_jax.models.weight_table import Computed, Weight, WeightTable

_LAYERS = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.out_proj",
    "attention_norm": "self_attn_layer_norm",
    "memory_attention.query": "encoder_attn.q_proj",
    "memory_attention.key": "encoder_attn.k_proj",
    "memory_attention.value": "encoder_attn.v_proj",
    "memory_attention.output": "encoder_attn.out_proj",
    "memory_norm": "encoder_attn_layer_norm",
    "up": "fc1",
    "down": "fc2",
    "norm": "final_layer_norm",
}
BIAS = "final_logits_bias"
"""The bias of the product with the vocabulary, which a file may have or lack."""

_WORDS = "head.decoder"
_OTHER_HEADS = ("lm_head.*", BIAS, "classification_head.*", "qa_outputs.*")


def weight_table(config: EncoderDecoderConfig, head: str) -> WeightTable:
    """The weights of an encoder-decoder with a head, in the order of the model's paths.

    >>> table = weight_table(EncoderDecoderConfig("bart"), "words")
    >>> table.weights[0].path, table.weights[0].name, table.weights[-1].name
    ('source_words', 'model.shared.weight', 'final_logits_bias')
    """
    if config.family.positions == "relative":
        prefix, surplus = "", t5.SURPLUS
    else:
        prefix, surplus = "model.", _OTHER_HEADS
    weights = [*_words(config, head, prefix)]
    for side in ("encoder", "decoder"):
        weights += [*_stack(config, side, prefix)]
    if head == "words" and config.words_bias:
        weights.append(Weight("head.bias", BIAS))
    plan = PLANS[config.architecture][head]
    for path, name in (("head.dense", plan.dense), ("head.output", plan.output)):
        weights += [Weight(f"{path}.{part}", f"{name}.{part}") for part in ("weight", "bias") if name]
    if head == "states":  # files of the base model have no prefix
        weights = [
            replace(w, name=w.name.removeprefix(prefix), copies=tuple(c.removeprefix(prefix) for c in w.copies))
            for w in weights
        ]
    computed: tuple[Computed, ...] = ()
    if config.family.positions == "sinusoidal":
        base = "" if head == "states" else prefix
        written = (config.architecture, head) != ("marian", "words")  # as transformers does

        def table() -> np.ndarray:
            return sinusoids(config.positions, config.hidden)

        computed = tuple(
            Computed(f"{base}{side}.embed_positions.weight", table, written) for side in ("encoder", "decoder")
        )
    return WeightTable(tuple(weights), prefix, surplus, computed)


def as_in_file(config: EncoderDecoderConfig, names: Collection[str]) -> EncoderDecoderConfig:
    """The config of a file with these tensors, which may lack the bias of the words: it is zero then."""
    return replace(config, words_bias=config.words_bias and BIAS in names)


def _words(config: EncoderDecoderConfig, head: str, prefix: str) -> Iterable[Weight]:
    shared = f"{prefix}shared.weight"
    sides = [f"{prefix}{side}.embed_tokens.weight" for side in ("encoder", "decoder")]
    output = ("lm_head.weight",) if head == "words" and config.tied else ()
    if config.shared:
        untied = ("", "target_words", *(_WORDS for _ in output))
        yield Weight("source_words", shared, aliases=(*sides, *output), untied=untied)
    else:
        unread = () if config.architecture == "marian" else (shared,)  # transformers makes a table that it never reads
        yield Weight("source_words", sides[0], instead=(shared,), copies=unread)
        yield Weight("target_words", sides[1], instead=(shared,), aliases=output, untied=tuple(_WORDS for _ in output))
    if head == "words" and not config.tied:
        yield Weight(_WORDS, "lm_head.weight")


def _stack(config: EncoderDecoderConfig, side: str, prefix: str) -> Iterable[Weight]:
    family = config.family
    decodes = side == "decoder"
    layers = (config.decoder if decodes else config.encoder).layers
    is_t5 = family.positions == "relative"
    norm_parts = ("weight",) if family.root else ("weight", "bias")
    linear_parts = ("weight", "bias") if family.biases else ("weight",)
    if family.positions == "learned":
        yield Weight(f"{side}.positions", f"{prefix}{side}.embed_positions.weight")
    if family.norms_embeddings:
        for part in norm_parts:
            yield Weight(f"{side}.embedding_norm.{part}", f"{prefix}{side}.layernorm_embedding.{part}")
    within = f"{side}.block.{{layer}}." if is_t5 else f"{prefix}{side}.layers.{{layer}}."
    for path, name in (t5.LAYERS if is_t5 else _LAYERS).items():
        if (path.startswith("memory") and not decodes) or (path == "gate" and not config.gated):
            continue
        name = t5.UNGATED if is_t5 and path == "up" and not config.gated else name
        name = within + name.replace("{feed}", "2" if decodes else "1")
        for part in norm_parts if path.endswith("norm") else linear_parts:
            yield Weight(f"{side}.layers.{path}.{part}", f"{name}.{part}", layers=layers)
    if family.norms_states:
        name = "final_layer_norm" if is_t5 else "layer_norm"
        for part in norm_parts:
            yield Weight(f"{side}.norm.{part}", f"{prefix}{side}.{name}.{part}")
    if is_t5:
        yield Weight(f"{side}.relative_bias", f"{side}.{t5.RELATIVE}")
