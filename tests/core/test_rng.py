"""Randomness by path: the same path gives the same numbers, and the key is folded only where a number is drawn."""

import dataclasses
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spago_jax as sj
from spago_jax.core import child


def draw(rng, n=6):
    return np.asarray(rng.uniform((n,)))


def folds(function, *args):
    """How often the traced program folds something into a key, and how many equations it has."""
    equations = jax.make_jaxpr(function)(*args).jaxpr.eqns
    return sum(eqn.primitive.name == "random_fold_in" for eqn in equations), len(equations)


def test_the_same_path_gives_the_same_numbers():
    rng = sj.Rng.seed(3)
    np.testing.assert_array_equal(draw(rng["a"]["b"]), draw(sj.Rng.seed(3)["a"]["b"]))
    np.testing.assert_array_equal(draw(rng["layer"][0]), draw(rng["layer"]["0"]))


def test_other_paths_seeds_and_steps_give_other_numbers():
    rng = sj.Rng.seed(3)
    drawn = [
        draw(rng),
        draw(rng["a"]),
        draw(rng["b"]),
        draw(rng["a"]["b"]),
        draw(rng["b"]["a"]),
        draw(rng["ab"]),
        draw(rng[0]),
        draw(rng[1]),
        draw(rng.at(0)),
        draw(rng.at(1)),
        draw(rng["a"].at(1)),
        draw(sj.Rng.seed(4)),
        draw(sj.Rng.seed(4)["a"]),
    ]
    assert len({tuple(d) for d in drawn}) == len(drawn)


@given(st.lists(st.text("abcdef/0123", max_size=5), min_size=2, max_size=20, unique=True))
@settings(max_examples=20)
def test_many_names_give_different_keys(names):
    rng = sj.Rng.seed(0)
    keys = {tuple(np.asarray(jax.random.key_data(rng[name].key())).tolist()) for name in names}
    assert len(keys) == len(names)


def test_the_order_of_path_and_step_does_not_matter():
    rng = sj.Rng.seed(0)
    np.testing.assert_array_equal(draw(rng["a"].at(7)), draw(rng.at(7)["a"]))


def test_at_takes_a_traced_step():
    rng = sj.Rng.seed(0)
    one = jax.jit(lambda step: rng["a"].at(step).uniform((6,)))
    np.testing.assert_array_equal(one(5), draw(rng["a"].at(5)))
    _, many = jax.lax.scan(lambda c, step: (c, rng.at(step)["a"].uniform((6,))), 0, jnp.arange(4))
    np.testing.assert_array_equal(many[2], draw(rng.at(2)["a"]))


def test_paths_cost_nothing_until_a_number_is_drawn():
    key = jax.random.key(0)

    def deep(key, depth):
        rng = sj.Rng(key)
        for i in range(depth):
            rng = rng[f"layer{i}"]
        return rng

    assert folds(lambda key: deep(key, 50).base, key) == (0, 0)
    assert folds(lambda key: deep(key, 50).key(), key) == (1, 1)
    assert folds(lambda key: deep(key, 1).key(), key) == (1, 1)
    assert folds(lambda key: sj.Rng(key).key(), key) == (0, 0)


def test_a_model_folds_once_a_draw_whatever_its_depth():
    class Block(sj.Module):
        weight: sj.Array
        rate: float = sj.static(default=0.0)

        def __call__(self, x, rng):
            if self.rate:
                x = jnp.where(rng["dropout"].bernoulli(1 - self.rate, x.shape), x, 0)
            return x * self.weight

    def run(rates):
        blocks = [Block(jnp.ones(()), rate) for rate in rates]

        def apply(rng, x):
            for i, block in enumerate(blocks):
                x = block(x, rng["stack"][i]["block"])
            return x

        return folds(apply, sj.Rng.seed(0), jnp.ones(3))[0]

    assert run([0.0] * 12) == 0
    assert run([0.0, 0.5, 0.0, 0.5]) == 2


def test_rng_is_a_tree_whose_path_is_static():
    rng = sj.Rng.seed(0)["a"]
    leaves, treedef = jax.tree.flatten(rng)
    assert leaves == [rng.base]
    assert treedef.unflatten(leaves).path == "/a"
    traced = []
    draw_it = jax.jit(lambda rng: traced.append(rng.path) or rng.uniform((2,)))
    draw_it(rng)
    draw_it(sj.Rng.seed(1)["a"])
    draw_it(rng["b"])
    assert traced == ["/a", "/a/b"]


def test_vmap_over_keys():
    keys = jax.random.split(jax.random.key(0), 3)
    many = jax.vmap(lambda key: sj.Rng(key)["a"].uniform((4,)))(keys)
    np.testing.assert_array_equal(many[1], sj.Rng(keys[1])["a"].uniform((4,)))


def test_distributions():
    rng = sj.Rng.seed(0)
    u = np.asarray(rng["u"].uniform((20_000,)), np.float64)
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean() == pytest.approx(1 / 2, abs=5 / np.sqrt(12 * 20_000))  # five standard errors
    assert u.var() == pytest.approx(1 / 12, rel=0.05)
    b = np.asarray(rng["b"].bernoulli(0.3, (20_000,)))
    assert b.dtype == bool
    assert b.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 20_000))
    assert rng["u"].uniform((2,), dtype=jnp.bfloat16).dtype == jnp.bfloat16


def test_child_of_no_rng_is_none():
    assert child(None, "a") is None
    assert child(sj.Rng.seed(0), "a").path == "/a"


def test_the_tree_of_another_class_is_another_tree():
    """JAX's own dataclasses of equal fields have equal trees, and would run one another's programs."""

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Lookalike:
        base: jax.Array
        path: str = dataclasses.field(default="", metadata={"static": True})

    rng = sj.Rng.seed(0)["a"]
    assert jax.tree.structure(rng) != jax.tree.structure(Lookalike(rng.base, "/a"))
    assert jax.tree.structure(rng) != jax.tree.structure(sj.Rng.seed(0)["b"])
    assert jax.tree.structure(rng) == jax.tree.structure(sj.Rng.seed(1)["a"])
    assert jax.tree_util.keystr(jax.tree_util.tree_leaves_with_path(rng)[0][0]) == ".base"


def test_no_tree_of_the_package_is_registered_so_that_classes_are_taken_for_one_another():
    source = Path(__import__("spago_jax").__file__).parent
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name not in ("module.py", "rng.py"):  # the one adds the class to the tree, the other says why not
            assert not re.search(r"register_dataclass|struct\.dataclass|\(struct\.PyTreeNode\)", text), path
