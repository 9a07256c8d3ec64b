# SPDX-License-Identifier: BSD-2-Clause
"""The names of an encoder's tensors in files of transformers, one table for each architecture."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.encoder.plans import POOLERS, HeadPlan, head_plan, setting
from spago_jax.models.modernbert.config import ModernBertConfig
from spago_jax.models.weight_table import Weight, WeightTable

PREFIXES = {
    "bert": "bert.",
    "roberta": "roberta.",
    "xlm-roberta": "roberta.",
    "camembert": "roberta.",
    "distilbert": "distilbert.",
    "electra": "electra.",
    "albert": "albert.",
    "mpnet": "mpnet.",
    "modernbert": "model.",
}

_EMBEDDINGS = {
    "words": "embeddings.word_embeddings.weight",
    "positions": "embeddings.position_embeddings.weight",
    "types": "embeddings.token_type_embeddings.weight",
    "norm": "embeddings.LayerNorm",
}
_PROJECTIONS = {"electra": "embeddings_project", "albert": "encoder.embedding_hidden_mapping_in"}

_BERT = {
    "attention.query": "encoder.layer.{layer}.attention.self.query",
    "attention.key": "encoder.layer.{layer}.attention.self.key",
    "attention.value": "encoder.layer.{layer}.attention.self.value",
    "attention.output": "encoder.layer.{layer}.attention.output.dense",
    "attention_norm": "encoder.layer.{layer}.attention.output.LayerNorm",
    "up": "encoder.layer.{layer}.intermediate.dense",
    "down": "encoder.layer.{layer}.output.dense",
    "norm": "encoder.layer.{layer}.output.LayerNorm",
}
_GROUP = "encoder.albert_layer_groups.{group}.albert_layers.{inner}."
_LAYERS = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "distilbert": {
        "attention.query": "transformer.layer.{layer}.attention.q_lin",
        "attention.key": "transformer.layer.{layer}.attention.k_lin",
        "attention.value": "transformer.layer.{layer}.attention.v_lin",
        "attention.output": "transformer.layer.{layer}.attention.out_lin",
        "attention_norm": "transformer.layer.{layer}.sa_layer_norm",
        "up": "transformer.layer.{layer}.ffn.lin1",
        "down": "transformer.layer.{layer}.ffn.lin2",
        "norm": "transformer.layer.{layer}.output_layer_norm",
    },
    "albert": {
        "attention.query": _GROUP + "attention.query",
        "attention.key": _GROUP + "attention.key",
        "attention.value": _GROUP + "attention.value",
        "attention.output": _GROUP + "attention.dense",
        "attention_norm": _GROUP + "attention.LayerNorm",
        "up": _GROUP + "ffn",
        "down": _GROUP + "ffn_output",
        "norm": _GROUP + "full_layer_layer_norm",
    },
    "mpnet": {
        "attention.query": "encoder.layer.{layer}.attention.attn.q",
        "attention.key": "encoder.layer.{layer}.attention.attn.k",
        "attention.value": "encoder.layer.{layer}.attention.attn.v",
        "attention.output": "encoder.layer.{layer}.attention.attn.o",
        "attention_norm": "encoder.layer.{layer}.attention.LayerNorm",
        "up": "encoder.layer.{layer}.intermediate.dense",
        "down": "encoder.layer.{layer}.output.dense",
        "norm": "encoder.layer.{layer}.output.LayerNorm",
    },
}
# Tensors of heads that a file may hold beside the one that is read.
_OTHER_HEADS = (
    "cls.*",
    "lm_head.*",
    "*pooler.*",
    "predictions.*",
    "sop_classifier.*",
    "vocab_transform.*",
    "vocab_layer_norm.*",
    "vocab_projector.*",
    "generator_predictions.*",
    "generator_lm_head.*",
    "discriminator_predictions.*",
    "sequence_summary.*",
    "pre_classifier.*",
    "classifier.*",
    "qa_outputs.*",
    "head.*",
    "decoder.*",
)


def weight_table(
    config: EncoderConfig | ModernBertConfig, head: str, *, classifiers: Sequence[str] | None = None
) -> WeightTable:
    """The weights of an encoder with a head, in the order of the model's paths.

    Args:
        config: of the encoder.
        head: its name; see ``plans.HEADS``.
        classifiers: of the ``pretraining`` head: the names under ``cls.`` of classifiers on the pooled vector
            (``seq_relationship``, and any that other pre-trainings add); by default the architecture's.

    Raises:
        InputError: for a head that the architecture does not have.

    >>> from spago_jax.models.encoder import EncoderConfig
    >>> table = weight_table(EncoderConfig(layers=2), "sequence-classification")
    >>> table.weights[-1].path, table.weights[-1].name
    ('head.output.bias', 'classifier.bias')
    """
    plan = head_plan(config.architecture, head)
    prefix = PREFIXES[config.architecture]
    base = _modernbert(config) if isinstance(config, ModernBertConfig) else _encoder(config)
    weights = [replace(w, path=f"encoder.{w.path}", name=prefix + w.name) for w in base]
    if plan.bias and config.tied:
        decoder = "head.decoder" if head == "masked-words" else "head.words.decoder"
        weights[0] = replace(weights[0], aliases=(f"{plan.output}.weight",), untied=(decoder,))
    weights += _head(config, head, plan, classifiers)
    if head in ("states", "pooler"):  # files of the base model have no prefix
        weights = [replace(w, name=w.name.removeprefix(prefix)) for w in weights]
    return WeightTable(tuple(weights), prefix, _OTHER_HEADS)


def named_classifiers(names: Iterable[str]) -> tuple[str, ...]:
    """The names of the classifiers that a BERT's pre-training file has beside its masked words.

    >>> named_classifiers(["cls.predictions.bias", "cls.species.weight", "cls.species.bias", "cls.chain.weight"])
    ('chain', 'species')
    """
    parts = [name.split(".") for name in names]
    return tuple(sorted(p[1] for p in parts if len(p) == 3 and p[0] == "cls" and p[2] == "weight"))


def _pair(path: str, name: str, **how) -> list[Weight]:
    return [Weight(f"{path}.{part}", f"{name}.{part}", **how) for part in ("weight", "bias")]


def _encoder(config: EncoderConfig) -> list[Weight]:
    tables = ("words", "positions", "types") if config.types else ("words", "positions")
    weights = [Weight(f"embeddings.{table}", _EMBEDDINGS[table]) for table in tables]
    weights += _pair("embeddings.norm", _EMBEDDINGS["norm"])
    if config.projects:
        weights += _pair("embeddings.projection", _PROJECTIONS[config.architecture])
    for path, name in _LAYERS[config.architecture].items():
        weights += _pair(f"layers.{path}", name, layers=config.stacked, inner=config.inner)
    if config.relative:
        weights.append(Weight("relative_bias", "encoder.relative_attention_bias.weight"))
    return weights


def _modernbert(config: ModernBertConfig) -> list[Weight]:
    def norm(path: str, name: str, **how) -> list[Weight]:
        return _pair(path, name, **how)[: 1 + config.norm_bias]

    def linear(path: str, name: str, bias: bool) -> list[Weight]:
        return _pair(f"layers.{path}", "layers.{layer}." + name, layers=config.layers)[: 1 + bias]

    weights = [Weight("embeddings.words", "embeddings.tok_embeddings.weight")]
    weights += norm("embeddings.norm", "embeddings.norm")
    if config.layers > 1:  # the first layer has no norm before its attention
        weights += norm("layers.attention_norm", "layers.{layer}.attn_norm", layers=config.layers - 1, first=1)
    weights += linear("projections", "attn.Wqkv", config.attention_bias)
    weights += linear("output", "attn.Wo", config.attention_bias)
    weights += norm("layers.norm", "layers.{layer}.mlp_norm", layers=config.layers)
    weights += linear("up", "mlp.Wi", config.mlp_bias)
    weights += linear("down", "mlp.Wo", config.mlp_bias)
    return [*weights, *norm("norm", "final_norm")]


def _head(
    config: EncoderConfig | ModernBertConfig,
    head: str,
    plan: HeadPlan,
    classifiers: Sequence[str] | None,
) -> list[Weight]:
    def part(path: str, name: str, bias: bool | str) -> list[Weight]:
        return _pair(path, name)[: 1 + bool(setting(config, bias))] if name else []

    if head in ("masked-words", "pretraining"):
        path = "head" if head == "masked-words" else "head.words"
        weights = part(f"{path}.dense", plan.dense, plan.dense_bias)
        weights += part(f"{path}.norm", plan.norm, plan.norm_bias)
        if setting(config, plan.output_bias):
            # Untied, transformers computes with the decoder's own bias, and the other is never read.
            name = plan.bias if config.tied else plan.bias_alias or plan.bias
            aliases = (plan.bias_alias,) if config.tied and plan.bias_alias else ()
            weights.append(Weight(f"{path}.bias", name, aliases=aliases))
        if not config.tied:
            weights.append(Weight(f"{path}.decoder", f"{plan.output}.weight"))
        if head == "pretraining":
            weights += _pair("head.pooler", POOLERS[config.architecture])
            named = plan.classifiers if classifiers is None else tuple((name, f"cls.{name}") for name in classifiers)
            for name, theirs in named:
                weights += _pair(f"head.classifiers.{name}", theirs)
        return weights
    weights = part("head.dense", plan.dense, plan.dense_bias)
    weights += part("head.norm", plan.norm, plan.norm_bias)
    return [*weights, *part("head.output", plan.output, plan.output_bias)]
