"""Auxiliary losses reach the training loss from wherever a layer adds them, or it is an error; none is lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax import flow
from spago_jax.core import add_loss, collect_taps, with_losses
from spago_jax.errors import InputError
from spago_jax.flow import MixtureOfExperts

X = jnp.arange(12.0).reshape(4, 3) / 10


class Size(sj.Module):
    """A layer whose auxiliary loss is the mean of what it is given."""

    scale: jax.Array

    def __call__(self, x):
        add_loss("size", self.scale * x.mean())
        return 2 * x


class Pair(sj.Module):
    first: Size
    rest: tuple

    def __call__(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


def size():
    return Size(jnp.float32(1.0))


def extra_of(function, *args, **options):
    return with_losses(function)(*args, **options)[1]


def test_without_a_listener_the_program_is_the_same():
    def plain(x, extra):
        return 2 * x

    def adds(x, extra):
        add_loss("size", extra)
        return 2 * x

    assert str(jax.make_jaxpr(adds)(X, 1.0)) == str(jax.make_jaxpr(plain)(X, 1.0))


def test_a_function_that_adds_nothing_has_none():
    y, extra = jax.jit(with_losses(jnp.sin))(X)
    np.testing.assert_allclose(y, jnp.sin(X), rtol=1e-6)
    assert extra is None


def test_losses_of_one_name_in_one_model_are_added_up():
    model = Pair(size(), (size(), size()))
    np.testing.assert_allclose(extra_of(model, X), X.mean() * 7, rtol=1e-6)


@pytest.mark.parametrize("depth", ["module", "flow", "module in flow", "flow in module", "flow in flow"])
def test_any_nesting_of_modules_and_flows(depth):
    key, spec = jax.random.key(0), "f32[batch, 3]"
    model = {
        "module": size,
        "flow": lambda: flow.start(size()).build(key, spec),
        "module in flow": lambda: flow.start(Pair(size(), ())).build(key, spec),
        "flow in module": lambda: Pair(size(), (flow.start(jnp.zeros_like).also(size()).build(key, spec),)),
        "flow in flow": lambda: flow.start(flow.start(size())).build(key, spec),
    }[depth]()
    np.testing.assert_allclose(jax.jit(with_losses(model))(X)[1], X.mean(), rtol=1e-6)


def test_two_layers_of_one_name_within_one_step_of_a_flow():
    net = flow.start(Pair(size(), (size(),))).build(jax.random.key(0), "f32[batch, 3]")
    np.testing.assert_allclose(extra_of(net, X), 3 * X.mean(), rtol=1e-6)


def test_a_loop_adds_up_and_a_map_averages():
    loop = flow.start().loop(size()).times(3).build(jax.random.key(0), "f32[batch, 3]")
    np.testing.assert_allclose(extra_of(loop, X), 7 * X.mean(), rtol=1e-6)
    halting = flow.start().loop(size()).until(lambda s: s.max() - 3.0, 5).build(jax.random.key(0), "f32[batch, 3]")
    np.testing.assert_allclose(extra_of(halting, X), 3 * X.mean(), rtol=1e-6)
    each = flow.start().map(size()).each().build(jax.random.key(0), "f32[batch, 3]")
    np.testing.assert_allclose(extra_of(each, X), X.mean(), rtol=1e-6)


def test_only_the_chosen_branch_of_a_switch_counts():
    net = flow.start().switch(flow.fixed_selector(1), [size(), Pair(size(), (size(),))])
    net = net.build(jax.random.key(0), "f32[batch, 3]")
    np.testing.assert_allclose(extra_of(net, X), 3 * X.mean(), rtol=1e-6)


def test_gradients_flow_through_the_sum():
    def loss(layer, x):
        y, extra = with_losses(layer)(x)
        return y.sum() + extra

    slopes = jax.jit(jax.grad(loss))(size(), X)
    np.testing.assert_allclose(slopes.scale, X.mean(), rtol=1e-6)
    slopes = jax.grad(loss)(flow.start().loop(size()).times(2).build(jax.random.key(0), "f32[batch, 3]"), X)
    np.testing.assert_allclose(jax.tree.leaves(slopes)[0], 3 * X.mean(), rtol=1e-6)


def test_a_mixture_of_experts_directly_in_a_module_has_its_balance_loss():
    class Model(sj.Module):
        experts: MixtureOfExperts

        def __call__(self, x):
            return x + self.experts(x)

    model = Model(MixtureOfExperts.init(jax.random.key(0), 3, 4, experts=2, balance=0.5))
    extra = extra_of(model, X)
    assert extra.shape == ()
    assert extra > 0
    assert np.abs(jax.grad(lambda m: extra_of(m, X))(model).experts.router.weight).max() > 0


def test_under_vmap_there_is_one_sum_per_element_and_under_scan_one_per_step():
    np.testing.assert_allclose(jax.vmap(with_losses(size()))(X)[1], X.mean(1), rtol=1e-6)
    step = with_losses(size())
    _, (_, extra) = jax.lax.scan(lambda carry, x: (carry, step(x)), None, X)
    np.testing.assert_allclose(extra, X.mean(1), rtol=1e-6)


def test_collectors_of_taps_see_the_losses_too():
    def run(x):
        with collect_taps() as found:
            extra = extra_of(size(), x)
        return extra, dict(found)

    extra, found = run(X)
    np.testing.assert_array_equal(found["loss:size"], extra)


def test_where_calls_nest_a_loss_goes_to_the_innermost():
    def outer(x):
        y, inner = with_losses(size())(x)
        add_loss("twice", 2 * inner)
        return y

    np.testing.assert_allclose(extra_of(outer, X), 2 * X.mean(), rtol=1e-6)


def test_a_loss_that_would_be_lost_is_an_error_that_says_what_to_do():
    layer = size()
    for lost in (jax.vmap(layer), jax.jit(lambda x: layer(x)), lambda x: jax.lax.map(layer, x)):
        with pytest.raises(InputError, match="'size' is added inside a transformation.*with_losses"):
            with_losses(lost)(X)
        lost(X)  # nobody listens

    def kept(x):
        y, extra = jax.vmap(with_losses(layer))(x)
        add_loss("size", extra.mean())
        return y

    np.testing.assert_allclose(extra_of(kept, X), X.mean(), rtol=1e-6)


def test_a_loss_that_would_be_lost_in_the_body_of_a_flow_is_an_error_too():
    net = flow.start().loop(lambda x: jax.vmap(size())(x)).times(2).build(jax.random.key(0), "f32[batch, 3]")
    with pytest.raises(InputError, match="inside a transformation"):
        with_losses(net)(X)


def test_shapes_of_memory_and_conditions_add_nothing():
    net = flow.start().through(lambda x, m: x + 0 * m).using("out").through(size()).tag("out")
    net = net.build(jax.random.key(0), "f32[batch, 3]")
    (y, state), extra = with_losses(net)(X)  # its memory is made in a trace of shapes
    np.testing.assert_allclose(extra, X.mean(), rtol=1e-6)
    np.testing.assert_allclose(y, state["out"])
    halting = flow.start().loop(jnp.negative).while_(lambda s: size()(s).max() - 100, 2)
    assert extra_of(halting.build(jax.random.key(0), "f32[batch, 3]"), X) is None


def test_a_value_that_is_not_a_scalar_is_refused():
    with pytest.raises(InputError, match=r"'size' has the shape \[2\], expected a scalar"):
        add_loss("size", jnp.ones(2))
