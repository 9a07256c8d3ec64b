"""config.json of transformers, read and written: what changes the computation is honored or refused by name."""

import dataclasses
import json

import pytest
from encoder_oracle import random_config

from spago_jax.errors import InputError
from spago_jax.models import pretrained
from spago_jax.models.config_json import ConfigFile
from spago_jax.models.encoder import EncoderConfig, PretrainedConfig, config_from_huggingface, config_to_huggingface
from spago_jax.models.encoder.keys import KEYS
from spago_jax.models.encoder.plans import HEADS, PLANS, head_of_class

BERT = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2}
# As published: google-bert/bert-base-multilingual-cased, FacebookAI/xlm-roberta-base, albert/albert-base-v2,
# answerdotai/ModernBERT-base, distilbert/distilbert-base-uncased.
PUBLISHED = {
    "multilingual BERT": """{"architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
        "directionality": "bidi", "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
        "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
        "model_type": "bert", "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0,
        "pooler_fc_size": 768, "pooler_num_attention_heads": 12, "pooler_num_fc_layers": 3,
        "pooler_size_per_head": 128, "pooler_type": "first_token_transform", "position_embedding_type": "absolute",
        "transformers_version": "4.6.0.dev0", "type_vocab_size": 2, "use_cache": true, "vocab_size": 119547}""",
    "XLM-R": """{"architectures": ["XLMRobertaForMaskedLM"], "attention_probs_dropout_prob": 0.1, "bos_token_id": 0,
        "eos_token_id": 2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
        "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05, "max_position_embeddings": 514,
        "model_type": "xlm-roberta", "num_attention_heads": 12, "num_hidden_layers": 12, "output_past": true,
        "pad_token_id": 1, "position_embedding_type": "absolute", "transformers_version": "4.17.0.dev0",
        "type_vocab_size": 1, "use_cache": true, "vocab_size": 250002}""",
    "ALBERT": """{"architectures": ["AlbertForMaskedLM"], "attention_probs_dropout_prob": 0, "bos_token_id": 2,
        "classifier_dropout_prob": 0.1, "down_scale_factor": 1, "embedding_size": 128, "eos_token_id": 3, "gap_size": 0,
        "hidden_act": "gelu_new", "hidden_dropout_prob": 0, "hidden_size": 768, "initializer_range": 0.02,
        "inner_group_num": 1, "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
        "model_type": "albert", "net_structure_type": 0, "num_attention_heads": 12, "num_hidden_groups": 1,
        "num_hidden_layers": 12, "num_memory_blocks": 0, "pad_token_id": 0, "type_vocab_size": 2,
        "vocab_size": 30000}""",
    "ModernBERT": """{"architectures": ["ModernBertForMaskedLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 50281, "classifier_activation": "gelu", "classifier_bias": false, "classifier_dropout": 0.0,
        "classifier_pooling": "mean", "cls_token_id": 50281, "decoder_bias": true, "deterministic_flash_attn": false,
        "embedding_dropout": 0.0, "eos_token_id": 50282, "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0, "gradient_checkpointing": false, "hidden_activation": "gelu", "hidden_size": 768,
        "initializer_cutoff_factor": 2.0, "initializer_range": 0.02, "intermediate_size": 1152,
        "layer_norm_eps": 1e-05, "local_attention": 128, "local_rope_theta": 10000.0, "max_position_embeddings": 8192,
        "mlp_bias": false, "mlp_dropout": 0.0, "model_type": "modernbert", "norm_bias": false, "norm_eps": 1e-05,
        "num_attention_heads": 12, "num_hidden_layers": 22, "pad_token_id": 50283,
        "position_embedding_type": "absolute", "repad_logits_with_grad": false, "sep_token_id": 50282,
        "sparse_pred_ignore_index": -100, "sparse_prediction": false, "torch_dtype": "float32",
        "transformers_version": "4.47.0.dev0", "vocab_size": 50368}""",
    "DistilBERT": """{"activation": "gelu", "architectures": ["DistilBertForMaskedLM"], "attention_dropout": 0.1,
        "dim": 768, "dropout": 0.1, "hidden_dim": 3072, "initializer_range": 0.02, "max_position_embeddings": 512,
        "model_type": "distilbert", "n_heads": 12, "n_layers": 6, "pad_token_id": 0, "qa_dropout": 0.1,
        "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": false, "tie_weights_": true,
        "transformers_version": "4.10.0.dev0", "vocab_size": 30522}""",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_are_read_and_every_key_is_written_back(name):
    given = json.loads(PUBLISHED[name])
    config = config_from_huggingface(given)
    assert config.head == "masked-words"
    written = config_to_huggingface(config, "masked-words")
    assert {key: written[key] for key in given} == given
    assert config_from_huggingface(written) == config


def test_the_usable_length_leaves_out_the_pads_positions():
    assert config_from_huggingface(json.loads(PUBLISHED["XLM-R"])).encoder.longest == 512
    assert config_from_huggingface(json.loads(PUBLISHED["multilingual BERT"])).encoder.longest == 512


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("position_embedding_type", "relative_key", "position_embedding_type is 'relative_key', which changes"),
        ("is_decoder", True, "is_decoder is True, which changes what the model computes"),
        ("add_cross_attention", True, "add_cross_attention is True"),
        ("pruned_heads", {"1": [0]}, "pruned_heads is"),
        ("quantization_config", {"bits": 4}, "quantization_config is"),
        ("hidden_act", "gelu_nw", "activation is 'gelu_nw', did you mean 'gelu_new'"),
        ("hidden_size", "8", "hidden_size is '8', expected a whole number"),
        ("num_hidden_layers", 0, "layers is 0, expected a whole number of at least 1"),
        ("num_attention_heads", 3, "3 heads do not divide 8 hidden features"),
        ("pad_token_id", 30522, "the pad id is 30522, expected a row of a vocabulary of 30522"),
        ("layer_norm_eps", None, "layer_norm_eps is None, expected a number"),
        ("tie_word_embeddings", 1, "tie_word_embeddings is 1, expected true or false"),
        ("hidden_siz", 8, "unknown key 'hidden_siz' of a bert config.*did you mean 'hidden_size'"),
        ("xyzzy", 8, "unknown key 'xyzzy' of a bert config, which may change"),
        ("auto_map", {"AutoModel": "m.M"}, "auto_map: the model runs code of its own"),
        ("problem_type", "regresion", "problem_type is 'regresion', did you mean 'regression'"),
        ("id2label", {"0": "A", "2": "B"}, r"id2label has the numbers \[0, 2\], expected 0 to 1"),
        ("id2label", ["A"], "expected a mapping of numbers to labels"),
        ("model_type", "deberta", "model_type is 'deberta'"),
    ],
)
def test_what_would_compute_something_else_is_refused_by_name(key, value, message):
    with pytest.raises(InputError, match=message) as caught:
        config_from_huggingface({**BERT, key: value}, path="m/config.json")
    assert str(caught.value).startswith("m/config.json: ")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rope_parameters", {"full_attention": {"rope_type": "yarn", "factor": 2.0}}, "rope_parameters.full_attention"),
        ("layer_types", ["chunked_attention"], "layer_types holds 'chunked_attention'"),
        ("layer_types", ["full_attention"], "layer_types has 1 entries, and there are 22 layers"),
        ("global_attn_every_n_layers", 0, "global_attn_every_n_layers is 0"),
        ("vocab_size", 100, "the pad id is 50283, expected a row of a vocabulary of 100"),
        ("rope_scaling", {"factor": 2}, "rope_scaling is"),
        ("hidden_activation", "gelu_nw", "activation is 'gelu_nw', did you mean 'gelu_new'"),
        ("classifier_activation", "geglu", "classifier_activation is 'geglu'"),
        ("classifier_pooling", "max", "pooling is 'max'"),
    ],
)
def test_modernberts_layers_are_honored_or_refused(key, value, message):
    with pytest.raises(InputError, match=message):
        config_from_huggingface({"model_type": "modernbert", key: value})


