"""Choosing the next id. Oracles: brute force over subsets, and the logits warpers of transformers."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, normal, refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.core import Array, Module
from spago_jax.generation import Choice, Generator
from spago_jax.tasks.device_engine import options_of


class Fixed(Module):
    """Says the same of every next token."""

    logits: Array

    def start(self, ids, mask=None, *, beams, length):
        return ()

    def step(self, ids, state):
        return jnp.broadcast_to(self.logits, (*ids.shape, len(self.logits))), state

    def reorder(self, state, parents):
        return state


def on_device(logits, choice: Choice, count: int) -> np.ndarray:
    """Ids that the loop on the device writes."""
    options = options_of(choice, 1, count)
    found = Generator(Fixed(jnp.asarray(logits))).generate([[0]], decoder_start_token_id=0, **options)
    return found.ids[0, 1:]


def softmax(scores) -> np.ndarray:
    weights = np.exp(np.asarray(scores, np.float64) - np.max(scores))
    return weights / weights.sum()


def drawn(logits, choice: Choice, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """How often the device and NumPy draw each id."""
    device = on_device(logits, choice, count)
    random = np.random.default_rng(1)
    host = [choice.draw(logits, random) for _ in range(count)]
    return tuple(np.bincount(ids, minlength=len(logits)) / count for ids in (device, host))


@settings(max_examples=40)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6, unique=True), st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_of_that_probability(weights, top_p):
    """Brute force: of all subsets that reach the probability, the smallest, and of these the likeliest."""
    probabilities = np.array(weights) / sum(weights)
    sets = [s for n in range(1, len(weights) + 1) for s in itertools.combinations(range(len(weights)), n)]
    reaching = [s for s in sets if probabilities[list(s)].sum() >= top_p - 1e-9]
    best = min(reaching, key=lambda s: (len(s), -probabilities[list(s)].sum()))
    sums = np.cumsum(np.sort(probabilities)[::-1])
    if np.abs(sums - top_p).min() < 1e-6:
        return  # on the edge, rounding decides
    kept = np.flatnonzero(np.isfinite(Choice(1.0, top_p=top_p).scores(np.log(probabilities))))
    assert tuple(kept) == best


@pytest.mark.parametrize(
    "choice",
    [
        Choice(0.7),
        Choice(1.0, top_k=2),
        Choice(1.5, top_p=0.6),
        Choice(0.9, top_k=4, top_p=0.8),
        Choice(1.0, never=(3,)),
        Choice(2.0, top_k=2, top_p=0.9, never=(3, 0)),
        Choice(1.0, top_k=99, top_p=1.0),
    ],
    ids=str,
)
def test_device_and_host_draw_alike(choice):
    logits = np.array([1.0, 0.0, -1.0, 2.0, 0.7, -3.0], np.float32)
    expected = softmax(choice.scores(logits))
    for found in drawn(logits, choice):
        close(found, expected, 0.03)
        assert not found[expected == 0].any()
    assert not expected[list(choice.never)].any()


def test_ids_that_are_never_written_are_not_the_most_probable_either():
    logits, choice = np.array([0.0, 3.0, 1.0]), Choice(0.0, never=(1,))
    assert choice.draw(logits, np.random.default_rng(0)) == 2
    assert on_device(logits, choice, 3).tolist() == [2, 2, 2]


def test_values_out_of_range():
    with refuses("temperature = -1: expected a number of at least 0"):
        Choice(-1)
    with refuses("top_p = 0: expected a probability above 0, at most 1, or None for all"):
        Choice(top_p=0)


@pytest.mark.oracle
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 7])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_what_stays_is_what_transformers_keeps(temperature, top_k, top_p):
    torch = pytest.importorskip("torch", reason="needs torch")
    process = pytest.importorskip("transformers.generation.logits_process", reason="needs transformers")
    logits = 3 * normal(5, 40)
    expected = process.TemperatureLogitsWarper(temperature)(None, torch.tensor(logits))
    if top_k is not None:
        expected = process.TopKLogitsWarper(top_k)(None, expected)
    if top_p < 1:  # as transformers does
        expected = process.TopPLogitsWarper(top_p)(None, expected)
    choice = Choice(temperature, top_k, top_p)
    close(np.stack([choice.scores(row) for row in logits]), expected.numpy(), 1e-5)
