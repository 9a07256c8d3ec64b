"""Gates and the factor of the rate. Oracles: the same optimizer without controls, on the arrays that are free."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.optim import (
    OptimizerConfig,
    apply_updates,
    build_optimizer,
    controls,
    current_learning_rate,
    set_controls,
    trained_paths,
)

SIZES = {"total_steps": 20, "steps_per_epoch": 5}
CONFIG = {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.1, "clip_norm": 1.0, "schedule": "linear"}


def params():
    return {"encoder": {"weight": jnp.array([1.0, -2.0])}, "head": {"weight": jnp.array([3.0])}}


def gradient(tree, step):
    return jax.tree.map(lambda w: jnp.sin(w + step) * 3, tree)


def trained(section, steps, gates=None, tree=None, at=None, begin=0):
    """The arrays after some steps; ``at`` maps a step to the controls that are set before it."""
    tree = params() if tree is None else tree
    optimizer = build_optimizer(OptimizerConfig.model_validate(section), tree, **SIZES, gates=gates)
    traces = []

    @jax.jit
    def update(tree, state, step):
        traces.append(1)
        updates, state = optimizer.update(gradient(tree, step), state, tree)
        return apply_updates(tree, updates), state

    state = optimizer.init(tree)
    for step in range(begin, begin + steps):
        if at and step in at:
            state = set_controls(state, **at[step])
        tree, state = update(tree, state, jnp.float32(step))
    assert len(traces) == 1, "controls were set without compiling"
    return tree, state


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "radam", "rmsprop", "adagrad", "lamb"])
def test_open_gates_change_nothing(name):
    section = {"name": name, "learning_rate": 0.1, "clip_norm": 1.0}
    plain, _ = trained(section, 4)
    gated, _ = trained(section, 4, gates=["encoder"], at={0: {"opened": [0]}})
    for one, two in zip(jax.tree.leaves(plain), jax.tree.leaves(gated), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)


def test_a_closed_gate_freezes_its_arrays_and_the_rest_goes_on_without_them():
    gated, _ = trained(CONFIG, 4, gates=["encoder"])
    alone, _ = trained(CONFIG, 4, tree={"head": params()["head"]})  # the norm that is clipped is the head's own
    np.testing.assert_array_equal(gated["encoder"]["weight"], params()["encoder"]["weight"])
    np.testing.assert_allclose(gated["head"]["weight"], alone["head"]["weight"], rtol=1e-6)


def test_the_memory_of_closed_arrays_stays_as_it_was():
    optimizer = build_optimizer(OptimizerConfig.model_validate(CONFIG), params(), **SIZES, gates=["encoder"])
    start = optimizer.init(params())
    _, state = trained(CONFIG, 3, gates=["encoder"])
    free, closed = state.methods
    for old, new in zip(jax.tree.leaves(start.methods[1]), jax.tree.leaves(closed), strict=True):
        np.testing.assert_array_equal(old, new)
    pairs = zip(jax.tree.leaves(start.methods[0]), jax.tree.leaves(free), strict=True)
    assert all(np.any(np.asarray(old) != new) for old, new in pairs)


def test_opened_arrays_begin_like_a_fresh_optimizer():
    # Adam's first step has the size of the rate whatever the gradient; with moments of zero and the count of the other
    # arrays it would be three times that.
    section = {"name": "adam", "learning_rate": 0.1}
    before, _ = trained(section, 5, gates=["encoder"])
    after, _ = trained(section, 6, gates=["encoder"], at={5: {"opened": [0]}})
    step = np.abs(np.asarray(after["encoder"]["weight"]) - before["encoder"]["weight"])
    np.testing.assert_allclose(step, 0.1, rtol=1e-4)


def test_an_array_of_two_gates_is_trained_once_one_is_open():
    tree, _ = trained(CONFIG, 2, gates=["encoder", "*.weight"], at={0: {"opened": [1]}})
    assert np.all(tree["encoder"]["weight"] != params()["encoder"]["weight"])
    tree, _ = trained(CONFIG, 2, gates=["encoder", "*.weight"], at={0: {"opened": [0]}})
    assert np.all(tree["encoder"]["weight"] != params()["encoder"]["weight"])
    np.testing.assert_array_equal(tree["head"]["weight"], params()["head"]["weight"])


def test_a_gradient_that_is_not_finite_does_not_reach_closed_arrays_or_the_others():
    tree = params()
    optimizer = build_optimizer(OptimizerConfig.model_validate(CONFIG), tree, **SIZES, gates=["encoder"])
    bad = {"encoder": {"weight": jnp.full(2, jnp.nan)}, "head": {"weight": jnp.ones(1)}}
    updates, _ = optimizer.update(bad, optimizer.init(tree), tree)
    assert all(np.isfinite(u).all() for u in jax.tree.leaves(updates))


def test_the_factor_scales_the_rate():
    section = {"name": "sgd", "learning_rate": 0.2}
    half, _ = trained({"name": "sgd", "learning_rate": 0.1}, 3)
    scaled, state = trained(section, 3, gates=[], at={0: {"scale": 0.5}})
    np.testing.assert_allclose(scaled["head"]["weight"], half["head"]["weight"], rtol=1e-6)
    assert float(current_learning_rate(state)) == pytest.approx(0.1)
    assert controls(state) is not None


def test_with_accumulated_gradients():
    section = {"name": "sgd", "learning_rate": 0.1, "accumulate": 2}
    tree, _ = trained(section, 4, gates=["encoder"])
    np.testing.assert_array_equal(tree["encoder"]["weight"], params()["encoder"]["weight"])
    tree, _ = trained(section, 4, gates=["encoder"], at={2: {"opened": [0], "scale": 0.5}})
    assert np.all(tree["encoder"]["weight"] != params()["encoder"]["weight"])


def test_what_a_group_froze_may_be_opened():
    config = OptimizerConfig.model_validate({"groups": [{"match": "encoder", "freeze": True}]})
    assert trained_paths(config, params()) == {"head.weight"}
    assert trained_paths(config, params(), ["encoder"]) == {"head.weight", "encoder.weight"}


def test_a_gate_that_matches_nothing_is_refused():
    with pytest.raises(InputError, match=r"unfreeze pattern 'encodr' matches no array .* did you mean 'encoder'\?"):
        build_optimizer(OptimizerConfig(), params(), **SIZES, gates=["encodr"])
    with pytest.raises(InputError, match=r"unfreeze pattern 'ids' matches only arrays that are not trained: \['ids'\]"):
        build_optimizer(OptimizerConfig(), {"ids": jnp.arange(3), "w": jnp.ones(1)}, **SIZES, gates=["ids"])


def test_controls_that_are_not_there():
    plain = build_optimizer(OptimizerConfig(), params(), **SIZES).init(params())
    assert controls(plain) is None
    with pytest.raises(InputError, match="this optimizer has no controls: build it with build_optimizer"):
        set_controls(plain, scale=0.5)
    gated = build_optimizer(OptimizerConfig(), params(), **SIZES, gates=["head"]).init(params())
    with pytest.raises(InputError, match="there is no gate 1: the optimizer was built with 1 of them"):
        set_controls(gated, opened=[1])
