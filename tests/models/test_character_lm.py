"""Oracles: a pre-trained TensorFlow char-rnn with reference numbers in NumPy float64, and spaGO's charlm."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.core import flat, unflat
from spago_jax.generation import Generator
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
    found = Generator(model).generate(
        [[ids[char] for char in wanted["prompt"]]], max_new_tokens=200, output_scores=True
    )
    assert "".join(names[int(i)] for i in found.texts()[0]) == wanted["continuation_200"]
    assert (found.token_scores <= 0).all()


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


def test_many_texts_are_written_as_one_by_one():
    """Prompts of several lengths, beams, rules that look at the prompt, and stops; a stream is the same text."""
    model = CharacterLM.init(jax.random.key(1), 12, embedding=6, hidden=8, cell="gru")
    writer = Generator(model)
    prompts = [[1, 2, 3, 4, 5], [7], [3, 3, 9]]
    ids = np.array([row + [0] * (5 - len(row)) for row in prompts])
    mask = np.array([[1] * len(row) + [0] * (5 - len(row)) for row in prompts])
    for options in (
        {"no_repeat_ngram_size": 2, "num_beams": 2, "min_new_tokens": 3},
        {"do_sample": True, "seed": 3, "top_k": 5, "stop_sequences": [[3, 3], [5]]},
    ):
        options = {"max_new_tokens": 9, "eos_token_id": [11], **options}
        together = writer.generate(ids, mask, **options).texts()
        for number, row in enumerate(prompts[:2]):
            found = writer.generate([row], first=number, **options)
            assert found.texts()[0].tolist() == together[number].tolist()
            assert found.ids[0, : len(row)].tolist() == row
    options = {"max_new_tokens": 9, "do_sample": True, "seed": 3}
    pieces = np.concatenate(list(writer.stream(ids, mask, steps=4, **options)), axis=1)
    np.testing.assert_array_equal(pieces, writer.generate(ids, mask, **options).ids[:, 5:])


def test_a_prompt_counts_as_transformers_counts_it():
    """``max_length`` and ``min_length`` count it, and n-grams of it do not come again, padded or not."""
    writer = Generator(CharacterLM.init(jax.random.key(1), 12, embedding=6, hidden=8))
    row = [3, 4, 3, 4, 3]
    for rules in ({}, {"no_repeat_ngram_size": 2}):
        found = writer.generate([row], max_length=9, **rules)
        assert found.ids.shape == (1, 9)
        free = writer.generate([row], max_length=9, eos_token_id=[int(found.ids[0, 5])], **rules)
        assert free.ids.shape == (1, 6)
        forced = writer.generate([row], max_length=9, eos_token_id=[int(found.ids[0, 5])], min_length=8, **rules)
        assert forced.ids.shape[1] >= 8
        if rules:
            pairs = list(zip(found.ids[0, :-1].tolist(), found.ids[0, 1:].tolist(), strict=True))
            assert len(set(pairs[3:])) == len(pairs[3:])
            assert not set(pairs[4:]) & set(pairs[:4])
