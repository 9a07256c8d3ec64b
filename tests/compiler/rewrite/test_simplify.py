"""Oracle: the unsimplified program run operation by operation, bit for bit; ``jax.grad`` for derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from spago_jax.compiler import jaxprs
from spago_jax.compiler.graph import graph
from spago_jax.compiler.rewrite import REFUSED, operation_count, simplify, table
from spago_jax.core import flat

SMALLEST = np.finfo(np.float32).tiny


def one_by_one(closed, inputs):
    """The outputs of a program without any fusion, and without calls, which XLA would compile as a whole."""

    def rule(eqn, given):
        body = jaxprs.call_body(eqn)
        return None if body is None else jaxprs.run(body, given, rule)

    return [np.asarray(output) for output in jaxprs.run(closed, inputs, rule)]


def bits(array):
    """An array to be compared bit for bit: denormals as zeros of their sign (the CPU flushes them), any nan as nan."""
    if array.dtype != np.float32:
        return array
    array = np.where(np.abs(array) < SMALLEST, np.copysign(np.float32(0), array), array)
    return np.where(np.isnan(array), np.float32(np.nan), array).view(np.int32)


def assert_same(one, other, inputs):
    for a, b in zip(one_by_one(one, inputs), one_by_one(other, inputs), strict=True):
        np.testing.assert_array_equal(bits(a), bits(b))


UNARY = [
    jnp.negative, jnp.exp, jnp.tanh, jnp.abs, jnp.square, lambda x: x.T, lambda x: x.reshape(2, 3), jax.nn.sigmoid,
    lambda x: x.reshape(3, 2).reshape(2, 3), lambda x: x**1,
    lambda x: x.astype(jnp.bfloat16).astype(jnp.float32).astype(jnp.bfloat16),
    lambda x: lax.rev(x, (0,)), lambda x: x[:, :], lambda x: jnp.broadcast_to(x, (2, 3)), jax.nn.softplus,
    lambda x: jnp.sin(jnp.float32(2.0)) * x, lambda x: jnp.where(True, x, 0.0), lambda x: jnp.cumsum(x, 0),
    lambda x: lax.scan(lambda c, r: (c * 1 + r, jnp.negative(-c)), x[0], x)[1], lambda x: lax.stop_gradient(x),
    lambda x: lax.cond(x[0, 0] > 0, lambda y: y * 1.0, lambda y: y - 0.0, x),
    lambda x: lax.fori_loop(0, 2, lambda i, y: y / 1.0 + jnp.tanh(y) - jnp.tanh(y), x),
]  # fmt: skip
BINARY = [
    jnp.add,
    jnp.subtract,
    jnp.multiply,
    jnp.divide,
    jnp.maximum,
    jnp.minimum,
    lambda x, y: jnp.where(x > y, x, y),
]
CONSTANTS = [0.0, -0.0, 1.0, -1.0, 2.0, np.inf, np.nan]
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -3.25, np.inf, -np.inf, np.nan, 1e30, -1e-30, 3.0])


def fitted(x):
    return x if x.shape == (2, 3) else jnp.reshape(x, (2, 3))


@st.composite
def programs(draw):
    """A random program of matrices: operations on what is there already, on constants, and again on the same."""
    steps = draw(
        st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=9)
    )

    def program(x, y):
        values = [x, y]
        for kind, left, right in steps:
            a, b = values[left % len(values)], values[right % len(values)]
            choice = kind % (len(UNARY) + 2 * len(BINARY) + len(BINARY))
            if choice < len(UNARY):
                new = UNARY[choice](a)
            elif choice < len(UNARY) + 2 * len(BINARY):
                new = BINARY[(choice - len(UNARY)) % len(BINARY)](a, b)
            else:
                constant = jnp.float32(CONSTANTS[right % len(CONSTANTS)])
                operands = (a, constant) if left % 2 else (constant, a)
                new = BINARY[(choice - len(UNARY)) % len(BINARY)](*operands)
            values.append(fitted(new).astype(jnp.float32))
        return values[-1], values[-1].sum()

    return program


def matrices():
    return st.lists(NUMBERS, min_size=6, max_size=6).map(lambda v: np.array(v, np.float32).reshape(2, 3))


@settings(max_examples=60)
@given(programs(), matrices(), matrices())
def test_random_programs_keep_every_bit(program, x, y):
    made = graph(program, x, y)
    simple = made.simplify()
    assert_same(made.jaxpr, simple.jaxpr, [x, y])
    assert operation_count(simple.jaxpr) <= operation_count(made.jaxpr)
    assert simplify(simple.jaxpr).rewrites == ()  # a fixed point


@settings(max_examples=25)
@given(programs(), matrices(), matrices())
def test_random_gradient_graphs_keep_every_bit(program, x, y):
    gradient = graph(lambda x, y: program(x, y)[1], x, y).gradient()
    assert_same(gradient.jaxpr, gradient.simplify().jaxpr, [x, y])


def x3():
    return np.array([1.5, -0.0, -2.0], np.float32)


TAKEN = {
    "x + -0.0": lambda x: x + jnp.float32(-0.0),
    "exp(x) + 0": lambda x: jnp.exp(x) + 0,
    "x * x + 0": lambda x: jnp.tanh(x) * jnp.tanh(x) + 0.0,
    "x - 0": lambda x: x - 0,
    "x * 1": lambda x: x * 1,
    "1 * x": lambda x: 1 * x,
    "x * ones": lambda x: x * jnp.ones(3),
    "x / 1": lambda x: x / 1,
    "x * -1": lambda x: x * -1,
    "-(-x)": lambda x: jnp.negative(-x),
    "x - -y": lambda x: x - (-jnp.sin(x)),
    "x + -y": lambda x: x + (-jnp.sin(x)),
    "-x * -y": lambda x: (-x) * (-jnp.sin(x)),
    "x ** 1": lambda x: x**1,
    "x ** 1.0": lambda x: lax.pow(x, jnp.float32(1)),
    "max(x, x)": lambda x: jnp.maximum(x, x),
    "abs(abs(x))": lambda x: abs(abs(x)),
    "select true": lambda x: lax.select(jnp.ones(3, bool), x, jnp.sin(x)),
    "select equal": lambda x: jnp.where(x > 0, jnp.sin(x), jnp.sin(x)),
    "select not": lambda x: jnp.where(~(x > 0), x, -x),
    "reshapes": lambda x: x.reshape(3, 1).reshape(1, 3).reshape(3),
    "transposes": lambda x: jnp.tile(x, (2, 1)).T.T,
    "broadcasts": lambda x: jnp.broadcast_to(jnp.broadcast_to(x, (2, 3)), (4, 2, 3)),
    "there and back": lambda x: x.astype(jnp.bfloat16).astype(jnp.float32).astype(jnp.bfloat16),
    "whole slice": lambda x: lax.slice(x, (0,), (3,)),
    "rev rev": lambda x: lax.rev(lax.rev(x, (0,)), (0,)),
    "pad by nothing": lambda x: lax.pad(x, jnp.float32(0), [(0, 0, 0)]),
    "integers": lambda x: x + (jnp.arange(3) * 0 + (jnp.arange(3) - jnp.arange(3))),
    "integer x == x": lambda x: jnp.where(jnp.argsort(x) == jnp.argsort(x), x, 0),
}


@pytest.mark.parametrize("name", TAKEN)
def test_identities_that_are_taken(name):
    x = x3()
    made = graph(TAKEN[name], x)
    done = simplify(made.jaxpr)
    assert done.rewrites
    assert_same(made.jaxpr, done.closed, [x])


# identity -> a program and an input for which the two sides differ
WITNESS = {
    "x + 0.0 = x": (lambda x: x + 0.0, -0.0),
    "x * 0 = 0": (lambda x: x * 0, np.inf),
    "x - x = 0": (lambda x: x - x, np.inf),
    "x / x = 1": (lambda x: x / x, 0.0),
    "0 / x = 0": (lambda x: 0 / x, 0.0),
    "-(x - y) = y - x": (lambda x: -(x - jnp.float32(1)), 1.0),
    "(x + y) + z = x + (y + z)": (lambda x: (x + 1.0) + 1e8, 3.0),
    "x * y + x * z = x * (y + z)": (lambda x: x * 0.1 + x * 0.7, 3.3),
    "x * (1 / y) = x / y": (lambda x: x * (1 / jnp.sin(x)), 3.3),
    "x ** 2.0 = x * x": (lambda x: lax.pow(x, jnp.float32(2)), 3.3),
    "x ** 0.5 = sqrt(x)": (lambda x: lax.pow(x, jnp.float32(0.5)), 3.3),
    "sqrt(x) * sqrt(x) = x": (lambda x: jnp.sqrt(x) * jnp.sqrt(x), -1.0),
    "exp(log(x)) = x, log(exp(x)) = x": (lambda x: jnp.log(jnp.exp(x)), 800.0),
    "x == x is true": (lambda x: x == x, np.nan),
    "abs(-x) = abs(x)": (lambda x: abs(-x), 0.0),
    "max(x, -inf) = x": (lambda x: jnp.maximum(x, -jnp.inf), np.nan),
}


@pytest.mark.parametrize("name", REFUSED)
def test_identities_that_are_refused(name):
    program, x = WITNESS[name]
    made = graph(program, np.float32(x))
    assert not [r for r in simplify(made.jaxpr).rewrites if r.rule not in ("constant folding", "common sub-expression")]


def test_report_names_rule_line_and_counts():
    def f(x):
        unused = jnp.cos(x)  # noqa: F841
        return jnp.exp(x) * 1 + jnp.exp(x)

    made = graph(f, x3())
    rewrites = made.simplify().rewrites
    assert [(r.rule, r.before, r.after) for r in rewrites] == [
        ("dead code", "cos(x)", ""),
        ("x * 1", "exp(x) * 1", "exp(x)"),
        ("common sub-expression", "exp(x)", "computed before"),
        ("simplify", "5 operations", "2 operations"),
    ]
    assert "test_simplify.py" in rewrites[0].place.file
    assert rewrites[1].place.line == rewrites[0].place.line + 1
    assert "exp(x) * 1 -> exp(x)" in table(rewrites)


def test_bodies_of_loops_and_branches_are_simplified():
    ones = jnp.ones(3)

    def step(c, x):
        return c * ones + jnp.tanh(x) + jnp.tanh(x), (x, jnp.cos(x))

    def f(x):
        c, (y, _) = lax.scan(step, x, jnp.stack([x, x]))
        c = lax.while_loop(lambda v: (v * 1).sum() < 100, lambda v: jnp.negative(-v) + 10, c)
        return lax.cond(c[0] > 0, lambda v: v / 1, lambda v: v.T.T * 1, c) + y[0]

    made = graph(f, x3())
    done = simplify(made.jaxpr)
    assert {r.rule for r in done.rewrites} >= {"x * 1", "common sub-expression", "x / 1", "-(-x)"}
    assert " cos " not in str(done.closed)  # the output that nobody reads
    np.testing.assert_array_equal(jax.jit(made)(x3()), jax.jit(made.with_jaxpr(done.closed))(x3()))


def test_small_constants_are_folded_and_large_ones_are_not():
    small = simplify(graph(lambda x: x + jnp.sqrt(jnp.float32(2)) * jnp.float32(3), x3()).jaxpr)
    assert small.after == 1
    large = simplify(graph(lambda x: x + jnp.cumsum(jnp.ones(1000)).sum(), x3()).jaxpr)
    assert all(np.size(const) <= 64 for const in large.closed.consts)
    assert "cumsum" in str(large.closed)


def test_effects_stay_and_keys_are_shared_only_where_they_are_equal():
    seen = []

    def f(x, key):
        jax.debug.callback(lambda v: seen.append(float(v)), x[0] * 1)
        jax.debug.callback(lambda v: seen.append(float(v)), x[0] * 1)
        one, two = jax.random.split(key)
        return jax.random.normal(one, (3,)) + jax.random.normal(one, (3,)) - jax.random.normal(two, (3,))

    key = jax.random.key(0)
    made = graph(f, x3(), key)
    simple = made.simplify()
    np.testing.assert_array_equal(jax.jit(made)(x3(), key), jax.jit(simple)(x3(), key))
    jax.effects_barrier()
    assert seen == [1.5] * 4
    assert str(simple.jaxpr).count("random_bits") == 2  # of three: two were of one key


def test_gradients_of_functions_with_their_own_derivative_stay():
    @jax.custom_jvp
    def f(x):
        return x * 1

    f.defjvp(lambda p, t: (f(p[0]), 7 * t[0]))
    simple = graph(lambda x: f(x).sum() * 1, x3()).simplify()
    assert jax.grad(simple)(x3()).tolist() == [7, 7, 7]
    stopped = graph(lambda x: (lax.stop_gradient(x) * x).sum(), x3()).simplify()
    np.testing.assert_array_equal(jax.grad(stopped)(x3()), x3())


def test_models_keep_every_bit(model_loss):
    loss, args = model_loss
    made = graph(loss, *args)
    simple = made.simplify()
    assert simple.jaxpr is not made.jaxpr
    assert operation_count(simple.jaxpr) < operation_count(made.jaxpr)
    leaves = jax.tree.leaves(args)
    np.testing.assert_array_equal(one_by_one(made.jaxpr, leaves), one_by_one(simple.jaxpr, leaves))


def test_gradient_graphs_equal_jax_grad_and_stay_equal_when_simplified(model_loss):
    loss, args = model_loss
    gradient = graph(loss, *args).gradient()
    whole = jax.jit(jax.grad(loss, allow_int=True))(*args)
    wanted = {f"model.{path}": value for path, value in flat(whole).items()}
    assert {path for path in gradient.outputs if path.startswith("model.")} <= set(wanted)
    simple = gradient.simplify()
    assert operation_count(simple.jaxpr) < operation_count(gradient.jaxpr)
    leaves = jax.tree.leaves(args)
    for a, b in zip(one_by_one(gradient.jaxpr, leaves), one_by_one(simple.jaxpr, leaves), strict=True):
        np.testing.assert_array_equal(bits(a), bits(b))
    compared = 0
    for path, found in jax.jit(simple)(*args).items():
        if path in wanted:
            np.testing.assert_allclose(found, wanted[path], rtol=2e-5, atol=1e-7)
            compared += 1
    assert compared >= 3


def test_the_gradient_of_a_simplified_graph_is_that_of_the_original(model_loss):
    """Up to rounding: cotangents of a value that was computed twice are added before they are multiplied on."""
    loss, args = model_loss
    made = graph(loss, *args)
    found, wanted = jax.jit(made.simplify().gradient())(*args), jax.jit(made.gradient())(*args)
    for path in wanted:
        np.testing.assert_allclose(found[path], wanted[path], rtol=2e-5, atol=1e-7)
