"""Node by node gives what the whole gives, and finds the first value that is no number."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax.compiler.graph import NonFiniteError, graph
from spago_jax.errors import InputError


def same(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), found, expected)


def scans(x):
    def step(carry, x):
        total, count = carry
        return (total + x, count + 1), (total * x, count)

    return jax.lax.scan(step, (jnp.zeros(3), 0), x, reverse=True)


def branches(x):
    one = jax.lax.cond(x.sum() > 0, jnp.sin, lambda x: -x, x)
    return jax.lax.switch(jnp.int32(x[0, 0] * 9), [jnp.cos, lambda x: x * 2, jnp.tanh], one)


def loops(x):
    return jax.lax.while_loop(lambda c: (c[0].sum() < 50.0) & (c[1] < 9), lambda c: (c[0] * 1.5, c[1] + 1), (x, 0))


def nested(x):
    def outer(c, row):
        return jax.lax.fori_loop(0, 3, lambda i, c: c + row * i, c), jnp.where(row > 0, c, 0.0)

    return jax.lax.scan(outer, jnp.ones(3), x)


def randoms(x):
    return jax.random.normal(jax.random.key(3), (2,)) + x[0, :2], jax.nn.relu(jax.nn.log_softmax(x))


@pytest.mark.parametrize("function", [scans, branches, loops, nested, randoms])
def test_the_output_is_that_of_the_function(function):
    x = jnp.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    same(graph(function, x).evaluate(x).output, function(x))


@pytest.mark.parametrize("function", [scans, branches, nested])
def test_gradients_run_node_by_node(function):
    x = jnp.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])

    def total(x):
        return sum(leaf.astype("float32").sum() for leaf in jax.tree.leaves(function(x)))

    same(graph(total, x).gradient().evaluate(x).output["x"], jax.grad(total)(x))


def test_a_scan_over_nothing():
    x = jnp.zeros((0, 3))
    same(graph(scans, x).evaluate(x).output, scans(x))


def test_the_tagger_runs_node_by_node(tagger):
    draw = np.random.default_rng(0)

    def fill(struct):
        if jnp.issubdtype(struct.dtype, jnp.floating):
            return jnp.asarray(draw.normal(0, 0.3, struct.shape), struct.dtype)
        return jnp.asarray(draw.integers(1, 8, struct.shape), struct.dtype)

    arguments = jax.tree.map(fill, tagger.structs())
    found = tagger.evaluate(*arguments, watch="crf", check="nan")
    np.testing.assert_array_equal(found.output, tagger(*arguments))
    assert {seen.node.group[:2] for seen in found.seen} == {("Tagger", "crf")}
    assert max(seen.iterations for seen in found.seen) == (23,)


# -- watching --------------------------------------------------------------------------------------------------------


class Layer(sj.Module):
    weight: sj.Array

    def __call__(self, x):
        return jnp.tanh(self.weight * x)


class Model(sj.Module):
    first: Layer
    second: Layer

    def __call__(self, x):
        return self.second(self.first(x))


def model():
    return Model(Layer(jnp.float32(2.0)), Layer(jnp.float32(3.0)))


def test_watch_by_number_operation_module_and_input():
    found = graph(lambda m, x: m(x), model(), "f32[2]")
    x = jnp.array([0.1, 0.2])
    first = jnp.tanh(2.0 * x)

    def values(watch):
        return [seen.value for seen in found.evaluate(model(), x, watch=watch).seen]

    assert [node.operation for node in found.nodes] == ["parameter", "parameter", "input", "mul", "tanh", "mul", "tanh"]
    same(values(4), [first])
    same(values("tanh"), [first, jnp.tanh(3.0 * first)])
    same(values("first"), [2.0 * x, first])
    same(values("Model.second"), [3.0 * first, jnp.tanh(3.0 * first)])
    same(values("second.m*"), [3.0 * first])
    same(values(["x", "m.first"]), [jnp.float32(2.0), x])
    same(values(["m.first.weight", 3]), [jnp.float32(2.0), 2.0 * x])
    same(found.evaluate(model(), x, watch=[3, 4])[4], [first])


def test_watched_values_of_loops_come_once_an_iteration():
    x = jnp.arange(6.0).reshape(2, 3)
    found = graph(lambda x: jax.lax.scan(lambda c, r: (c + r, jnp.exp(c)), jnp.zeros(3), x), x).evaluate(x, watch="exp")
    assert [seen.iterations for seen in found.seen] == [(0,), (1,)]
    same([seen.value for seen in found.seen], [jnp.ones(3), jnp.exp(x[0])])
    assert str(found).splitlines()[1] == f"{found.seen[0].node.number}[1] exp: f32[3] from 1 to 7.38906"
    last = graph(lambda x: jax.lax.fori_loop(0, 50, lambda i, x: x + 1, x), x).evaluate(x, watch="add", limit=4)
    assert len(last.seen) == 4
    assert last.seen[-1].iterations == (49,)


def test_bad_requests():
    found = graph(lambda m, x: m(x), model(), "f32[2]", name="net")
    x = jnp.ones(2)
    cases = [
        (dict(watch="secnd"), "net: watch: nothing is called 'secnd': did you mean 'second'?"),
        (dict(watch=99), "net: watch: there is no node 99; they go from 0 to 6"),
        (dict(check="nans"), "net: check is 'nans': did you mean 'nan'?"),
        (dict(limit=0), "net: limit is 0; keep at least one value"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=re.escape(message)):
            found.evaluate(model(), x, **options)
    with pytest.raises(InputError, match=re.escape("net: x is float32[3], but this graph was traced for float32[2]")):
        found.evaluate(model(), jnp.ones(3))
    with pytest.raises(InputError, match="node 4 was not watched"):
        found.evaluate(model(), x)[4]


# -- what is no number -----------------------------------------------------------------------------------------------


class Root(sj.Module):
    def __call__(self, x):
        return jnp.sqrt(x - 2.0)


class Outer(sj.Module):
    root: Root

    def __call__(self, x):
        return self.root(x).sum()


def line_of(function, text):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if text in line)


def test_the_error_names_node_module_line_and_ranges():
    found = graph(lambda model, x: model(x), Outer(Root()), "f32[4]", name="loss")
    with pytest.raises(NonFiniteError) as caught:
        found.evaluate(Outer(Root()), jnp.array([1.0, 2.0, 3.0, 1.5]), check="nan")
    line = line_of(Root.__call__, "jnp.sqrt")
    assert str(caught.value) == (
        f"loss: node 2, sqrt, made 2 NaN of 4 values in Outer.root at {__file__}:{line} (Root.__call__)\n"
        "  it was given node 1 (sub 2): f32[4] from -1 to 1"
    )
    assert caught.value.node.number == 2
    same(caught.value.given, (jnp.array([-1.0, 0.0, 1.0, -0.5]),))


def test_the_iteration_of_each_loop_is_named():
    def run(x):
        def outer(c, row):
            return jax.lax.fori_loop(0, 4, lambda i, c: c + 1.0 / (row - i), c), c

        return jax.lax.scan(outer, jnp.float32(0.0), x)

    with pytest.raises(NonFiniteError) as caught:
        graph(run, "f32[3]", name="run").evaluate(jnp.array([9.0, 2.0, 9.0]), check="finite")
    message = str(caught.value).splitlines()[0]
    assert "made 1 infinite of 1 value at " in message
    assert message.endswith(", in iteration 2 of scan × 4, in iteration 1 of scan × 3")
    assert caught.value.iterations == (1, 2)
    assert caught.value.node.operation == "div"


def test_while_loops_and_branches_are_gone_into():
    def run(x):
        def body(c):
            return jax.lax.cond(c > 3, lambda c: jnp.log(c - 10.0), lambda c: c + 1, c)

        return jax.lax.while_loop(lambda c: c < 5, body, x)

    with pytest.raises(NonFiniteError) as caught:
        graph(run, "f32[]", name="run").evaluate(jnp.float32(0.5), check="nan")
    assert caught.value.node.operation == "log"
    assert str(caught.value).splitlines()[0].endswith("in iteration 3 of while")
    assert "(sub 10): f32 -6.5" in str(caught.value)


def test_an_input_is_named_as_such():
    found = graph(lambda m, x: m(x), model(), "f32[2]", name="net")
    broken = model().replace(first=Layer(jnp.float32(jnp.nan)))
    with pytest.raises(NonFiniteError, match=r"^net: input m\.first\.weight holds 1 NaN of 1 value$"):
        found.evaluate(broken, jnp.ones(2), check="nan")
    with pytest.raises(NonFiniteError, match=r"^net: input x holds 1 infinite of 2 values$"):
        found.evaluate(model(), jnp.array([1.0, -jnp.inf]), check="inf")


def test_what_the_checks_let_pass():
    found = graph(lambda x: jnp.where(x > 0, x, -jnp.inf).max(), "f32[3]")
    x = jnp.array([1.0, -1.0, 2.0])
    assert float(found.evaluate(x, check="nan").output) == 2.0
    assert float(found.evaluate(x).output) == 2.0
    with pytest.raises(NonFiniteError, match=r"made 1 infinite of 1 value .*\n  it was given the number -inf$"):
        found.evaluate(x, check="inf")
    nan = graph(lambda x: x / x, "f32[1]")
    nan.evaluate(jnp.zeros(1), check="inf")
    with pytest.raises(NonFiniteError, match="it was given node 0 \\(input x\\): f32\\[1\\] 0"):
        nan.evaluate(jnp.zeros(1), check="finite")


def test_infinite_inputs_of_the_operation_are_counted():
    found = graph(lambda x: jnp.exp(x) - jnp.exp(x), "f32[2]")
    with pytest.raises(NonFiniteError, match=r"\(exp\): f32\[2\] from 2\.71828 to 2\.71828, with 1 infinite"):
        found.evaluate(jnp.array([1.0, 100.0]), check="nan")


def test_half_precision_is_checked():
    found = graph(lambda x: x * x, "bf16[2]")
    with pytest.raises(NonFiniteError, match="made 1 infinite of 2 values"):
        found.evaluate(jnp.array([1.0, 1e30], jnp.bfloat16), check="finite")
