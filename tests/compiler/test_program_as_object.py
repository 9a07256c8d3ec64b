"""A Program as a Python object: as a method of a class, copied, and why it is not pickled."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.errors import InputError


def test_a_program_is_a_method_of_its_class():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @sj.compile
        def of(self, x):
            return self.factor * x

    jax.tree_util.register_pytree_node(Scale, lambda s: ((s.factor,), None), lambda _, leaves: Scale(*leaves))
    np.testing.assert_array_equal(Scale(2.0).of(jnp.arange(3.0)), [0, 2, 4])
    np.testing.assert_array_equal(Scale(3.0).of(x=jnp.arange(3.0)), [0, 3, 6])
    np.testing.assert_array_equal(Scale.of(Scale(4.0), jnp.arange(3.0)), [0, 4, 8])
    assert Scale.of.traces == 1


def test_a_program_is_a_method_of_a_module():
    class Affine(sj.Module):
        weight: sj.Array

        @sj.compile
        def apply(self, x):
            return self.weight @ x

    model = Affine(weight=jnp.eye(2) * 2)
    np.testing.assert_array_equal(model.apply(jnp.ones(2)), [2, 2])
    assert list(sj.flat(model)) == ["weight"]


def doubled(x):
    return 2 * x


@pytest.mark.parametrize("make", [sj.compile, lambda f, spec: sj.graph(f, spec)], ids=["program", "graph"])
def test_a_copy_is_the_object_and_a_pickle_is_refused(make):
    made = make(doubled, "f32[2]")
    assert copy.copy(made) is made
    assert copy.deepcopy({"a": made})["a"] is made
    with pytest.raises(InputError, match=r"(Program|Graph) cannot be pickled, .*: pickle the function .*sj\.export"):
        pickle.dumps(made)


def test_a_loaded_program_is_pickled_by_its_folder(tmp_path):
    program = sj.load_program(sj.export(doubled, tmp_path / "p", "f32[n]"))
    again = pickle.loads(pickle.dumps(program))
    np.testing.assert_array_equal(again(np.float32([1, 2])), [2, 4])


@pytest.mark.parametrize("value", [3, 2.5, (2, 3), "mean", True, None])
def test_stabilize_leaves_static_arguments_alone(value):
    """Numbers and tuples that are static are Python's, not traced ones."""
    seen = []

    def f(x, setting=None):
        seen.append(setting)
        return jnp.log(1 + jnp.exp(x)) * (len(range(setting)) if type(setting) is int else 1.0)

    program = sj.compile(f, static="setting", stabilize=True)
    expected = 800.0 * (3 if type(value) is int else 1)
    assert float(program(jnp.float32(800.0), value)) == expected
    assert float(program(jnp.float32(800.0), setting=value)) == expected
    assert set(map(type, seen)) == {type(value)}


def test_stabilize_leaves_several_statics_alone():
    program = sj.compile(
        lambda x, n, *rest, scale=1: jnp.log(1 + jnp.exp(x)) * n * scale + sum(rest),
        static=("n", "scale"),
        stabilize=True,
    )
    assert float(program(jnp.float32(800.0), 2, 1.0, 2.0, scale=3)) == 4803.0
