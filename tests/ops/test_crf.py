# SPDX-License-Identifier: BSD-2-Clause
"""The CRF against enumeration of every path, and its gradients against finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.errors import InputError
from spago_jax.nn import CRF
from spago_jax.ops import crf


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def enumerate_paths(emissions, transitions, allowed=None):
    """Every path's score in NumPy float64, in lexicographic order; a banned transition scores -inf."""
    time, count = emissions.shape
    scores = np.array(transitions, np.float64)
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    paths = list(itertools.product(range(count), repeat=time))
    values = []
    for path in paths:
        score = scores[0, path[0] + 1] + scores[path[-1] + 1, 0]
        score += sum(emissions[t, tag] for t, tag in enumerate(path))
        score += sum(scores[a + 1, b + 1] for a, b in itertools.pairwise(path))
        values.append(score)
    return paths, np.array(values)


def logsumexp(values):
    top = values.max()
    return top + np.log(np.exp(values - top).sum())


def brute(emissions, transitions, allowed=None):
    """Log partition, marginals and the best path (the lexicographically first of equals is spaGO's from the end)."""
    paths, values = enumerate_paths(emissions, transitions, allowed)
    total = logsumexp(values)
    unary = np.zeros_like(emissions)
    for path, value in zip(paths, values, strict=True):
        unary[np.arange(len(path)), path] += np.exp(value - total)
    return total, unary, values.max()


def draw(seed, time, count, scale, bans):
    rng = np.random.default_rng(seed)
    emissions = rng.normal(size=(time, count)) * scale
    transitions = rng.normal(size=(count + 1, count + 1)) * scale
    allowed = None
    if bans:
        allowed = rng.random((count + 1, count + 1)) > 0.3
        allowed[1, :] = allowed[:, 1] = allowed[0, 1] = allowed[1, 0] = True  # tag 0 may go anywhere
    return emissions, transitions, allowed