def test_labels_are_in_the_order_of_their_numbers():
    given = {**BERT, "id2label": {"1": "B", "0": "A", "2": "C"}, "problem_type": "multi_label_classification"}
    config = config_from_huggingface(given)
    assert config.labels == ("A", "B", "C")
    written = config_to_huggingface(config, "token-classification")
    assert written["id2label"] == {"0": "A", "1": "B", "2": "C"}
    assert written["label2id"] == {"A": 0, "B": 1, "C": 2}
    assert written["problem_type"] == "multi_label_classification"
    assert config_from_huggingface(BERT).labels == ("LABEL_0", "LABEL_1")
    assert config_from_huggingface({**BERT, "num_labels": 3}).labels == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_other_names_of_a_key_are_read():
    config = config_from_huggingface({"model_type": "distilbert", "hidden_size": 24, "num_hidden_layers": 2})
    assert (config.encoder.hidden, config.encoder.layers) == (24, 2)


def test_classes_name_their_heads():
    for architecture, plans in PLANS.items():
        assert set(plans) <= set(HEADS)
        for head, plan in plans.items():
            found = head_of_class(architecture, plan.class_name)
            assert PLANS[architecture][found].class_name == plan.class_name
            if head not in ("states", "pooler", "sentence-order"):
                assert found == head


