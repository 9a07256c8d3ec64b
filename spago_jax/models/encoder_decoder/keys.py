# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a config.json of BART, mBART, Marian and Pegasus. Data."""

from typing import Any

from spago_jax.models.config_json import Key
from spago_jax.models.encoder.keys import HARMLESS as _HARMLESS

STACKS = ("encoder", "decoder")
"""Each has keys of its own, such as ``encoder_layers``."""

STACK_KEYS = {
    "layers": Key("layers", 12),
    "attention_heads": Key("heads", 16),
    "ffn_dim": Key("intermediate", 4096),
    "layerdrop": Key("layer_dropout", 0.0),
}
"""The keys of a stack, without its name."""

_COMMON = {
    "vocab_size": Key("vocabulary", 50265),
    "d_model": Key("hidden", 1024),
    "max_position_embeddings": Key("positions", 1024),
    "activation_function": Key("activation", "gelu"),
    "dropout": Key("dropout", 0.1),
    "attention_dropout": Key("attention_dropout", 0.0),
    "activation_dropout": Key("activation_dropout", 0.0),
    "init_std": Key("initializer_range", 0.02),
    "scale_embedding": Key("scales_embeddings", False),
    "pad_token_id": Key("padding", 1),
    "decoder_start_token_id": Key("start", None),
    "tie_word_embeddings": Key("tied", True),
}

KEYS: dict[str, dict[str, Key]] = {
    "bart": {
        **_COMMON,
        "classifier_dropout": Key("classifier_dropout", 0.0),
        "decoder_start_token_id": Key("start", 2),
    },
    "mbart": {**_COMMON, "classifier_dropout": Key("classifier_dropout", 0.0)},
    "marian": {
        **_COMMON,
        "vocab_size": Key("vocabulary", 58101),
        "decoder_vocab_size": Key("target_vocabulary", None),
        "share_encoder_decoder_embeddings": Key("shared", True),
        "pad_token_id": Key("padding", 58100),
        "decoder_start_token_id": Key("start", 58100),
    },
    "pegasus": {**_COMMON, "pad_token_id": Key("padding", 0), "decoder_start_token_id": Key("start", 0)},
}
"""The keys of each architecture that our configuration holds, beside those of the stacks."""

END = {"bart": 2, "mbart": 2, "marian": 0, "pegasus": 1, "t5": 1, "mt5": 1}
"""The token that ends a text, ``eos_token_id``, where a file does not say."""

NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
}
"""Other names that transformers takes for the same keys."""

# Old keys, which transformers ignores: each architecture has one value.
_OLD = ("normalize_before", "normalize_embedding", "add_final_layer_norm", "static_position_embeddings")
_VALUES = {
    "bart": (False, True, False, False),
    "mbart": (True, True, True, False),
    "marian": (False, False, False, True),
    "pegasus": (True, False, True, True),
}
COMMON_MUST_BE: dict[str, tuple[Any, ...]] = {
    "is_encoder_decoder": (True,),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
    "add_bias_logits": (False, None),
}
MUST_BE: dict[str, dict[str, tuple[Any, ...]]] = {
    kind: {**COMMON_MUST_BE, **{name: (value, None) for name, value in zip(_OLD, values, strict=True)}}
    for kind, values in _VALUES.items()
}
"""Keys that say what the architecture fixes, or that change the computation, and the values under which they do not."""

# What generation reads, and what was only written down.
_MORE = """
extra_pos_embeddings force_bos_token_to_be_generated classif_dropout eos_token_ids save_step total_flos
forced_decoder_ids prefix max_new_tokens min_new_tokens renormalize_logits
"""
HARMLESS = (_HARMLESS - {"decoder_start_token_id", "eos_token_id"}) | frozenset(_MORE.split())
"""Keys that change nothing that is computed here; they are kept and written back."""
