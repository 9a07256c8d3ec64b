"""Encoder-decoders without an oracle: writing in place, batches, what is drawn in training, what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import refuses

from spago_jax.core import Rng
from spago_jax.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig, StackConfig
from spago_jax.models.encoder_decoder.positions import sinusoids

SIZES = StackConfig(layers=2, heads=2, intermediate=12)
IDS = np.array([[0, 5, 7, 2], [0, 2, 1, 1]])
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])


def config(architecture: str = "bart", **more) -> EncoderDecoderConfig:
    sizes = {"vocabulary": 23, "hidden": 8, "encoder": SIZES, "decoder": SIZES, "positions": 12, "start": 2}
    return EncoderDecoderConfig(architecture, **{**sizes, "initializer_range": 0.5, **more})


def model(architecture: str = "bart", head: str = "words", **more) -> EncoderDecoder:
    return EncoderDecoder.init(jax.random.key(0), config(architecture, **more), head=head)


@pytest.mark.parametrize(("dtype", "searches"), [("float32", True), ("bfloat16", True), ("float32", False)])
def test_keys_and_values_are_written_in_place(dtype, searches):
    """No step of a loop copies a cache, or widens it, and going on from another beam moves none."""
    whole = jax.tree.map(lambda x: x.astype(dtype), model("marian", scales_embeddings=True))
    parents = jnp.array([[1, 0, 0], [2, 2, 1]])

    def begin(model):
        state = model.start(IDS, beams=3, length=11)
        return model.reorder(state, parents) if searches else state

    state = jax.eval_shape(begin, whole)

    def loop(model, state):
        def step(_, carry):
            logits, state = model.step(*carry)
            state = model.reorder(state, parents) if searches else state
            return jnp.argmax(logits, -1).astype(jnp.int32), state

        return jax.lax.fori_loop(0, 10, step, (jnp.zeros((2, 3), jnp.int32), state))

    text = jax.jit(loop, donate_argnums=1).lower(whole.separate(), state).compile().as_text()
    groups, room = (2, 33) if searches else (6, 11)
    cache = re.compile(rf"= \w+\[{groups},2,({room},4|4,{room})\]\S* (copy|convert|transpose|gather|fusion)\(")
    made = [line for line in text.splitlines() if cache.search(line)]
    assert len(made) == 2 * SIZES.layers, made
    assert all("dynamic-update-slice" in line.split("=")[0] for line in made)


def test_one_program_for_all_steps():
    whole, traced = model(), []

    @jax.jit
    def step(model, ids, state):
        traced.append(ids.shape)
        return model.step(ids, state)

    state = whole.start(IDS, MASK, beams=1, length=4)
    for token in range(4):
        _, state = step(whole, jnp.full((2, 1), token), state)
    assert traced == [(2, 1)]


def test_a_batch_gives_what_each_of_its_texts_gives_alone():
    whole = model()
    together = whole.logits(IDS, MASK, targets=np.array([[2, 5, 6]] * 2))
    alone = whole.logits(IDS[1:, :2], targets=np.array([[2, 5, 6]]))
    np.testing.assert_allclose(together[1:], alone, atol=1e-5)
    by_length = whole.logits(IDS, lengths=np.array([4, 2]), targets=np.array([[2, 5, 6]] * 2))
    np.testing.assert_array_equal(by_length, together)


def test_a_text_that_was_cut_is_judged_by_its_last_token():
    judge = model(head="sequence-classification")
    cut, mask = np.array([[0, 5, 7, 1]]), np.array([[1, 1, 1, 0]])
    states = judge.decode(np.array([[2, 0, 5, 7]]), judge.encode(cut, mask), mask)
    np.testing.assert_allclose(judge.logits(cut, mask), judge.head(states[:, 2]), atol=1e-6)


def test_a_layer_is_skipped_in_training_as_often_as_the_config_says():
    dropped = StackConfig(layers=2, heads=2, intermediate=12, layer_dropout=0.9999)
    whole = model(encoder=dropped, dropout=0.0)
    first = whole.encoder.embedding_norm(whole.source_words[IDS] + whole.encoder.positions[2 : 2 + IDS.shape[1]])
    np.testing.assert_allclose(whole.encode(IDS, rng=Rng.seed(0)), first, atol=1e-6)
    assert np.abs(whole.encode(IDS) - first).max() > 0.1


def test_training_draws_and_inference_does_not():
    whole = model(activation_dropout=0.5)
    run = jax.jit(lambda model, rng: model.logits(IDS, MASK, rng=rng))
    one, same, other = (np.asarray(run(whole, Rng.seed(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3
    assert np.abs(one - np.asarray(run(whole, None))).max() > 1e-3


def test_far_sinusoids_are_exact():
    place, pair = 900, 3
    assert sinusoids(1024, 512)[place, pair] == np.float32(np.sin(place / 10000 ** (2 * pair / 512)))
    assert sinusoids(1024, 512)[place, 256 + pair] == np.float32(np.cos(place / 10000 ** (2 * pair / 512)))


def test_what_a_model_refuses():
    whole, judge = model(), model(head="sequence-classification")
    with refuses("a model with the head 'sequence-classification' writes no words: open it with head='words'"):
        judge.words(jnp.zeros(8))
    with refuses("the head 'sequence-classification' reads the source; leave `targets` out"):
        judge.logits(IDS, targets=IDS)
    with refuses("length is 13, and bart has positions for 12"):
        whole.start(IDS, beams=1, length=13)
    with refuses("13 tokens, and bart has positions for 12: cut the text"):
        whole.encode(np.zeros((1, 13), np.int32))
    with refuses("token ids have dtype float32, expected integers"):
        whole.encode(jnp.zeros((1, 3)))
    with refuses("lengths and a mask were given; give the one or the other"):
        whole.encode(IDS, MASK, lengths=np.array([4, 2]))
    with refuses("bart has no head 'word': did you mean 'words'?"):
        model(head="word")
    with refuses("marian has no head 'sequence-classification': known: states, words"):
        model("marian", head="sequence-classification")
    with refuses(
        "t5: 40 buckets of relative positions up to a distance of 20; expected at least 4, and less than twice the "
        "distance"
    ):
        config("t5", head_size=4, relative=40, farthest=20)
    with refuses("architecture 'brat' is not known: did you mean 'bart'?"):
        config("brat")
    with refuses("bart: decoder_start_token_id is missing from the config, so say what the decoder reads"):
        model(start=None).logits(IDS)
