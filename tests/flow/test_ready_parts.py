"""Ready parts: mixtures of experts against a loop over rows, routers, glimpses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax import flow
from spago_jax.core import flat
from spago_jax.core.taps import collect_taps
from spago_jax.errors import InputError
from spago_jax.nn import Linear
from spago_jax.ops.activations import gelu

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (2, 6, 4))


def by_hand(mixture, rows, room):
    """Row by row in NumPy's order: first choices first, then earlier rows; an expert takes what it has room for."""
    logits = rows @ mixture.router.weight.T
    order = jnp.argsort(-logits, axis=-1)[:, : mixture.k]
    best = jnp.take_along_axis(logits, order, -1)
    gates = jax.nn.softmax(best, axis=-1)
    taken = dict.fromkeys(range(mixture.inner.shape[0]), 0)
    out, dropped = jnp.zeros_like(rows), 0
    for choice in range(mixture.k):
        for r in range(rows.shape[0]):
            e = int(order[r, choice])
            if taken[e] == room:
                dropped += 1
                continue
            taken[e] += 1
            hidden = gelu(mixture.inner[e] @ rows[r] + mixture.inner_bias[e])
            out = out.at[r].add(gates[r, choice] * (mixture.outer[e] @ hidden + mixture.outer_bias[e]))
    return out, dropped / (rows.shape[0] * mixture.k)


@pytest.mark.parametrize(("k", "capacity", "room"), [(2, 100.0, 12), (1, 1.0, 4), (2, 0.5, 4)])
def test_a_mixture_of_experts(k, capacity, room):
    mixture = flow.MixtureOfExperts.init(KEY, 4, 5, experts=3, k=k, capacity=capacity)
    mixture = mixture.replace(inner_bias=mixture.inner_bias + 0.1, outer_bias=mixture.outer_bias - 0.2)

    def observed(mixture, x):
        with collect_taps() as found:
            y = mixture(x)
        return y, dict(found)

    y, found = jax.jit(observed)(mixture, X)
    expected, dropped = by_hand(mixture, X.reshape(-1, 4), room)
    np.testing.assert_allclose(y.reshape(-1, 4), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["dropped"], dropped, rtol=1e-6)
    assert (dropped > 0) == (capacity <= 1.0)


def test_its_gradient_by_finite_differences():
    with jax.enable_x64(True):
        mixture = jax.tree.map(lambda a: a.astype(jnp.float64), flow.MixtureOfExperts.init(KEY, 4, 5, experts=3))
        x = X.astype(jnp.float64)
        loss = jax.jit(lambda m: jnp.sin(m(x)).sum())
        slope = jax.jit(jax.grad(loss))(mixture)
        step = jax.tree.map(lambda a: jax.random.normal(KEY, a.shape, a.dtype), mixture)
        moved = lambda t: jax.tree.map(lambda a, d: a + t * d, mixture, step)  # noqa: E731
        finite = (loss(moved(1e-6)) - loss(moved(-1e-6))) / 2e-6
        along = sum((flat(slope)[name] * d).sum() for name, d in flat(step).items())
        np.testing.assert_allclose(along, finite, rtol=1e-6)


def test_the_balance_loss_is_least_where_experts_are_used_alike():
    even = flow.TopKRouter(linear=Linear(weight=jnp.eye(3)), k=1, balance=1.0)
    with collect_taps() as found:
        even(10 * jnp.eye(3))
    np.testing.assert_allclose(found["loss:balance"], 1.0, rtol=1e-5)
    with collect_taps() as found:
        even(10 * jnp.eye(3)[jnp.array([0, 0, 0])])
    assert found["loss:balance"] > 2.9  # all rows to one expert: 3, the number of experts


def test_losses_in_flows_are_found_by_step_and_added_up():
    written = (
        flow.start().tag("x").gate(flow.top_k_router(3, 2, balance=1.0), flow.copies(flow.linear(4), 3)).tag("gated")
    )
    net = written.loop(flow.mixture_of_experts(5, experts=3, balance=1.0)).times(2).tag("mixed").build(KEY, X[0])
    _, seen = jax.jit(lambda net, x: net.observe(x))(net, X[0])
    assert {name for name in seen if name.startswith("loss:")} == {"loss:gated/router/balance", "loss:mixed/balance"}
    assert float(seen["loss:mixed/balance"]) > 1.9  # two iterations, each 1 or more
    np.testing.assert_allclose(net.losses(seen), seen["loss:gated/router/balance"] + seen["loss:mixed/balance"])


def test_a_glimpse_at_the_centre_is_the_middle_of_the_picture():
    image = jnp.arange(25.0).reshape(1, 5, 5)
    look = flow.Glimpse.init(KEY, 3, channels=1, size=3, width=0.5, scales=2)
    near, far = look.look(image, jnp.zeros(2)).reshape(2, 3, 3)
    np.testing.assert_allclose(near, image[0, 1:4, 1:4])
    np.testing.assert_allclose(far, image[0, ::2, ::2])


def test_a_loop_of_glimpses_learns_where_to_look():
    # A bright spot somewhere; the output must say where, and the first glimpse, at the centre, sees it only from afar.
    def picture(place):
        axis = jnp.linspace(-1, 1, 16)
        return jnp.exp(-((axis[None, :] - place[0]) ** 2 + (axis[:, None] - place[1]) ** 2) / 0.1)[None]

    places = jax.random.uniform(KEY, (64, 2), minval=-0.8, maxval=0.8)
    images = jax.vmap(picture)(places)
    net = (
        flow.start()
        .tag("image")
        .through(lambda image: jnp.zeros((image.shape[0], 16)))
        .loop(flow.glimpse(channels=1, size=4, scales=3))
        .times(3)
        .using("image")
        .tag("state")
        .through(flow.linear(2))
        .build(KEY, images)
    )
    import optax

    adam = optax.adam(0.01)
    loss = lambda net: ((net(images) - places) ** 2).mean()  # noqa: E731

    @jax.jit
    def train(net):
        def step(carry, _):
            net, state = carry
            value, grads = jax.value_and_grad(loss)(net)
            updates, state = adam.update(grads, state, net)
            return (optax.apply_updates(net, updates), state), value

        return jax.lax.scan(step, (net, adam.init(net)), length=60)

    (net, _), losses = train(net)
    assert losses[-1] < 0.1 * losses[0]
    assert "state/place" in net.observe(images)[1]


def test_mistakes():
    with pytest.raises(InputError, match="MixtureOfExperts: k is 4, expected 1 to 3"):
        flow.MixtureOfExperts.init(KEY, 4, 5, experts=3, k=4)
    with pytest.raises(InputError, match="MixtureOfExperts: capacity is 0, expected more than 0"):
        flow.MixtureOfExperts.init(KEY, 4, 5, experts=3, capacity=0)
