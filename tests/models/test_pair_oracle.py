"""Every encoder-decoder and head beside transformers: outputs, gradients, step by step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pair_oracle import PAIRS, compare, make, theirs

from spago_jax.models.encoder_decoder import EncoderDecoder
from spago_jax.models.encoder_decoder.plans import PLANS

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize(("architecture", "head"), PAIRS)
def test_float32_outputs_are_those_of_transformers(architecture, head):
    compare(make(architecture, head, double=False), 0, atol=1e-5)


@pytest.mark.parametrize("architecture", ["marian", "t5"])
def test_float64_outputs_and_gradients_are_those_of_transformers(architecture):
    with jax.enable_x64(True):
        compare(make(architecture, "words"), 0, atol=1e-10, gradients=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 22))
@pytest.mark.parametrize("architecture", PLANS)
def test_twenty_configs_in_float64_and_in_float32(architecture, seed):
    """Varied sizes, activations, labels, tables, gates, buckets, padding; over the heads in turn."""
    heads = list(PLANS[architecture])
    head = heads[seed % len(heads)]
    with jax.enable_x64(True):
        compare(make(architecture, head, seed), seed, atol=1e-10, gradients=1e-8)
    compare(make(architecture, head, seed, double=False), seed, atol=1e-5)


@functools.partial(jax.jit, static_argnames=("beams", "length"))
def start(model: EncoderDecoder, ids, mask, *, beams, length):
    return model.start(ids, mask, beams=beams, length=length)


step = jax.jit(lambda model, ids, state: model.step(ids, state))


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("architecture", PLANS)
def test_step_by_step_the_logits_are_those_of_transformers(architecture, left):
    """Two beams, of which the second reads other tokens; ours alone, and with an array per layer."""
    pair = make(architecture, "words", double=False, left=left)
    other = pair.batch["targets"][:, ::-1].copy()
    wanted = [theirs(pair).detach().numpy()]
    pair.batch["targets"], first = other, pair.batch["targets"]
    wanted.append(theirs(pair).detach().numpy())
    model = pair.ours.separate() if left else pair.ours
    state = start(model, pair.batch["ids"], pair.batch["mask"], beams=2, length=8)
    for place in range(first.shape[1]):
        ids = np.stack([first[:, place], other[:, place]], 1)
        logits, state = step(model, jnp.asarray(ids), state)
        np.testing.assert_allclose(logits, np.stack([w[:, place] for w in wanted], 1), atol=1e-5, rtol=1e-5)
    assert int(state.position) == first.shape[1]


def test_a_beam_goes_on_from_the_one_that_it_is_told():
    pair = make("bart", "words", double=False)
    state = start(pair.ours, pair.batch["ids"], pair.batch["mask"], beams=2, length=8)
    tokens = np.array([[[4, 5]] * 3, [[6, 7]] * 3, [[8, 9]] * 3])
    _, state = step(pair.ours, tokens[0], state)
    _, state = step(pair.ours, tokens[1], state)
    parents = np.array([[1, 0], [1, 1], [0, 0]])
    logits, _ = step(pair.ours, tokens[2], jax.jit(pair.ours.reorder)(state, parents))
    for row, beam in np.ndindex(3, 2):
        parent = parents[row, beam]
        pair.batch["targets"] = np.array([[tokens[0, row, parent], tokens[1, row, parent], tokens[2, row, beam]]] * 3)
        np.testing.assert_allclose(logits[row, beam], theirs(pair).detach().numpy()[row, 2], atol=1e-5, rtol=1e-5)
