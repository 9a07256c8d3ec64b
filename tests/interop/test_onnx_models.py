"""Whole models as ONNX, with onnxruntime as the oracle, at sizes that the export did not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_onnx import check

import spago_jax as sj
from spago_jax.nn import CRF, GRU, LSTM, BiRNN, LayerNorm, Linear, StackedRNN
from spago_jax.ops.activations import ACTIVATIONS
from spago_jax.tasks.export import prediction
from spago_jax.tasks.load import open_run

pytestmark = pytest.mark.oracle

SIZES = ((1, 1), (3, 7), (4, 12))


def sequences(batch, time, features, seed=0):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, time + 1, batch).astype(np.int32)
    return {"x": draw.normal(size=(batch, time, features)).astype(np.float32), "lengths": lengths}


@pytest.mark.parametrize("cell", [LSTM, GRU])
@pytest.mark.parametrize("options", [{}, {"reverse": True}], ids=["forward", "reverse"])
def test_recurrent_layers(cell, options, tmp_path):
    layer = cell.init(jax.random.key(0), 3, 5)

    def run(model, x, lengths):
        return dict(zip(("ys", "state"), model(x, lengths, **options), strict=True))

    calls = [sequences(*size, 3) for size in SIZES]
    check(tmp_path / "m.onnx", run, (layer,), ("f32[batch, time, 3]", "i32[batch]"), calls)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_stacked_bidirectional_layers(cell, tmp_path):
    model = StackedRNN.init(jax.random.key(0), 3, 4, layers=2, cell=cell, bidirectional=True)
    calls = [sequences(*size, 3) for size in SIZES]
    specs = ("f32[batch, time, 3]", "i32[batch]")
    check(tmp_path / "m.onnx", lambda m, x, lengths: m(x, lengths)[0], (model,), specs, calls)


def test_a_plain_scan_of_fixed_sizes(tmp_path):
    model = BiRNN.init(jax.random.key(0), 3, 4, cell="lstm")
    x = {"x": sequences(2, 6, 3)["x"]}
    check(tmp_path / "m.onnx", lambda m, x: m(x)[0], (model,), ("f32[2, 6, 3]",), [x])


@pytest.mark.parametrize("banned", [False, True])
def test_crf_viterbi(banned, tmp_path):
    allowed = (np.ones(4, bool), np.triu(np.ones((4, 4), bool)), np.ones(4, bool)) if banned else None
    model = CRF.init(jax.random.key(0), 4, allowed=allowed)
    calls = [sequences(*size, 4, seed=size[1]) for size in SIZES]
    specs = ("f32[batch, time, 4]", "i32[batch]")

    def run(model, x, lengths):
        tags, score = model.decode(x, lengths)
        return {"tags": tags, "score": score}

    check(tmp_path / "m.onnx", run, (model,), specs, calls)


class Block(sj.Module):
    """A transformer's encoder block over embedded ids, with a padding mask; pre-norm, exact GELU."""

    table: sj.Array
    norms: tuple[LayerNorm, LayerNorm]
    mix: Linear
    out: Linear
    up: Linear
    down: Linear
    heads: int = sj.static(default=2)

    @classmethod
    def init(cls, key, rows, size, heads=2):
        keys = jax.random.split(key, 5)
        return cls(
            table=jax.random.normal(keys[0], (rows, size)),
            norms=(LayerNorm.init(size), LayerNorm.init(size)),
            mix=Linear.init(keys[1], size, 3 * size),
            out=Linear.init(keys[2], size, size),
            up=Linear.init(keys[3], size, 4 * size),
            down=Linear.init(keys[4], 4 * size, size),
            heads=heads,
        )

    def __call__(self, ids, lengths):
        x = jnp.take(self.table, ids, axis=0)
        mask = jnp.arange(ids.shape[1]) < lengths[:, None]
        batch, time, size = x.shape
        q, k, v = (
            part.reshape(batch, time, self.heads, size // self.heads)
            for part in jnp.split(self.mix(self.norms[0](x)), 3, axis=-1)
        )
        weights = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(size // self.heads)
        weights = jax.nn.softmax(jnp.where(mask[:, None, None], weights, -1e9), axis=-1)
        x = x + self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, time, size))
        return x + self.down(jax.nn.gelu(self.up(self.norms[1](x)), approximate=False))


def test_attention_block(tmp_path):
    model = Block.init(jax.random.key(0), 11, 8)
    calls = []
    for batch, time in SIZES:
        lengths = sequences(batch, time, 1)["lengths"]
        ids = np.random.default_rng(0).integers(0, 11, (batch, time)).astype(np.int32)
        calls.append({"ids": ids, "lengths": lengths})
    check(tmp_path / "m.onnx", lambda m, ids, lengths: m(ids, lengths), (model,), ("i32[b, t]", "i32[b]"), calls)


