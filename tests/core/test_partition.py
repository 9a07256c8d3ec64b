"""partition, combine, freeze, labels, value_and_grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.errors import InputError

TRAINED = {
    "first.weight",
    "first.bias",
    "layers.0.weight",
    "layers.0.bias",
    "layers.1.weight",
    "norm.gain",
    "table.shift",
}


def loss(net, x):
    return (net(x) ** 2).sum()


def leaves_of(tree):
    return set(sj.flat(tree))


@pytest.fixture
def x():
    return jnp.array([0.3, -0.7])


def test_trainable_and_count(net):
    assert sj.trainable(net) == TRAINED
    assert sj.count_parameters(net) == 6 + 3 + 9 + 3 + 9 + 3 + 5


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (sj.trainable, TRAINED),
        (
            sj.freeze("layers.*", "table"),
            TRAINED - {"layers.0.weight", "layers.0.bias", "layers.1.weight", "table.shift"},
        ),
        (sj.freeze(), TRAINED),
        ("layers", {"layers.0.weight", "layers.0.bias", "layers.1.weight"}),
        (["*.gain", "ids"], {"norm.gain", "ids"}),
        (lambda model: {"key"}, {"key"}),
    ],
)
def test_partition_and_combine(net, paths, where, expected):
    chosen, rest = sj.partition(net, where)
    assert leaves_of(chosen) == expected
    assert leaves_of(rest) == set(paths) - expected
    for first, second in ((chosen, rest), (rest, chosen)):
        again = sj.combine(first, second)
        assert jax.tree.structure(again) == jax.tree.structure(net)
        assert all(a is b for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(net), strict=True))


def test_patterns_that_match_nothing_are_refused(net):
    with pytest.raises(
        InputError, match=r"^freeze pattern 'layer\.\*' matches no array of the model: did you mean 'lay"
    ):
        sj.freeze("layer.*")(net)
    with pytest.raises(InputError, match=r"^pattern 'nrom' matches no array of the model: did you mean 'norm'\?"):
        sj.partition(net, "nrom")
    with pytest.raises(InputError, match=r"^rule 'tabel' matches no array of the model: did you mean 'table'\?"):
        sj.labels(net, [("tabel", "slow")])


def test_labels_first_rule_that_fits(net):
    tree = sj.labels(net, [("layers.0.bias", "a"), ("layers", "b"), ("*.bias", "c")])(net)
    assert sj.flat(tree) == {
        **dict.fromkeys(sj.flat(net), "default"),
        "layers.0.bias": "a",
        "layers.0.weight": "b",
        "layers.1.weight": "b",
        "first.bias": "c",
    }


def test_labels_apply_to_a_tree_of_the_same_names(net):
    chosen, _ = sj.partition(net)
    assert leaves_of(sj.labels(net, [("first", "a")])(chosen)) == TRAINED


def numeric_gradient(net, x, path, eps=1e-3):
    """Central differences, one number at a time."""
    flat = sj.flat(net)
    value = np.asarray(flat[path])
    out = np.zeros_like(value)
    for index in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[index] = eps
        up, down = (float(loss(sj.unflat(net, {**flat, path: value + s}), x)) for s in (step, -step))
        out[index] = (up - down) / (2 * eps)
    return out


def test_value_and_grad_passes_over_integers_buffers_and_keys(net, x):
    value, grads = sj.value_and_grad(loss)(net, x)
    assert float(value) == float(loss(net, x))
    assert leaves_of(grads) == TRAINED
    assert grads.ids is None
    assert grads.norm.mean is None
    assert grads.key is None
    for path in ("first.weight", "first.bias", "norm.gain", "table.shift"):
        np.testing.assert_allclose(sj.flat(grads)[path], numeric_gradient(net, x, path), rtol=2e-2, atol=2e-2)


def test_value_and_grad_equals_jax_grad_where_that_works(kinds, x):
    line = kinds[0](jax.random.normal(jax.random.key(3), (4, 2)), jnp.ones(4))
    value, grads = sj.value_and_grad(loss)(line, x)
    expected, by_jax = jax.value_and_grad(loss)(line, x)
    assert float(value) == float(expected)
    jax.tree.map(np.testing.assert_array_equal, grads, by_jax)


def test_value_and_grad_with_aux_arguments_and_keywords(net, x):
    def with_aux(net, x, *, scale):
        return scale * loss(net, x), {"x": x}

    (value, aux), grads = sj.value_and_grad(with_aux, has_aux=True)(net, x, scale=2.0)
    assert float(value) == pytest.approx(2 * float(loss(net, x)))
    assert aux["x"] is x
    assert leaves_of(grads) == TRAINED


@pytest.mark.parametrize(
    ("wrt", "expected"),
    [
        ("first", {"first.weight", "first.bias"}),
        (("norm", "ids", "first.bias"), {"norm.gain", "first.bias"}),  # patterns choose among what is trained
        (sj.freeze("first"), TRAINED - {"first.weight", "first.bias"}),
        (lambda model: {"norm.mean", "norm.seen"}, {"norm.mean"}),  # a function may ask for a buffer; integers never
    ],
)
def test_value_and_grad_wrt(net, x, wrt, expected):
    _, grads = sj.value_and_grad(loss, wrt)(net, x)
    assert leaves_of(grads) == expected
    _, all_grads = sj.value_and_grad(loss)(net, x)
    for path in expected & TRAINED:
        np.testing.assert_allclose(sj.flat(grads)[path], sj.flat(all_grads)[path], rtol=1e-6)


def test_value_and_grad_wrt_errors(net, x):
    with pytest.raises(
        InputError, match=r"^wrt 'norm\.mean': nothing there is trained, only buffers and integers: norm\.mean$"
    ):
        sj.value_and_grad(loss, "norm.mean")(net, x)
    with pytest.raises(InputError, match=r"^pattern 'fist' matches no array of the model: did you mean 'first'\?$"):
        sj.value_and_grad(loss, "fist")(net, x)


def test_value_and_grad_under_jit_vmap_and_scan(net):
    xs = jax.random.normal(jax.random.key(2), (3, 2))
    step = sj.value_and_grad(loss)
    value, grads = step(net, xs[1])
    jit_value, jit_grads = jax.jit(step)(net, xs[1])
    np.testing.assert_allclose(jit_value, value, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), jit_grads, grads)
    values, many = jax.vmap(step, in_axes=(None, 0))(net, xs)
    np.testing.assert_allclose(values[1], value, rtol=1e-5)
    np.testing.assert_allclose(many.first.weight[1], grads.first.weight, rtol=1e-4, atol=1e-5)
    _, scanned = jax.lax.scan(lambda c, x: (c, step(net, x)[1]), 0, xs)
    np.testing.assert_allclose(scanned.first.weight[1], grads.first.weight, rtol=1e-4, atol=1e-5)


def test_value_and_grad_keeps_the_name_and_adds_nothing_to_the_program(kinds, x):
    """The wrapper splits and joins trees in Python: the traced program is the one of jax.value_and_grad."""
    line = kinds[0](jnp.ones((4, 2)), jnp.ones(4))
    ours = jax.make_jaxpr(sj.value_and_grad(loss))(line, x)
    theirs = jax.make_jaxpr(jax.value_and_grad(loss))(line, x)
    assert len(ours.jaxpr.eqns) == len(theirs.jaxpr.eqns)
    assert sj.value_and_grad(loss).__name__ == "loss"


def test_second_derivative(kinds):
    line = kinds[0](jnp.array([[0.5]]))
    x = jnp.array([1.3])
    hessian = jax.jacfwd(lambda w: sj.value_and_grad(loss)(line.replace(weight=w), x)[1].weight)(line.weight)
    t = np.tanh(0.5 * 1.3)  # d2/dw2 tanh(w x)^2 = 2 x^2 (1 - t^2) (1 - 3 t^2)
    np.testing.assert_allclose(hessian.ravel(), [2 * 1.3**2 * (1 - t**2) * (1 - 3 * t**2)], rtol=1e-4)
