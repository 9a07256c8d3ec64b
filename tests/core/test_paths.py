"""One naming for all arrays: flat, unflat, roles, patterns."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spago_jax as sj
from spago_jax.core import match_paths, matches
from spago_jax.core.paths import map_named
from spago_jax.errors import InputError


def test_flat_names_arrays_in_the_order_of_the_fields(net, paths):
    assert list(sj.flat(net)) == paths
    assert sj.flat(net)["layers.1.weight"] is net.layers[1].weight


def test_flat_of_plain_trees():
    pair = collections.namedtuple("pair", "left right")
    assert list(sj.flat({"b": 1, "a": [2, pair(3, 4)]})) == [
        "a.0",
        "a.1.left",
        "a.1.right",
        "b",
    ]


def test_flat_refuses_two_arrays_under_one_name():
    with pytest.raises(InputError, match=r"two arrays have the path 'a\.b'; a dict key in a model may not hold a dot"):
        sj.flat({"a": {"b": 1}, "a.b": 2})


def test_unflat_is_the_inverse_of_flat(net):
    again = sj.unflat(net, sj.flat(net))
    assert jax.tree.structure(again) == jax.tree.structure(net)
    assert all(a is b for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(net), strict=True))


def test_unflat_takes_a_skeleton_of_shapes_in_any_order(net):
    skeleton = jax.eval_shape(lambda: net)
    shuffled = dict(reversed(sj.flat(net).items()))
    assert sj.unflat(skeleton, shuffled).layers[0].weight is net.layers[0].weight


def test_unflat_partial_keeps_the_rest(net):
    new = sj.unflat(net, {"first.bias": jnp.ones(3)}, partial=True)
    np.testing.assert_array_equal(new.first.bias, np.ones(3))
    assert new.first.weight is net.first.weight


def test_unflat_errors_name_the_array(net):
    arrays = sj.flat(net)
    with pytest.raises(InputError, match=r"^no array 'first\.wieght' in this model: did you mean 'first\.weight'\?$"):
        sj.unflat(net, {**arrays, "first.wieght": jnp.ones(1)})
    with pytest.raises(InputError, match=r"^no array 'zzzzzz' in this model: known: first\.bias, first\.weight, ids"):
        sj.unflat(net, {**arrays, "zzzzzz": jnp.ones(1)})
    with pytest.raises(InputError, match=r"^array 'norm\.gain' is missing: the model has it with shape \(3,\)$"):
        sj.unflat(net, {path: a for path, a in arrays.items() if path != "norm.gain"})
    with pytest.raises(InputError, match=r"^array 'first\.weight' has shape \(2, 3\), the model expects \(3, 2\)$"):
        sj.unflat(net, {**arrays, "first.weight": arrays["first.weight"].T})
    with pytest.raises(InputError, match=r"^array 'norm\.seen' has shape \(1,\), the model expects \(\)$"):
        sj.unflat(net, {**arrays, "norm.seen": [1]})


def test_roles(net):
    trained, gain, buffer = sj.Role(True, True), sj.Role(True, False), sj.Role(False, False)
    assert sj.roles(net) == {
        "first.weight": trained,
        "first.bias": gain,
        "layers.0.weight": trained,
        "layers.0.bias": gain,
        "layers.1.weight": trained,
        "norm.gain": gain,
        "norm.mean": buffer,
        "norm.seen": buffer,
        "table.shift": trained,
        "ids": buffer,
        "key": buffer,
    }


def test_all_below_a_buffer_is_a_buffer_and_all_below_no_decay_is_not_shrunk(kinds):
    class Holder(sj.Module):
        frozen: sj.Module = sj.buffer()
        light: sj.Module = sj.param(decay=False)

    line = kinds[0](jnp.ones((1, 1)))
    roles = sj.roles(Holder(line, kinds[0](jnp.ones((1, 1)))))
    assert roles == {"frozen.weight": sj.Role(False, False), "light.weight": sj.Role(True, False)}


def test_roles_of_a_tree_that_is_no_module(kinds):
    """A train state is a NamedTuple or a dict of Modules; nodes that JAX flattens without names have no role."""

    class Opaque:
        def __init__(self, inner):
            self.inner = inner

    jax.tree_util.register_pytree_node(Opaque, lambda o: ((o.inner,), None), lambda _, children: Opaque(*children))
    norm = kinds[1](jnp.ones(1), jnp.ones(1), jnp.array(0))
    roles = sj.roles({"a": [norm], "b": Opaque(norm)})
    assert not roles["a.0.mean"].trainable
    assert roles["b.0.mean"].trainable


def test_roles_of_python_numbers():
    assert sj.roles({"a": 1.0, "b": 2}) == {"a": sj.Role(True, True), "b": sj.Role(False, False)}


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("encoder.weight", "encoder.weight", True),
        ("encoder.weight", "encoder", True),
        ("encoder.weight", "enc", False),
        ("encoder.weight", "enc*", True),
        ("encoder.weight", "*.weight", True),
        ("encoder.0.weight", "encoder.?.weight", True),
        ("encoder.0.weight", "encoder.[01].weight", True),
        ("encoder.2.weight", "encoder.[01]", False),
        ("Encoder.weight", "encoder", False),
        ("encoder.weight", "*", True),
        ("encoder.weight", "", False),
    ],
)
def test_patterns(path, pattern, expected):
    assert matches(path, pattern) is expected


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_path_is_matched_by_itself_and_by_each_module_above(parts):
    path = ".".join(parts)
    assert all(matches(path, ".".join(parts[:n])) for n in range(1, len(parts) + 1))
    assert not matches(path, path + "x")


def test_match_paths_takes_one_or_several_and_refuses_what_matches_nothing(net):
    assert match_paths(net, "first") == {"first.weight", "first.bias"}
    assert match_paths(net, ["first", "*.gain"]) == {"first.weight", "first.bias", "norm.gain"}
    assert match_paths(net, []) == set()
    with pytest.raises(InputError, match=r"^pattern 'frist' matches no array of the model: did you mean 'first'\?$"):
        match_paths(net, ["norm", "frist"])
    with pytest.raises(
        InputError, match=r"^pattern 'layers\.3' matches no array of the model: did you mean 'layers\.[01]'"
    ):
        match_paths(net, "layers.3")
    with pytest.raises(InputError, match=r"^rule 'q\*' matches no array of the model: known: first, first\.bias"):
        match_paths(net, "q*", where="rule")


def test_map_named(net, paths):
    seen = []
    out = map_named(lambda path, leaf: seen.append(path) or path, net)
    assert seen == paths
    assert out.layers[1].weight == "layers.1.weight"
