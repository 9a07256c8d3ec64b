"""Named values reach whoever listens, and nobody else; nothing of an inner trace leaks out."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.core import collect_taps, tap
from spago_jax.nn import Linear

X = jnp.array([1.0, 2.0, 3.0])


class Net(sj.Module):
    first: Linear
    layers: tuple

    def __call__(self, x):
        h = tap("hidden", jnp.tanh(self.first(x)))
        for layer in self.layers:
            h = layer(h)
        return tap("out", self.score(h))

    def score(self, h):
        return h.sum()


@pytest.fixture(scope="module")
def net():
    keys = jax.random.split(jax.random.key(0), 3)
    return Net(Linear.init(keys[0], 3, 4), tuple(Linear.init(key, 4, 4) for key in keys[1:]))


def collected(function, **options):
    """The function with what it taps beside its result."""

    def run(*args):
        with collect_taps(**options) as found:
            result = function(*args)
        return result, dict(found), dict(found.modules)

    return run


def test_without_a_listener_it_is_the_identity():
    value = object()
    assert tap("x", value) is value


def test_a_program_is_the_same_with_and_without_taps():
    def plain(x):
        return jnp.tanh(x) * 2

    def tapped(x):
        return tap("twice", tap("tanh", jnp.tanh(x)) * 2)

    assert str(jax.make_jaxpr(plain)(X)) == str(jax.make_jaxpr(tapped)(X))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_it_finds_the_values_of_its_own_trace(wrap):
    result, found, _ = wrap(collected(lambda x: tap("square", x * x).sum()))(X)
    assert float(result) == 14.0
    np.testing.assert_array_equal(found["square"], [1, 4, 9])


def test_inside_a_loss_that_is_differentiated_and_compiled():
    def loss(x):
        result, found, _ = collected(lambda x: tap("square", x * x).sum())(x)
        return result, found

    (value, found), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(X)
    assert float(value) == 14.0
    np.testing.assert_array_equal(found["square"], [1, 4, 9])
    np.testing.assert_array_equal(gradient, [2, 4, 6])


def test_inside_vmap():
    _, found, _ = jax.vmap(collected(lambda x: tap("double", 2 * x)))(X)
    np.testing.assert_array_equal(found["double"], [2, 4, 6])


def scan(x):
    return jax.lax.scan(lambda c, x: (tap("inner", c + x), None), 0.0, x)[0]


def while_loop(x):
    return jax.lax.while_loop(lambda c: tap("inner", c) < 3, lambda c: tap("inner", c + 1), x[0])


def cond(x):
    return jax.lax.cond(x[0] > 0, lambda x: tap("inner", x + 1), lambda x: tap("inner", x - 1), x)


INNER = {
    "scan": scan,
    "while": while_loop,
    "cond": cond,
    "jit": jax.jit(lambda x: tap("inner", x)),
    "vmap": jax.vmap(lambda x: tap("inner", x)),
    "grad": jax.grad(lambda x: tap("inner", x * x).sum()),
    "checkpoint": jax.checkpoint(lambda x: tap("inner", jnp.sin(x))),
}


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", INNER)
def test_a_value_of_an_inner_trace_is_counted_and_does_not_leak(name, wrap):
    jax.clear_caches()  # a body that JAX remembers is not traced again, and nothing is tapped
    skipped = []

    def run(x):
        with collect_taps() as found:
            INNER[name](x)
            after = tap("after", x + 1)
        skipped.append(found.skipped)
        return dict(found), after

    with jax.checking_leaks():
        found, _ = wrap(run)(X)
    assert list(found) == ["after"]
    np.testing.assert_array_equal(found["after"], [2, 3, 4])
    assert skipped[0] >= 1


def test_a_collector_outside_a_compiled_function_gets_nothing_of_it():
    with collect_taps() as found:
        jax.jit(lambda x: tap("inside", x))(X)
    assert (dict(found), found.skipped) == ({}, 1)


def test_of_a_name_the_last_value_counts_and_the_order_is_that_of_the_values():
    with collect_taps() as found:
        for i, name in enumerate(["a", "b", "a"]):
            tap(name, i)
    assert list(found.items()) == [("b", 1), ("a", 2)]
    assert found.order == [("tap", "b"), ("tap", "a")]


def test_collectors_nest_and_close_in_order():
    with collect_taps() as outer:
        with collect_taps() as inner:
            tap("x", 1)
        tap("y", 2)
    tap("z", 3)
    assert (dict(outer), dict(inner)) == ({"x": 1, "y": 2}, {"x": 1})


def test_an_exception_closes_the_collector():
    with pytest.raises(ValueError, match="stop"), collect_taps() as found:
        raise ValueError("stop")
    tap("late", 1)
    assert not found


def test_each_thread_has_its_own():
    with collect_taps() as found:
        thread = threading.Thread(target=lambda: tap("elsewhere", 1))
        thread.start()
        thread.join()
    assert not found


def test_modules_are_found_by_their_path(net):
    _, found, modules = jax.jit(collected(lambda net, x: net(x), modules=True))(net, X)
    assert set(found) == {"hidden", "out"}
    assert set(modules) == {"first", "layers.0", "layers.1", "Net"}
    hidden = np.tanh(np.asarray(net.first.weight) @ np.asarray(X) + np.asarray(net.first.bias))
    np.testing.assert_allclose(found["hidden"], hidden, rtol=1e-6)
    expected = np.asarray(net.layers[0].weight) @ hidden + np.asarray(net.layers[0].bias)
    np.testing.assert_allclose(modules["layers.0"], expected, rtol=1e-5)


def test_modules_and_taps_are_in_the_order_of_execution(net):
    with collect_taps(modules=True) as found:
        net(X)
    names = [("module", "first"), ("tap", "hidden"), ("module", "layers.0"), ("module", "layers.1"), ("tap", "out")]
    assert found.order == [*names, ("module", "Net")]


def test_modules_are_not_kept_unless_asked_for(net):
    with collect_taps() as found:
        net(X)
    assert found.modules == {}
    assert list(found) == ["hidden", "out"]


class Shared(sj.Module):
    """Calls a part of the whole from another part: its path is its own, not the caller's."""

    caller: "Caller"
    part: Linear

    def __call__(self, x):
        return self.caller(self.part, x)


class Caller(sj.Module):
    gain: sj.Array

    def __call__(self, part, x):
        return self.gain * part(x)


def test_a_module_that_another_part_calls_keeps_its_own_path():
    model = Shared(Caller(jnp.ones(())), Linear.init(jax.random.key(0), 3, 2))
    with collect_taps(modules=True) as found:
        model(X)
    assert list(found.modules) == ["part", "caller", "Shared"]


def test_a_collector_alone_keeps_its_taps_from_those_outside():
    with collect_taps() as outside:
        with collect_taps(alone=True) as inside:
            tap("hidden", jnp.ones(()))
        tap("seen", jnp.ones(()))
    assert list(inside) == ["hidden"]
    assert list(outside) == ["seen"]
