"""Pipelines of sentence-transformers, in the forms of its releases, against NumPy in float64."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, normal
from tiny_pretrained import write_tiny, write_vocabulary

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import load_pretrained
from spago_jax.interop.huggingface.sentence import SentencePipeline, read_pipeline

STATES = normal(2, 4, 3, dtype=np.float64)
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
MEAN = np.stack([STATES[0, :3].mean(0), STATES[1, :2].mean(0)])
WEIGHT, BIAS = normal(5, 3, seed=1), normal(5, seed=2)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def write(folder: Path, files: dict, parts=("Transformer", "Pooling"), prefix="sentence_transformers.models."):
    """A folder whose parts have the settings of ``files``, by path."""
    folder.mkdir(exist_ok=True)
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": f"{prefix}{kind}"}
        for n, kind in enumerate(parts)
    ]
    for path, content in {"modules.json": modules, **files}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    return folder


POOLING = "1_Pooling/config.json"


def pooled(pipeline, **options):
    return pipeline.pool(jnp.asarray(STATES, jnp.float32), jnp.asarray(MASK), **options)


def test_a_folder_without_modules_has_no_pipeline(tmp_path):
    assert read_pipeline(tmp_path) is None
    close(pooled(SentencePipeline()), MEAN)


@pytest.mark.parametrize(
    ("settings", "modes"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, ["mean"]),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, ["cls"]),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "pooling_mode_cls_token": True},
         ["cls", "max", "mean"]),
        ({"pooling_mode_lasttoken": True, "word_embedding_dimension": 3}, ["lasttoken"]),
        ({"pooling_mode": "weightedmean", "embedding_dimension": 3}, ["weightedmean"]),
        ({"pooling_mode": ["mean", "cls"]}, ["mean", "cls"]),
        ({}, ["mean"]),
    ],
)  # fmt: skip
def test_the_modes_of_every_release_are_read(tmp_path, settings, modes):
    pipeline = read_pipeline(write(tmp_path, {POOLING: settings}))
    assert pipeline is not None
    assert list(pipeline.pooling.modes) == modes


def test_a_bare_class_name_and_that_of_version_six_mean_the_same(tmp_path):
    for prefix in ("sentence_transformers.models.", "sentence_transformers.sentence_transformer.modules.pooling.", ""):
        assert read_pipeline(write(tmp_path, {POOLING: {"pooling_mode": "cls"}}, prefix=prefix)).pooling.modes == (
            "cls",
        )


def test_several_modes_are_joined_in_order(tmp_path):
    pipeline = read_pipeline(write(tmp_path, {POOLING: {"pooling_mode": ["mean", "cls"]}}))
    close(pooled(pipeline), np.concatenate([MEAN, STATES[:, 0]], axis=-1))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("torch.nn.modules.activation.Tanh", np.tanh),
        ("torch.nn.modules.linear.Identity", lambda x: x),
        ("torch.nn.modules.activation.ReLU", lambda x: np.maximum(x, 0)),
        (None, np.tanh),
    ],
)
def test_a_dense_layer_and_a_normalization(tmp_path, name, function):
    facts = {"in_features": 3, "out_features": 5, "bias": True, "activation_function": name}
    parts = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")
    folder = write(tmp_path, {POOLING: {}, "2_Dense/config.json": facts}, parts)
    write_safetensors(folder / "2_Dense/model.safetensors", {"linear.weight": WEIGHT, "linear.bias": BIAS})
    pipeline = read_pipeline(folder)
    expected = unit(function(MEAN @ WEIGHT.T.astype(float) + BIAS))
    close(pooled(pipeline), expected)
    close(jax.jit(SentencePipeline.pool)(pipeline, jnp.asarray(STATES, jnp.float32), MASK), expected)  # it is a pytree


def test_a_dense_layer_without_a_bias(tmp_path):
    parts = ("Transformer", "Pooling", "Dense")
    folder = write(tmp_path, {POOLING: {}, "2_Dense/config.json": {"bias": False}}, parts)
    write_safetensors(folder / "2_Dense/model.safetensors", {"linear.weight": WEIGHT})
    close(pooled(read_pipeline(folder)), np.tanh(MEAN @ WEIGHT.T.astype(float)))


def test_a_prompt_is_left_out_of_the_pooling_if_the_pipeline_says_so(tmp_path):
    for include, expected in ((False, [STATES[0, 1:3].mean(0), STATES[1, 1]]), (True, MEAN)):
        pipeline = read_pipeline(write(tmp_path, {POOLING: {"include_prompt": include}}))
        close(pooled(pipeline, prompt=1), np.stack(expected))
        close(pooled(pipeline, prompt=np.array([1, 1])), np.stack(expected))


def test_the_settings_of_texts_are_read(tmp_path):
    folder = write(
        tmp_path,
        {
            POOLING: {},
            "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": True},
            "config_sentence_transformers.json": {
                "prompts": {"query": "query: ", "document": ""},
                "default_prompt_name": "query",
                "similarity_fn_name": "dot",
                "truncate_dim": 2,
            },
        },
    )
    pipeline = read_pipeline(folder)
    assert (pipeline.max_length, pipeline.lowercase, pipeline.similarity) == (256, True, "dot")
    assert (dict(pipeline.prompts), pipeline.default_prompt) == ({"query": "query: ", "document": ""}, "query")
    close(pooled(pipeline), MEAN[:, :2])


@pytest.mark.parametrize(
    ("files", "parts", "words"),
    [
        ({POOLING: {"pooling_mode": "meen"}}, None, "did you mean 'mean'"),
        ({POOLING: {"pooling_mode_attention": True}}, None, "pooling_mode_attention is not known"),
        ({POOLING: {"pooling_mode": []}}, None, "expected a name or a list"),
        ({POOLING: {"pooling_mode": [3]}}, None, "pooling_mode 3 is not known"),
        ({POOLING: {"include_prompt": "no"}}, None, "include_prompt is 'no', expected bool"),
        ({POOLING: []}, None, "expected a JSON object"),
        ({}, None, "cannot be read"),
        ({}, ("Transformer", "WordWeights"), "'WordWeights' is not supported"),
        ({}, ("Pooling",), "begins with Pooling"),
        ({}, (), "begins with nothing"),
        ({}, ("Transformer", "Normalize", "Pooling"), "Normalize comes before the pooling"),
        ({"modules.json": {}}, None, "expected a list"),
        ({"modules.json": [{"type": "Transformer", "path": "../x"}]}, None, "within the folder"),
        ({"modules.json": [{"type": 3}]}, None, "within the folder"),
        ({POOLING: {}, "sentence_bert_config.json": {"max_seq_length": "x"}}, None, "max_seq_length is 'x'"),
        ({POOLING: {}, "sentence_bert_config.json": {"max_seq_length": 0}}, None, "max_seq_length is 0"),
        ({POOLING: {}, "config_sentence_transformers.json": {"similarity_fn_name": "cosin"}}, None, "mean 'cosine'"),
        ({POOLING: {}, "config_sentence_transformers.json": {"default_prompt_name": "q"}}, None, "among the prompts"),
        ({POOLING: {}, "config_sentence_transformers.json": {"prompts": {"q": 3}}}, None, "not text by name"),
    ],
)
def test_what_is_damaged_or_unknown_is_refused(tmp_path, files, parts, words):
    folder = write(tmp_path, files, ("Transformer", "Pooling") if parts is None else parts)
    with pytest.raises(InputError, match=words) as caught:
        read_pipeline(folder)
    assert str(tmp_path) in str(caught.value)


MODES = ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ["lasttoken", "mean", "cls", "max"])


@pytest.mark.oracle
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_the_vectors_are_those_of_sentence_transformers(tmp_path, mode):
    """What it writes is read, gives its vectors, and is read by it again after we have written it."""
    pytest.importorskip("sentence_transformers", reason="needs sentence-transformers 6")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    import torch
    from sentence_transformers import SentenceTransformer

    write_tiny(tmp_path / "encoder", head="pooler")
    write_vocabulary(tmp_path / "encoder")
    settings = {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "model_max_length": 20}
    (tmp_path / "encoder/tokenizer_config.json").write_text(json.dumps(settings))
    count = 1 if isinstance(mode, str) else len(mode)
    parts = [
        modules.Transformer(str(tmp_path / "encoder")),
        modules.Pooling(8, pooling_mode=mode),
        modules.Dense(8 * count, 5, activation_function=torch.nn.GELU()),
        modules.Normalize(),
    ]
    theirs = SentenceTransformer(modules=parts, prompts={"query": "a b "}, similarity_fn_name="dot", device="cpu")
    theirs.save(str(tmp_path / "theirs"))
    texts = ["a b c", "d", "e f g h i"]
    expected = theirs.encode(texts)
    found = load_pretrained(tmp_path / "theirs")
    assert (found.pooling.similarity, dict(found.pooling.prompts)["query"]) == ("dot", "a b ")
    encoded = [list(found.tokenizer.encode(text).ids) for text in texts]
    longest = max(map(len, encoded))
    ids = np.array([row + [0] * (longest - len(row)) for row in encoded])
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in encoded])
    close(found.pooling.pool(found.model.states(ids, mask), mask), expected)
    found.save(tmp_path / "ours")
    np.testing.assert_array_equal(SentenceTransformer(str(tmp_path / "ours"), device="cpu").encode(texts), expected)


def test_a_dense_layer_of_another_shape_is_refused(tmp_path):
    parts = ("Transformer", "Pooling", "Dense")
    folder = write(tmp_path, {POOLING: {}, "2_Dense/config.json": {"activation_function": "x.Tahn"}}, parts)
    with pytest.raises(InputError, match="did you mean 'Tanh'"):
        read_pipeline(folder)
    (folder / "2_Dense/config.json").write_text('{"module_input_name": "token_embeddings"}')
    with pytest.raises(InputError, match="module_input_name is 'token_embeddings'"):
        read_pipeline(folder)
    (folder / "2_Dense/config.json").write_text("{}")
    write_safetensors(folder / "2_Dense/model.safetensors", {"linear.weight": WEIGHT, "linear.bias": BIAS[:2]})
    with pytest.raises(InputError, match=r"expected \[out, in\] and a bias"):
        read_pipeline(folder)