def test_a_class_of_somebodys_own_may_have_any_head():
    config = config_from_huggingface({**BERT, "architectures": ["AntiBERTy"]})
    assert (config.class_name, config.head) == ("AntiBERTy", None)
    with pytest.raises(InputError, match="architectures names 'BertForMaskedLm', .* did you mean 'BertForMaskedLM'"):
        head_of_class("bert", "BertForMaskedLm")


def test_a_config_is_small_and_hashable():
    assert len({EncoderConfig(), EncoderConfig(), EncoderConfig(layers=3)}) == 2
    assert PretrainedConfig(EncoderConfig()).extra == {}


@pytest.mark.oracle
@pytest.mark.parametrize("architecture", sorted(KEYS))
def test_defaults_are_those_of_transformers_and_it_reads_what_we_write(architecture):
    from transformers import AutoConfig

    theirs = AutoConfig.for_model(architecture)
    for name, key in KEYS[architecture].items():
        assert getattr(theirs, name) == key.default, name
    for seed in range(8):
        keys = random_config(architecture, "token-classification", seed)
        given = AutoConfig.for_model(architecture, **keys).to_dict()
        config = config_from_huggingface(given)
        written = json.loads(json.dumps(config_to_huggingface(config, "token-classification")))
        again = AutoConfig.for_model(**written).to_dict()
        changed = {key for key in given if again.get(key) != given[key]} - {"architectures", "transformers_version"}
        assert changed <= {"dtype", "global_attn_every_n_layers"}  # the layer types count beside it
        assert config_from_huggingface(again).encoder == config.encoder


def test_what_a_config_json_says_of_encoders_and_of_pairs_is_one_thing():
    """A base that both have: the labels where none are named differ, as in transformers, and nothing else."""
    one = config_from_huggingface({"model_type": "bert", "architectures": ["BertForMaskedLM"]})
    pair = pretrained.config_from_huggingface({"model_type": "bart", "architectures": ["BartForConditionalGeneration"]})
    assert (one.head, pair.head) == ("masked-words", "words")
    assert (len(type(one)(one.network).labels), len(type(pair)(pair.network).labels)) == (2, 3)
    for each in (one, pair):
        assert isinstance(each, ConfigFile)
        other = dataclasses.replace(each.network, dropout=0.25)
        assert each.with_network(other) == dataclasses.replace(each, network=other)
        assert dataclasses.replace(each, class_name="Own").head is None
