# SPDX-License-Identifier: BSD-2-Clause
"""Running and rewriting traced programs. Oracle: the function itself, run by JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.compiler import jaxprs


def loops(x):
    def body(carry, y):
        return carry * 0.5 + y, jax.lax.cond(y > 0, jnp.sin, jnp.cos, y)

    last, ys = jax.lax.scan(body, 0.0, x)
    n = jax.lax.while_loop(lambda v: v < 10.0, lambda v: v * 2.0 + 1.0, jnp.abs(last))
    return jax.nn.softplus(ys) * n, jax.nn.relu(x), jax.nn.logsumexp(x)


FUNCTIONS = {
    "loops": loops,
    "custom derivative": lambda x: jax.nn.silu(x) + jax.nn.gelu(x),
    "checkpoint": jax.checkpoint(lambda x: jnp.sin(jnp.exp(-x))),
    "gradient": jax.grad(lambda x: jax.nn.logsumexp(jax.nn.softplus(x))),
    "captured constant": lambda x: x + jnp.asarray(np.arange(4.0, dtype=np.float32)),
    "random": lambda x: jax.random.normal(jax.random.key(0), x.shape) + x,
    "vmap of scan": jax.vmap(lambda v: jax.lax.scan(lambda c, _: (c * v, c), 1.0, None, length=3)[1]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", ["as it is", "inlined", "inlined to the bottom"])
def test_running_a_jaxpr_gives_what_the_function_gives(name, form):
    function, x = FUNCTIONS[name], jnp.array([0.5, -1.0, 2.0, 0.1])
    closed, shape = jaxprs.trace(function, x)
    if form != "as it is":
        deep = form == "inlined to the bottom"
        closed = jaxprs.inline(closed, custom=deep, remat=deep)
        names = {eqn.primitive.name for eqn in closed.jaxpr.eqns}
        assert not names & {"jit", "pjit"}
        if deep:
            assert not names & {"custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"}
    found = jax.tree.unflatten(jax.tree.structure(shape), jaxprs.run(closed, [x]))
    for mine, expected in zip(jax.tree.leaves(found), jax.tree.leaves(function(x)), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["loops", "custom derivative", "checkpoint", "captured constant"])
def test_a_jaxpr_is_differentiated_as_the_function_is(name):
    function, x = FUNCTIONS[name], jnp.array([0.5, -1.0, 2.0, 0.1])
    if name == "loops":  # reverse mode does not go through a while loop
        function = lambda x: (jax.nn.softplus(x) * jax.nn.relu(x), jax.nn.logsumexp(x))  # noqa: E731
    closed = jaxprs.inline(jaxprs.trace(function, x)[0])

    def total(f):
        return lambda v: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(f(v)))

    found = jax.grad(total(lambda v: jaxprs.run(closed, [v])))(x)
    np.testing.assert_allclose(found, jax.grad(total(function))(x), rtol=1e-6)


def test_a_rule_replaces_operations():
    closed, _ = jaxprs.trace(lambda x: jnp.sin(x) + jnp.cos(x), jnp.ones(2))

    def rule(eqn, given):
        return [given[0] * 2.0] if eqn.primitive.name == "sin" else None

    new = jaxprs.retrace(closed, rule)
    assert [eqn.primitive.name for eqn in new.jaxpr.eqns] == ["mul", "cos", "add"]
    np.testing.assert_allclose(jaxprs.run(new, [jnp.ones(2)])[0], 2.0 + np.cos(np.ones(2)), rtol=1e-6)


def test_bodies_of_loops_and_branches():
    closed, _ = jaxprs.trace(loops, jnp.ones(4))
    names = {eqn.primitive.name: set(jaxprs.subprograms(eqn)) for eqn in closed.jaxpr.eqns}
    assert names["while"] == {"cond_jaxpr", "body_jaxpr"}
    assert names["scan"] == {"jaxpr"}


def test_what_is_not_used():
    def function(x):
        _ = jnp.sin(x)
        return jnp.cos(x)

    closed, _ = jaxprs.trace(function, jnp.ones(2))
    assert [closed.jaxpr.eqns[i].primitive.name for i in sorted(jaxprs.used_equations(closed))] == ["cos"]


def test_constants_are_read_by_value():
    closed, _ = jaxprs.trace(lambda x: x * 2.0 + np.array([1.0, 2.0], np.float32), jnp.ones(2))
    consts = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    found = [jaxprs.constant(atom, consts) for eqn in closed.jaxpr.eqns for atom in eqn.invars]
    values = [v.tolist() for v in found if v is not None]
    assert 2.0 in values
    assert [1.0, 2.0] in values


def test_a_place_in_a_notebook_has_no_temporary_name():
    code = compile("def cell(x):\n    return x + 1\n", "/tmp/ipykernel_4711/2247696637.py", "exec")
    names = {}
    exec(code, names)
    (eqn,) = jax.make_jaxpr(names["cell"])(1.0).eqns
    assert str(jaxprs.place(eqn)) == "<cell>:2 (cell)"
