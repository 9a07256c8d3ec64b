"""Oracles: a pre-trained TensorFlow char-rnn with reference numbers in NumPy float64, and spaGO's charlm."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import flat, unflat
from spago_jax.generation import sample
from spago_jax.models.character_lm import CharacterLM


def from_tensorflow(weights) -> CharacterLM:
    """A CharacterLM of char-rnn's arrays: kernels [in + hidden, 4 hidden], gates i, j, f, o, forget bias outside."""
    model = CharacterLM.init(jax.random.key(0), 65, embedding=128, hidden=128, layers=2)
    new = {
        "embedding.weight": weights["embedding"],
        "decoder.weight": weights["softmax_w"].T,
        "decoder.bias": weights["softmax_b"],
    }
    for layer in (0, 1):
        i, j, f, o = np.split(weights[f"cell{layer}_kernel"].T, 4)
        bi, bj, bf, bo = np.split(weights[f"cell{layer}_bias"], 4)
        kernel = np.concatenate([i, f, j, o])
        new[f"rnn.layers.{layer}.input_weight"] = kernel[:, :128]
        new[f"rnn.layers.{layer}.recurrent_weight"] = kernel[:, 128:]
        new[f"rnn.layers.{layer}.bias"] = np.concatenate([bi, bf + 1.0, bj, bo])
    return unflat(model, new)


@pytest.fixture(scope="module")
def pretrained(shared_data):
    folder = shared_data / "lm-charlstm-shakespeare-pretrained"
    model = from_tensorflow(np.load(folder / "weights.npz"))
    ids = json.loads((folder / "vocab.json").read_text())
    return model, ids, json.loads((folder / "reference.json").read_text())


def test_likelihood_of_a_pretrained_model(pretrained, shared_data):
    model, ids, reference = pretrained
    text = (shared_data / "lm-tinyshakespeare" / "input.txt").read_text()[:2001]
    x = jnp.array([ids[char] for char in text])
    logits, _ = jax.jit(lambda model, x: model(x))(model, x[:-1])
    nats = -jnp.take_along_axis(jax.nn.log_softmax(logits), x[1:, None], -1).mean()
    assert float(nats) == pytest.approx(reference["nll"]["chars[0:2001]"]["nats_per_char"], abs=2e-5)


def test_chunks_that_carry_their_state_equal_one_pass(pretrained, shared_data):
    model, ids, _ = pretrained
    text = (shared_data / "lm-tinyshakespeare" / "input.txt").read_text()[:200]
    x = jnp.array([ids[char] for char in text])
    whole, _ = model(x)
    first, state = model(x[:77])
    second, _ = model(x[77:], state=state)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-4, atol=1e-4)


def test_greedy_writing_of_a_pretrained_model(pretrained):
    model, ids, reference = pretrained
    names = {number: char for char, number in ids.items()}
    wanted = reference["greedy"]
    prompt = jnp.array([ids[char] for char in wanted["prompt"]])
    logits, state = model(prompt)
    write = jax.jit(sample, static_argnames="count")
    found, scores, _, _ = write(model, logits[-1], state, jax.random.key(0), 0.0, count=200)
    assert "".join(names[int(i)] for i in found) == wanted["continuation_200"]
    assert bool((scores <= 0).all())


def test_log_probabilities_of_a_pretrained_model(pretrained):
    model, ids, reference = pretrained
    wanted = reference["logprobs_after_First_Citizen"]
    logits, _ = model(jnp.array([ids[char] for char in wanted["prompt"]]))
    np.testing.assert_allclose(jax.nn.log_softmax(logits[-1]), wanted["logprobs_by_id"], atol=2e-4)


def test_spago_charlm_loss(golden):
    for case in json.loads((golden / "v0.7.0" / "nlp.charlm_tbptt.json").read_text())["cases"]:
        arrays = {a["name"]: np.array(a["data"]).reshape(a["shape"]) for a in case["params"]}
        config, vocabulary = case["config"], case["config"]["vocabulary"]
        with jax.enable_x64(True):
            size = arrays["Projection.W"].shape[0]
            assert size == config["hidden_size"]
            sizes = {"embedding": config["embedding_size"], "hidden": config["hidden_size"], "projection": size}
            model = CharacterLM.init(jax.random.key(0), len(vocabulary), **sizes)
            gates = ("In", "For", "Cand", "Out")
            new = {
                "embedding.weight": np.stack([arrays[f"Embeddings.{i}"][:, 0] for i in range(len(vocabulary))]),
                "rnn.layers.0.input_weight": np.concatenate([arrays[f"RNN.W{g}"] for g in gates]),
                "rnn.layers.0.recurrent_weight": np.concatenate([arrays[f"RNN.W{g}Rec"] for g in gates]),
                "rnn.layers.0.bias": np.concatenate([arrays[f"RNN.B{g}"][:, 0] for g in gates]),
                "projection.weight": arrays["Projection.W"],
                "projection.bias": arrays["Projection.B"][:, 0],
                "decoder.weight": arrays["Decoder.W"],
                "decoder.bias": arrays["Decoder.B"][:, 0],
            }
            used = {path: jnp.asarray(new[path], jnp.float64) for path in flat(model)}
            model = unflat(model, used)
            if not any(gradient["name"].startswith("Projection") for gradient in case["param_grads"]):
                model = model.replace(projection=None)  # the configuration has none: spaGO did not use it
            ids = jnp.array([vocabulary.index(char) for char in config["chars"]])
            logits, _ = model(ids[:-1])
            nats = -jnp.take_along_axis(jax.nn.log_softmax(logits), ids[1:, None], -1).mean()
            np.testing.assert_allclose(nats, case["outputs"][0]["data"][0], rtol=1e-9)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_tempered_softmax(temperature):
    from spago_jax.generation.sampling import pick

    logits = jnp.array([1.0, 0.0, -1.0, 2.0])
    ids, _ = jax.vmap(lambda key: pick(key, logits, jnp.float32(temperature)))(
        jax.random.split(jax.random.key(1), 20000)
    )
    found = np.bincount(ids, minlength=4) / 20000
    np.testing.assert_allclose(found, jax.nn.softmax(logits / temperature), atol=0.015)
    top, _ = jax.vmap(lambda key: pick(key, logits, jnp.float32(temperature), 2))(
        jax.random.split(jax.random.key(2), 500)
    )
    assert set(top.tolist()) == {0, 3}