def test_jax_s_own_attention(tmp_path):
    def run(q, k, v, lengths):
        return jax.nn.dot_product_attention(q, k, v, key_value_seq_lengths=lengths)

    draw = np.random.default_rng(0)
    calls = []
    for batch, time in SIZES:
        q, k, v = draw.normal(size=(3, batch, time, 2, 4)).astype(np.float32)
        calls.append({"q": q, "k": k, "v": v, "lengths": sequences(batch, time, 1)["lengths"]})
    specs = ("f32[b, t, 2, 4]",) * 3
    check(tmp_path / "m.onnx", run, (), (*specs, "i32[b]"), calls)


def test_two_dimensional_convolutions(tmp_path):
    keys = jax.random.split(jax.random.key(0), 3)
    weights = {
        "first": 0.3 * jax.random.normal(keys[0], (3, 3, 1, 4)),
        "second": 0.3 * jax.random.normal(keys[1], (3, 3, 2, 6)),
        "out": jax.random.normal(keys[2], (6, 5)),
    }

    def run(weights, images):
        numbers = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(images, weights["first"], (1, 1), "SAME", dimension_numbers=numbers)
        x = jax.nn.relu(x)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = jax.lax.conv_general_dilated(
            x, weights["second"], (2, 1), [(1, 1), (0, 2)], rhs_dilation=(1, 2), dimension_numbers=numbers,
            feature_group_count=2,
        )  # fmt: skip
        x = jax.lax.reduce_window(jax.nn.gelu(x), 0.0, jax.lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "SAME") / 4
        return jax.nn.softmax(x.mean((1, 2)) @ weights["out"])

    images = [np.random.default_rng(n).normal(size=(n, 12, 10, 1)).astype(np.float32) for n in (1, 4)]
    check(tmp_path / "m.onnx", run, (weights,), ("f32[n, 12, 10, 1]",), [{"images": x} for x in images])


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations(name, tmp_path):
    x = np.concatenate([np.linspace(-9, 9, 61), [0.0, 1e-6, -1e-6, 30.0, -30.0]]).astype(np.float32)
    check(tmp_path / "m.onnx", lambda x: ACTIVATIONS[name](x), (), ("f32[n]",), [{"x": x}])


# -- trained runs --------------------------------------------------------------------------------------------------


def token_batch(model, batch, time, ngrams=False):
    draw = np.random.default_rng(time)
    lengths = draw.integers(1, time + 1, batch).astype(np.int32)
    inputs = {
        "words": draw.integers(0, model.embeddings.parts[0].table.weight.shape[0], (batch, time)),
        "lengths": lengths,
    }
    if len(model.embeddings.parts) > 1:
        inputs["characters"] = draw.integers(0, 9, (batch, time, 8))
        inputs["characters_lengths"] = draw.integers(0, 9, (batch, time))
    if ngrams:
        inputs |= {"ngrams": draw.integers(0, 50, (batch, 9)), "ngram_lengths": draw.integers(0, 10, batch)}
    return {name: value.astype(np.int32) for name, value in inputs.items()}


def check_run(folder, path, calls):
    opened = open_run(folder)
    function, inputs = prediction(opened.task)
    check(path, function, (opened.model,), inputs, calls(opened.model))


def test_a_trained_tagger(trained, tmp_path):
    check_run(trained[1], tmp_path / "m.onnx", lambda m: [{"batch": token_batch(m, *size)} for size in SIZES])


def test_trained_text_classifiers(moods, tmp_path):
    def calls(model):
        return [{"batch": token_batch(model, *size, ngrams=model.ngrams is not None)} for size in SIZES]

    check_run(moods[1], tmp_path / "m.onnx", calls)


def test_a_trained_image_classifier(pictures, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (3, 4, 4)).astype(np.float32)
    check_run(
        pictures[1], tmp_path / "m.onnx", lambda _: [{"batch": {"images": images}}, {"batch": {"images": images[:1]}}]
    )


def test_a_trained_character_model(letters, tmp_path):
    def calls(model):
        found = []
        for batch, time in SIZES:
            draw = np.random.default_rng(time)
            state = jax.tree.map(
                lambda s, d=draw: d.normal(size=s.shape).astype(s.dtype), model.initial_state((batch,))
            )
            ids = draw.integers(0, 20, (batch, time)).astype(np.int32)
            batch = {"inputs": ids, "lengths": sequences(batch, time, 1)["lengths"]}
            found.append({"batch": batch, "state": state})
        return found

    check_run(letters[1], tmp_path / "m.onnx", calls)
