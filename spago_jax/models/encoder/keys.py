# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a config.json: which field each sets, which values are refused, which change nothing. Data."""

from typing import Any

from spago_jax.models.config_json import Key

_COMMON = {
    "num_hidden_layers": Key("layers", 12),
    "num_attention_heads": Key("heads", 12),
    "hidden_size": Key("hidden", 768),
    "intermediate_size": Key("intermediate", 3072),
    "hidden_act": Key("activation", "gelu"),
    "hidden_dropout_prob": Key("dropout", 0.1),
    "attention_probs_dropout_prob": Key("attention_dropout", 0.1),
    "max_position_embeddings": Key("positions", 512),
    "layer_norm_eps": Key("eps", 1e-12),
    "initializer_range": Key("initializer_range", 0.02),
    "tie_word_embeddings": Key("tied", True),
}
_BERT = {
    **_COMMON,
    "vocab_size": Key("vocabulary", 30522),
    "type_vocab_size": Key("types", 2),
    "pad_token_id": Key("padding", 0),
    "classifier_dropout": Key("classifier_dropout", None),
}
_ROBERTA = {**_BERT, "vocab_size": Key("vocabulary", 50265), "pad_token_id": Key("padding", 1)}

KEYS: dict[str, dict[str, Key]] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": {**_ROBERTA, "vocab_size": Key("vocabulary", 30522)},
    "camembert": {**_ROBERTA, "vocab_size": Key("vocabulary", 30522)},
    "distilbert": {
        "vocab_size": Key("vocabulary", 30522),
        "dim": Key("hidden", 768),
        "n_layers": Key("layers", 6),
        "n_heads": Key("heads", 12),
        "hidden_dim": Key("intermediate", 3072),
        "activation": Key("activation", "gelu"),
        "max_position_embeddings": Key("positions", 512),
        "dropout": Key("dropout", 0.1),
        "attention_dropout": Key("attention_dropout", 0.1),
        "qa_dropout": Key("answer_dropout", 0.1),
        "seq_classif_dropout": Key("classifier_dropout", 0.2),
        "pad_token_id": Key("padding", 0),
        "initializer_range": Key("initializer_range", 0.02),
        "tie_word_embeddings": Key("tied", True),
    },
    "electra": {
        **_BERT,
        "embedding_size": Key("embedding", 128),
        "hidden_size": Key("hidden", 256),
        "num_attention_heads": Key("heads", 4),
        "intermediate_size": Key("intermediate", 1024),
        "summary_activation": Key("summary_activation", "gelu"),
        "summary_last_dropout": Key("summary_dropout", 0.1),
    },
    "albert": {
        **{name: key for name, key in _BERT.items() if name != "classifier_dropout"},
        "vocab_size": Key("vocabulary", 30000),
        "embedding_size": Key("embedding", 128),
        "hidden_size": Key("hidden", 4096),
        "num_attention_heads": Key("heads", 64),
        "intermediate_size": Key("intermediate", 16384),
        "num_hidden_groups": Key("groups", 1),
        "inner_group_num": Key("inner", 1),
        "hidden_act": Key("activation", "gelu_new"),
        "hidden_dropout_prob": Key("dropout", 0.0),
        "attention_probs_dropout_prob": Key("attention_dropout", 0.0),
        "classifier_dropout_prob": Key("classifier_dropout", 0.1),
    },
    "mpnet": {
        **_COMMON,
        "vocab_size": Key("vocabulary", 30527),
        "pad_token_id": Key("padding", 1),
        "relative_attention_num_buckets": Key("relative", 32),
    },
    "modernbert": {
        "vocab_size": Key("vocabulary", 50368),
        "hidden_size": Key("hidden", 768),
        "intermediate_size": Key("intermediate", 1152),
        "num_hidden_layers": Key("layers", 22),
        "num_attention_heads": Key("heads", 12),
        "hidden_activation": Key("activation", "gelu"),
        "max_position_embeddings": Key("positions", 8192),
        "initializer_range": Key("initializer_range", 0.02),
        "initializer_cutoff_factor": Key("initializer_cutoff", 2.0),
        "norm_eps": Key("eps", 1e-5),
        "norm_bias": Key("norm_bias", False),
        "pad_token_id": Key("padding", 50283),
        "attention_bias": Key("attention_bias", False),
        "attention_dropout": Key("attention_dropout", 0.0),
        "local_attention": Key("local_attention", 128),
        "embedding_dropout": Key("dropout", 0.0),
        "mlp_bias": Key("mlp_bias", False),
        "mlp_dropout": Key("mlp_dropout", 0.0),
        "decoder_bias": Key("decoder_bias", True),
        "classifier_pooling": Key("pooling", "cls"),
        "classifier_dropout": Key("classifier_dropout", 0.0),
        "classifier_bias": Key("classifier_bias", False),
        "classifier_activation": Key("classifier_activation", "gelu"),
        "tie_word_embeddings": Key("tied", True),
    },
}
"""The keys of each architecture that our configuration holds."""

NAMES = {
    "distilbert": {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"},
}
"""Other names that transformers takes for the same key."""

MUST_BE: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "summary_type": ("first",),
    "summary_use_proj": (True,),
    "summary_first_dropout": (0, 0.0, None),
    "summary_proj_to_labels": (False, None),
    "quantization_config": (None,),
    "rope_scaling": (None,),
}
"""Keys that change the computation, and the values under which they do not."""

_HARMLESS = """
# bookkeeping of transformers
_name_or_path name_or_path transformers_version torch_dtype dtype torchscript use_cache output_attentions
output_hidden_states return_dict return_dict_in_generate use_bfloat16 use_return_dict tf_legacy_loss
chunk_size_feed_forward finetuning_task task_specific_params tokenizer_class prefix gradient_checkpointing
attn_implementation _attn_implementation _attn_implementation_autoset _num_labels is_composition output_past
adam_epsilon model_name name language vocab_type auto_class xla_device
# tokens that the encoder does not read
bos_token_id eos_token_id sep_token_id cls_token_id mask_token_id unk_token_id decoder_start_token_id
# generation
max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k
top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size
bad_words_ids num_return_sequences output_scores forced_bos_token_id forced_eos_token_id remove_invalid_values
exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
# in old files, never read: BERT's pooler keys, DistilBERT's, ALBERT's
directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
tie_weights_ sinusoidal_pos_embds down_scale_factor gap_size net_structure_type num_memory_blocks
# ModernBERT: how it runs, and names of other architectures
deterministic_flash_attn reference_compile repad_logits_with_grad sparse_prediction sparse_pred_ignore_index
"""
HARMLESS = frozenset(word for line in _HARMLESS.splitlines() if not line.startswith("#") for word in line.split())
"""Keys that change nothing; they are kept and written back."""

HARMLESS_OF = {"modernbert": frozenset({"layer_norm_eps"})}
"""The same of one architecture: published files of ModernBERT have two keys for the eps, of which one counts."""
