"""JAX's own transforms, and optax, work on a Module as they are; its repr is short."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import spago_jax as sj


def test_jit_traces_once_and_again_for_other_static_fields(kinds):
    line_type, _, _ = kinds
    traced = []

    @jax.jit
    def apply(line, x):
        traced.append(line.activation)
        return line(x)

    line, x = line_type(jnp.ones((2, 3))), jnp.ones(3)
    expected = np.tanh(np.full(2, 3.0))
    for _ in range(3):
        np.testing.assert_allclose(apply(line, x), expected, rtol=1e-6)
    np.testing.assert_allclose(apply(line.replace(activation="identity"), x), np.full(2, 3.0))
    assert traced == ["tanh", "identity"]


def test_vmap_over_inputs_and_over_models(net):
    x = jax.random.normal(jax.random.key(1), (4, 2))
    np.testing.assert_allclose(jax.vmap(net)(x), net(x), rtol=1e-5)
    floats, rest = sj.partition(net)
    stacked = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), floats)
    both = jax.vmap(lambda floats: sj.combine(floats, rest)(x))(stacked)
    np.testing.assert_allclose(both[0], net(x), rtol=1e-5)
    assert both.shape == (2, 4, 3)


def test_vmap_takes_a_module_of_axes(kinds):
    line_type, _, _ = kinds
    lines = line_type(jnp.stack([jnp.ones((2, 3)), jnp.zeros((2, 3))]), jnp.array([1.0, 2.0]))
    axes = line_type(0, None)  # type: ignore[arg-type]
    out = jax.vmap(lambda line, x: line(x), in_axes=(axes, None))(lines, jnp.ones(3))
    np.testing.assert_allclose(out, np.tanh([[4.0, 5.0], [1.0, 2.0]]), rtol=1e-6)


def test_scan_over_stacked_modules_is_the_loop(kinds):
    line_type, _, _ = kinds
    weights = jax.random.normal(jax.random.key(0), (5, 3, 3))
    stacked = line_type(weights, jnp.zeros((5, 3)))
    x = jnp.ones(3)
    h, _ = jax.lax.scan(lambda h, line: (line(h), None), x, stacked)
    for i in range(5):
        x = line_type(weights[i], jnp.zeros(3))(x)
    np.testing.assert_allclose(h, x, rtol=1e-5)


def test_a_module_is_a_carry_and_a_result(kinds):
    line_type, _, _ = kinds
    line = line_type(jnp.ones((2, 2)), jnp.zeros(2))
    out, _ = jax.lax.scan(lambda m, _: (jax.tree.map(lambda a: a + 1, m), None), line, None, length=3)
    assert isinstance(out, line_type)
    np.testing.assert_array_equal(out.weight, np.full((2, 2), 4.0))
    cond = jax.lax.cond(True, lambda m: m, lambda m: jax.tree.map(jnp.zeros_like, m), line)
    np.testing.assert_array_equal(cond.weight, line.weight)


def test_grad_is_a_module(kinds):
    line_type, _, _ = kinds
    line = line_type(jnp.array([[1.0, 2.0]]), jnp.array([3.0]), "identity")
    grads = jax.grad(lambda line: line(jnp.array([5.0, 7.0])).sum())(line)
    assert isinstance(grads, line_type)
    assert grads.activation == "identity"
    np.testing.assert_array_equal(grads.weight, [[5.0, 7.0]])


def test_tree_map_none_and_eval_shape(net, kinds):
    assert jax.tree.leaves(jax.tree.map(lambda _: None, net)) == []
    shapes = jax.eval_shape(lambda: net)
    assert isinstance(shapes, kinds[2])
    assert shapes.first.weight.shape == (3, 2)
    assert sj.summary(shapes) == sj.summary(net)
    assert repr(shapes) == repr(net)


def test_donate_and_device_put(kinds):
    line = kinds[0](jnp.ones((2, 2)))
    moved = jax.device_put(line, jax.devices()[0])
    assert isinstance(jax.block_until_ready(moved), kinds[0])
    jax.jit(lambda m: jax.tree.map(lambda a: a + 1, m), donate_argnums=0)(line)
    assert line.weight.is_deleted()


def test_repr_is_a_line_a_module(net):
    assert repr(net) == (
        "Net(\n"
        "  first=Line(weight=float32[3, 2], bias=float32[3], activation='tanh'),\n"
        "  layers=(\n"
        "    Line(weight=float32[3, 3], bias=float32[3], activation='tanh'),\n"
        "    Line(weight=float32[3, 3], bias=None, activation='tanh'),\n"
        "  ),\n"
        "  norm=Norm(gain=float32[3], mean=float32[3], seen=int32[]),\n"
        "  table={'shift': float32[5]},\n"
        "  ids=int32[3],\n"
        "  key=key<fry>[],\n"
        ")"
    )


def test_repr_of_a_dict_and_a_list_of_modules(kinds):
    class Bag(sj.Module):
        parts: dict[str, sj.Module]
        more: list[sj.Module]

    line = kinds[0](jnp.ones((1, 1)), activation="identity")
    assert repr(Bag({"a": line}, [line])) == (
        "Bag(\n"
        "  parts={\n"
        "    'a': Line(weight=float32[1, 1], bias=None, activation='identity'),\n"
        "  },\n"
        "  more=[\n"
        "    Line(weight=float32[1, 1], bias=None, activation='identity'),\n"
        "  ],\n"
        ")"
    )


def test_repr_while_tracing_and_of_labels(kinds):
    texts = []
    line = kinds[0](jnp.ones((2, 3)))
    jax.make_jaxpr(lambda m: texts.append(repr(m)) or m(jnp.ones(3)))(line)
    assert texts == ["Line(weight=float32[2, 3], bias=None, activation='tanh')"]
    assert repr(jax.tree.map(lambda _: "x", line)) == "Line(weight='x', bias=None, activation='tanh')"


def test_optax_would_call_a_tree_of_labels_so_labels_is_a_function(net):
    params, _ = sj.partition(net)
    transforms = {"fast": optax.sgd(1.0), "slow": optax.sgd(0.1), "off": optax.set_to_zero()}
    by_path = sj.labels(params, [("layers.1", "off"), ("layers.*", "fast")], default="slow")
    optimizer = optax.multi_transform(transforms, by_path)
    grads = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    assert {path: round(float(u.ravel()[0]), 3) for path, u in sj.flat(updates).items()} == {
        "first.weight": -0.1,
        "first.bias": -0.1,
        "layers.0.weight": -1.0,
        "layers.0.bias": -1.0,
        "layers.1.weight": 0.0,
        "norm.gain": -0.1,
        "table.shift": -0.1,
    }
    tree = by_path(params)
    assert callable(tree)  # the trap: this tree given to optax itself is called with the parameters
    with pytest.raises(AttributeError, match="'str' object has no attribute 'T'"):
        optax.multi_transform(transforms, tree).init(params)


def test_optax_mask_by_role(net):
    """Weight decay passes over biases, gains and buffers."""
    params, _ = sj.partition(net)
    decay = optax.add_decayed_weights(1.0, mask=lambda tree: _decays(tree, net))
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = decay.update(zeros, decay.init(params), params)
    shrunk = {path for path, u in sj.flat(updates).items() if bool((u != 0).any())}
    assert shrunk == {"first.weight", "layers.0.weight", "layers.1.weight", "table.shift"}


def _decays(tree, net):
    roles = sj.roles(net)
    names = list(sj.flat(tree))
    return jax.tree.unflatten(jax.tree.structure(tree), [roles[name].decay for name in names])


def test_classes_of_the_same_fields_have_tree_structures_of_their_own():
    """JAX compares dataclasses by their static values alone; a jitted function would run the wrong program."""

    class Plus(sj.Module):
        x: sj.Array

    class Minus(sj.Module):
        x: sj.Array

    class Times(Plus):
        pass

    trees = [jax.tree.structure(cls(x=jnp.ones(2))) for cls in (Plus, Minus, Times)]
    assert trees[0] == jax.tree.structure(Plus(x=jnp.zeros(3)))
    assert trees[0] != trees[1]
    assert trees[0] != trees[2]
    assert [field.name for field in dataclasses.fields(Times)] == ["x"]
    assert repr(jax.tree.map(lambda x: x + 1, Minus(x=jnp.ones(2)))) == "Minus(x=float32[2])"
