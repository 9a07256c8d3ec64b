"""Oracle: the same formulas in jax.numpy and ``jax.grad``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.compiler import symbolic as sym
from spago_jax.compiler.graph import Graph
from spago_jax.compiler.program import Program
from spago_jax.compiler.symbolic import Expressions
from spago_jax.compiler.symbolic.node import OPERATIONS
from spago_jax.errors import InputError

UNARY = {
    "abs": jnp.abs, "sign": jnp.sign, "ceil": jnp.ceil, "floor": jnp.floor, "sin": jnp.sin, "cos": jnp.cos,
    "exp": jnp.exp, "log": jnp.log, "log2": jnp.log2, "neg": jnp.negative, "square": jnp.square, "sqrt": jnp.sqrt,
    "inverse": lambda x: 1 / x, "inverse_sqrt": lambda x: 1 / jnp.sqrt(x), "cube": lambda x: x**3, "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid, "log1p": jnp.log1p, "expm1": jnp.expm1, "softplus": jax.nn.softplus,
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary_operations_and_their_gradients(name):
    x = np.array([0.3, 1.7, 2.2], "f")
    g = Expressions()
    node = g.vector("x", 3)
    out = g.apply(name, node)
    np.testing.assert_allclose(g.let(node, x).run(out), UNARY[name](x), rtol=2e-6)
    if name in ("sign", "ceil", "floor"):
        with pytest.raises(InputError, match="no derivative passes from sum"):
            g.grad(sym.sum(out), node)
    else:
        wanted = jax.grad(lambda x: UNARY[name](x).sum())(x)
        np.testing.assert_allclose(g.run(*g.grad(sym.sum(out), node)), wanted, rtol=2e-6)


def test_operators():
    g = Expressions()
    x, y = g.vector("x", 2), g.vector("y", 2)
    a, b = np.array([1, 4], "f"), np.array([3, 2], "f")
    g.let(x, a).let(y, b)
    cases = [(x + y, a + b), (1 + x, 1 + a), (x - 1, a - 1), (1 - x, 1 - a), (x * y, a * b), (2 * x, 2 * a),
             (x / y, a / b),
             (1 / x, 1 / a), (x**2, a**2), (-x, -a), (abs(-x), a), (x @ y, a @ b), (x < y, a < b), (x > y, a > b),
             (x <= y, a <= b), (x >= 4, a >= 4), (x[1], a[1]), (x[::-1], a[::-1])]  # fmt: skip
    for node, wanted in cases:
        np.testing.assert_allclose(g.run(node), wanted)
    assert str(x * (y + 1.0)) == "x * (y + 1)"
    assert repr(x + y) == "Node(x + y: float32[2])"
    m = g.matrix("m", (2, 3))
    assert m.T.shape == (3, 2)


def test_values_of_intermediates_gradients_of_gradients_and_reset():
    g = Expressions()
    x = g.scalar("x")
    y = sym.exp(x * x)
    (dx,) = g.grad(y)
    (ddx,) = g.grad(dx)
    f = lambda x: jnp.exp(x * x)  # noqa: E731
    assert float(g.let(x, 0.5).run(y)) == pytest.approx(float(f(0.5)))
    assert float(g.value(x * x)) == 0.25
    assert float(g.value(dx)) == pytest.approx(float(jax.grad(f)(0.5)))
    assert float(g.value(ddx)) == pytest.approx(float(jax.grad(jax.grad(f))(0.5)))
    g.reset()
    with pytest.raises(InputError, match=r"exp\(x \* x\) has no value yet: run\(\) first"):
        g.value(y)
    assert float(g.value("x")) == 0.5
    g.reset(inputs=True)
    with pytest.raises(InputError, match="no value is bound to x"):
        g.run(y)


def test_gradients_are_refused_where_there_are_none():
    g = Expressions()
    x, n = g.vector("x", 2), g.scalar("n", "int32")
    with pytest.raises(InputError, match=r"expected the cost to be a scalar float; x \+ x is float32\[2\]"):
        g.grad(x + x, x)
    total = sym.sum(x)
    with pytest.raises(InputError, match="only differentiate with regard to input nodes, not sum"):
        g.grad(total * 2.0, total)
    with pytest.raises(InputError, match="only differentiate with regard to floats: n is int32"):
        g.grad(total, n)
    with pytest.raises(InputError, match="no derivative passes from sum.* to z"):
        g.grad(total, g.scalar("z"))
    with pytest.raises(InputError, match=r"the gradient of sum\(x\) must be float32\[\]; x is float32\[2\]"):
        g.backpropagate([total], [x], [x])
    with pytest.raises(InputError, match="1 outputs and 2 output gradients"):
        g.backpropagate([total], [total, total], [x])


def test_it_makes_a_graph_and_a_program():
    g = Expressions(name="loss")
    w, x = g.matrix("w", (2, 3)), g.vector("x", 3)
    loss = sym.sum(sym.square(w @ x))
    graph = g.graph(loss)
    assert isinstance(graph, Graph)
    assert (graph.name, graph.inputs) == ("loss", ("w", "x"))
    a, b = np.ones((2, 3), "f"), np.arange(3, dtype="f")
    assert float(graph(a, b)) == 18
    found = graph.gradient()(a, b)
    np.testing.assert_allclose(found["w"], g.let(w, a).let(x, b).run(*g.grad(loss, w)))
    program = g.program(loss, inputs=[x, w])
    assert isinstance(program, Program)
    assert float(program(b, a)) == 18
    assert [node.label for node in graph_nodes(g)] == ["w", "x"]


def graph_nodes(g):
    return [node for node in g.nodes if node.is_input]


def test_a_training_loop_of_statements():
    """Logistic regression on four points that a line parts, its updates written as nodes."""
    g = Expressions()
    x, t = g.matrix("x", (4, 2)), g.vector("t", 4)
    w, b = g.vector("w", 2), g.scalar("b")
    p = sym.sigmoid(x @ w + b)
    loss = sym.mean(sym.binary_xent(p, t))
    for node, d in zip((w, b), g.grad(loss, w, b), strict=True):
        g.set(node, node - 1.0 * d)
    g.let(x, [[0, 0], [0, 1], [1, 0], [1, 1]]).let(t, [0, 0, 1, 1]).let(w, [0, 0]).let(b, 0)
    losses = [float(g.run(loss)) for _ in range(100)]
    assert losses[0] == pytest.approx(np.log(2))
    assert losses[-1] < 0.1
    assert (np.asarray(g.value(p)) > 0.5).tolist() == [False, False, True, True]


def test_dropout_is_drawn_anew_at_every_run_and_scaled():
    g = Expressions(seed=1)
    x = g.vector("x", 1000)
    out = sym.dropout(x, 0.25)
    assert sym.dropout(x, 0) is x
    g.let(x, np.ones(1000, "f"))
    first, second = np.asarray(g.run(out)), np.asarray(g.run(out))
    assert set(np.unique(first)) == {np.float32(0), np.float32(4 / 3)}
    assert not np.array_equal(first, second)
    assert first.mean() == pytest.approx(1, abs=0.06)
    np.testing.assert_array_equal(g.value(out), second)
    other = Expressions(seed=1)
    y = other.vector("x", 1000)
    assert not np.array_equal(other.let(y, np.ones(1000, "f")).run(sym.gaussian(other, 0, 1, (1000,))), first)
    assert 0 <= np.asarray(other.run(sym.binomial(other, 5, 0.5, (9,)))).min() <= 5


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda g: g.vector("x", 3), "there is an input 'x' already: Node\\(x: float32\\[2\\]\\)"),
        (lambda g: g.matrix("m", (2,)), "matrix 'm' needs two sizes"),
        (lambda g: Expressions().scalar("x") + g._inputs["x"], "x belongs to other Expressions"),
        (lambda g: g._inputs["x"] + np.ones(2), "add: ndarray is not a node; make an input or a constant of it"),
        (lambda g: sym.exp(3.0), "exp: none of its operands is a node"),
        (lambda g: g.run(3), "int is not a node"),
        (lambda g: g.run(), "nothing to run"),
        (lambda g: bool(g._inputs["x"]), "x has no value yet: it cannot decide an if"),
        (lambda g: g._inputs["x"] @ g.vector("y", 3),
         r"mul\(x: float32\[2\], y: float32\[3\]\): inner dimensions 2 and 3"),
        (lambda g: g.tensor("t", (2, 2, 2)) @ g._inputs["x"], "batched_matmul takes more axes"),
        (lambda g: sym.batched_matmul(g.matrix("a", (2, 2)), g.tensor("b", (2, 2, 2))), "needs equal outer dimensions"),
        (lambda g: sym.outer(g._inputs["x"], g.scalar("s")), "takes two vectors"),
        (lambda g: sym.sum(g._inputs["x"], axis=1), r"sum\(x: float32\[2\]\): no axis 1; there are 1"),
        (lambda g: sym.concat(g._inputs["x"], g.matrix("m", (2, 2)), axis=0), "all other sizes must be equal"),
        (lambda g: g._inputs["x"][5], "index 5 is outside axis 0"),
        (lambda g: sym.transpose(g._inputs["x"], axes=(1, 0)), r"\(1, 0\) is not an order of its 1 axes"),
        (lambda g: sym.group_norm(g.matrix("m", (2, 3)), g.vector("a", 3), g.vector("b", 3), groups=2),
         "3 channels do not split into 2 groups"),
        (lambda g: sym.broadcast("add", g.matrix("m", (2, 2)), g.matrix("n", (3, 2)), left=[0]),
         "axis 0 of m has size 2, and only size 1 is repeated"),
    ],
)  # fmt: skip
def test_messages(act, message):
    g = Expressions()
    g.vector("x", 2)
    with pytest.raises(InputError, match=message):
        act(g)


def test_deep_expressions_are_named_shortly():
    g = Expressions()
    x = g.scalar("x")
    for _ in range(100):
        x = x * x
    assert len(x.label) <= 60
    assert float(g.let("x", 1.0).run(x)) == 1


def test_every_operation_is_public():
    hidden = {"abs": "absolute"}
    for name in OPERATIONS:
        assert name.startswith("_") or hasattr(sym, hidden.get(name, name)), name