@jax.jit
def everything(emissions, transitions, allowed, tags):
    partition = crf.log_partition(emissions, transitions, allowed=allowed)
    unary = crf.marginals(emissions, transitions, allowed=allowed)
    likelihood = jax.vmap(lambda path: crf.log_likelihood(emissions, path, transitions, allowed=allowed))(tags)
    return partition, unary, crf.viterbi(emissions, transitions, allowed=allowed), likelihood


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from([(1, 1), (1, 3), (4, 2), (3, 4), (4, 4)]),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1000.0]),
    bans=st.booleans(),
)
def test_partition_marginals_likelihood_and_viterbi_equal_enumeration(seed, shape, scale, bans):
    with jax.enable_x64(True):
        emissions, transitions, allowed = draw(seed, *shape, scale, bans)
        total, unary, best = brute(emissions, transitions, allowed)
        paths, values = enumerate_paths(emissions, transitions, allowed)
        mask = np.ones_like(transitions, bool) if allowed is None else allowed
        got = everything(emissions, transitions, mask, np.array(paths))
        np.testing.assert_allclose(got[0], total, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(got[1], unary, rtol=1e-6, atol=1e-9)
        tags, score = got[2]
        np.testing.assert_allclose(score, best, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(values[paths.index(tuple(tags.tolist()))], best, rtol=1e-9, atol=1e-9)
        possible = np.isfinite(values)
        np.testing.assert_allclose(got[3][possible], (values - total)[possible], rtol=1e-7, atol=1e-7)
        assert np.all(got[3][~possible] == -np.inf)


@pytest.mark.parametrize("scale", [1.0, 50.0, 400.0])
@pytest.mark.parametrize("bans", [False, True])
def test_float32_stays_right_at_extreme_scores(scale, bans):
    with jax.enable_x64(False):
        for seed in range(6):
            emissions, transitions, allowed = draw(seed, 4, 4, scale, bans)
            emissions, transitions = emissions.astype(np.float32), transitions.astype(np.float32)
            total, unary, best = brute(emissions.astype(np.float64), transitions, allowed)
            mask = np.ones_like(transitions, bool) if allowed is None else allowed
            got = everything(emissions, transitions, mask, np.zeros((1, 4), int))
            assert got[0].dtype == got[1].dtype == np.float32
            np.testing.assert_allclose(got[0], total, rtol=1e-6, atol=1e-5)
            np.testing.assert_allclose(got[1], unary, atol=2e-6 * max(1, scale))
            np.testing.assert_allclose(got[2][1], best, rtol=1e-6)


def test_a_forced_path_through_an_unlikely_tag():
    # Tag 1 is reached only from tag 1, whose first emission is 500 below: the sum over predecessors that a
    # product of exponentials takes would underflow to zero in float32.
    with jax.enable_x64(False):
        emissions = jnp.array([[0.0, -500.0], [-500.0, 0.0], [-500.0, 0.0]])
        allowed = np.ones((3, 3), bool)
        allowed[1, 2] = False
        total, unary, _ = brute(np.asarray(emissions, np.float64), np.zeros((3, 3)), allowed)
        got = everything(emissions, jnp.zeros((3, 3)), allowed, np.zeros((1, 3), int))
        np.testing.assert_allclose(got[0], total, rtol=1e-6)
        np.testing.assert_allclose(got[1], unary, atol=1e-6)


@pytest.mark.parametrize("bans", [False, True])
def test_gradients_equal_finite_differences(bans):
    emissions, transitions, allowed = draw(5, 5, 3, 1.0, bans)
    tags = jnp.zeros(5, int)

    @jax.jit
    def value(emissions, transitions):
        return crf.log_likelihood(emissions, tags, transitions, allowed=allowed)

    grads = jax.jit(jax.grad(value, (0, 1)))(jnp.array(emissions), jnp.array(transitions))
    for number, array in enumerate((emissions, transitions)):
        for index in np.ndindex(*array.shape):
            step = np.zeros_like(array)
            step[index] = 1e-5
            args = [emissions, transitions]
            up = value(*[jnp.array(a + (step if k == number else 0)) for k, a in enumerate(args)])
            down = value(*[jnp.array(a - (step if k == number else 0)) for k, a in enumerate(args)])
            np.testing.assert_allclose(grads[number][index], (up - down) / 2e-5, rtol=1e-6, atol=1e-8)
    if allowed is not None:
        assert np.all(np.asarray(grads[1])[~allowed] == 0)


def test_a_second_derivative_exists_and_agrees_with_finite_differences():
    emissions, transitions, _ = draw(7, 4, 3, 1.0, False)

    @jax.jit
    def norm(emissions):
        return jnp.sum(crf.marginals(emissions, jnp.array(transitions)) ** 2)

    grad = jax.jit(jax.grad(norm))(jnp.array(emissions))
    step = np.zeros_like(emissions)
    step[2, 1] = 1e-5
    numeric = (norm(jnp.array(emissions + step)) - norm(jnp.array(emissions - step))) / 2e-5
    np.testing.assert_allclose(grad[2, 1], numeric, rtol=1e-6)


@pytest.mark.parametrize("bans", [False, True])
def test_a_batch_equals_its_rows_and_padding_is_not_read(bans):
    rng = np.random.default_rng(3)
    _, transitions, allowed = draw(1, 1, 4, 1.0, bans)
    lengths = np.array([5, 1, 0, 3])
    emissions = rng.normal(size=(4, 5, 4))
    tags = rng.integers(0, 4, (4, 5))
    if bans:
        tags[:] = 0
    for row, length in enumerate(lengths):
        emissions[row, length:] = np.nan
        tags[row, length:] = -1

    @jax.jit
    def whole(emissions, tags, transitions, lengths):
        def total(emissions, transitions):
            each = crf.log_likelihood(emissions, tags, transitions, lengths, allowed=allowed)
            return jnp.sum(each), each

        (_, each), grads = jax.value_and_grad(total, (0, 1), has_aux=True)(emissions, transitions)
        decoded = crf.viterbi(emissions, transitions, lengths, allowed=allowed)
        return each, grads, decoded, crf.marginals(emissions, transitions, lengths, allowed=allowed)

    each, grads, (paths, scores), unary = whole(emissions, tags, transitions, lengths)
    assert np.isfinite(grads[0]).all()
    assert np.isfinite(grads[1]).all()
    assert each[2] == scores[2] == 0.0
    for row, length in enumerate(lengths):
        assert not paths[row, length:].any()
        assert not unary[row, length:].any()
        assert not grads[0][row, length:].any()
        if length:
            total, expected, best = brute(emissions[row, :length], transitions, allowed)
            all_paths, values = enumerate_paths(emissions[row, :length], transitions, allowed)
            gold = values[all_paths.index(tuple(tags[row, :length].tolist()))]
            np.testing.assert_allclose(each[row], gold - total, rtol=1e-9)
            np.testing.assert_allclose(scores[row], best, rtol=1e-9)
            assert values[all_paths.index(tuple(paths[row, :length].tolist()))] == pytest.approx(best, rel=1e-12)
            np.testing.assert_allclose(unary[row, :length], expected, atol=1e-9)


@pytest.mark.parametrize("bans", [False, True])
def test_the_probability_of_a_piece_of_a_path_equals_enumeration(bans):
    emissions, transitions, allowed = draw(5, 5, 3, 1.0, bans)
    total, unary, _ = brute(emissions, transitions, allowed)
    paths, values = enumerate_paths(emissions, transitions, allowed)
    padded = np.concatenate([emissions, np.full((2, 3), 7.0)])
    best = np.array(paths[int(np.argmax(values))])
    tags = np.concatenate([best, [1, 1]])
    single, link = crf.path_probabilities(padded, tags, transitions, np.int32(5), allowed=allowed)
    np.testing.assert_allclose(single[:5], unary[np.arange(5), best], atol=1e-12)
    assert not np.any(np.stack([single, link])[:, 5:])
    for start, end in itertools.combinations(range(6), 2):
        held = [value for path, value in zip(paths, values, strict=True) if path[start:end] == tuple(best[start:end])]
        found = single[start] * np.prod(link[start + 1 : end])
        np.testing.assert_allclose(found, np.exp(logsumexp(np.array(held)) - total), atol=1e-12)


def test_ties_go_to_the_first_tag():
    tags, _ = crf.viterbi(jnp.zeros((5, 3)), jnp.zeros((4, 4)))
    assert tags.tolist() == [0] * 5


def test_many_tags_and_steps():
    emissions, transitions, allowed = draw(2, 40, 45, 2.0, True)
    args = jnp.array(emissions), jnp.array(transitions)
    scores = np.where(allowed, transitions, -np.inf)
    alpha = scores[0, 1:] + emissions[0]
    for emission in emissions[1:]:
        alpha = np.logaddexp.reduce(alpha[:, None] + scores[1:, 1:], axis=0) + emission
    expected = np.logaddexp.reduce(alpha + scores[1:, 0])
    got = everything(*args, allowed, np.zeros((1, 40), int))
    np.testing.assert_allclose(got[0], expected, rtol=1e-12)
    np.testing.assert_allclose(got[1].sum(-1), 1.0, rtol=1e-9)


def test_bfloat16_emissions_are_summed_in_float32():
    emissions, transitions, _ = draw(2, 9, 4, 2.0, False)
    low = jnp.array(emissions, jnp.bfloat16)
    got = crf.log_partition(low, jnp.array(transitions, jnp.float32))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, crf.log_partition(low.astype(float), jnp.array(transitions)), rtol=1e-5)


def test_errors():
    with pytest.raises(InputError, match=r"transitions have shape \(3, 3\), expected \(5, 5\) for 4 tags: row 0"):
        crf.log_partition(jnp.zeros((2, 4)), jnp.zeros((3, 3)))
    with pytest.raises(InputError, match=r"lengths have shape \(3,\), expected \(2,\): one for each sequence"):
        crf.log_partition(jnp.zeros((2, 5, 4)), jnp.zeros((5, 5)), jnp.ones(3, int))
    with pytest.raises(InputError, match=r"tags have shape \(3,\), expected \(2,\) as the emissions"):
        crf.sequence_score(jnp.zeros((2, 4)), jnp.zeros(3, int), jnp.zeros((5, 5)))
    with pytest.raises(InputError, match=r"emissions have shape \(4,\), expected \[..., time, tags\]"):
        crf.log_partition(jnp.zeros(4), jnp.zeros((5, 5)))


def test_layer_init_checks_its_masks():
    key = jax.random.key(0)
    yes = np.ones(2, bool)
    layer = CRF.init(key, 2, allowed=(yes, np.ones((2, 2), bool), yes))
    assert layer.allowed.shape == (3, 3)
    with pytest.raises(InputError, match=r"CRF: allowed transitions have shapes \(2,\), \(3, 3\), \(2,\), expected"):
        CRF.init(key, 2, allowed=(yes, np.ones((3, 3), bool), yes))
    with pytest.raises(InputError, match="leave no path from START to END"):
        CRF.init(key, 2, allowed=(np.array([True, False]), np.eye(2, dtype=bool), np.array([False, True])))
    with pytest.raises(InputError, match="CRF: tags is 0, expected a whole number of at least 1"):
        CRF.init(key, 0)


@pytest.mark.parametrize("seed", range(4))
def test_impossible_says_which_transitions_of_a_gold_path_are_banned(seed):
    """The oracle walks the path, tag by tag."""
    rng = np.random.default_rng(seed)
    _, transitions, allowed = draw(seed, 4, 3, 1.0, True)
    layer = CRF(transitions=jnp.asarray(transitions), allowed=jnp.asarray(allowed))
    tags = rng.integers(0, 3, (6, 4))
    lengths = np.array([4, 3, 2, 1, 0, 4])
    expected = np.zeros((6, 5), bool)
    for row, (path, length) in enumerate(zip(tags, lengths, strict=True)):
        at = 0
        for step in range(length):
            expected[row, step] = not allowed[at, path[step] + 1]
            at = path[step] + 1
        if length:
            expected[row, length] = not allowed[at, 0]
    beyond = np.where(np.arange(4) < lengths[:, None], tags, -100)  # what lies there is not read
    np.testing.assert_array_equal(layer.impossible(beyond, lengths), expected)
    np.testing.assert_array_equal(layer.impossible(tags[0]), expected[0])
    assert not CRF(transitions=layer.transitions).impossible(tags).any()
    likelihood = layer.log_likelihood(jnp.zeros((6, 4, 3)), tags, lengths)
    np.testing.assert_array_equal(likelihood == -np.inf, expected.any(-1))


def test_an_impossible_gold_path_gives_an_infinite_loss_and_no_nan_in_the_gradients():
    """Not 1e30, which looks like a number: a step of training stops at a loss that is not finite."""
    layer = CRF.init(jax.random.key(0), 2, allowed=([True, False], [[True, False], [True, True]], [True, True]))
    emissions, tags = jnp.zeros((2, 3, 2)), jnp.array([[0, 0, 0], [0, 1, 1]])
    loss, gradients = jax.value_and_grad(lambda layer, e: -layer.log_likelihood(e, tags).sum(), (0, 1), allow_int=True)(
        layer, emissions
    )
    assert float(loss) == np.inf
    assert np.isfinite(gradients[0].transitions).all()
    np.testing.assert_array_equal(gradients[1][1], 0)


def test_a_path_without_steps_has_no_probabilities():
    single, link = crf.path_probabilities(np.zeros((2, 0, 3)), np.zeros((2, 0), int), np.zeros((4, 4)))
    assert single.shape == link.shape == (2, 0)
