"""Gorgonia's own cases of operators and gradients, recomputed with NumPy where its test gives no more than a shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax.compiler import symbolic as sym
from spago_jax.compiler.rewrite import operation_count
from spago_jax.compiler.symbolic import Expressions
from spago_jax.errors import InputError


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def ranged(*shape, start=0.0):
    return np.arange(start, start + np.prod(shape), dtype=np.float64).reshape(shape)


def check(build, arrays, expected, grads=None, *, upstream=None, rtol=1e-9, atol=1e-12):
    """Builds an expression of inputs, and compares its value and the derivatives of its sum."""
    g = Expressions()
    nodes = []
    for i, array in enumerate(arrays):
        array = np.asarray(array, np.float64)
        node = g.tensor(f"x{i}", array.shape, array.dtype)
        g.let(node, array)
        nodes.append(node)
    out = build(*nodes)
    value = np.asarray(g.run(out))
    assert value.shape == out.shape
    np.testing.assert_allclose(value.ravel(), np.ravel(expected), rtol=rtol, atol=atol)
    if grads is not None:
        weights = np.ones(out.shape) if upstream is None else np.reshape(upstream, out.shape)
        cost = sym.sum(out * g.constant(weights))
        for found, wanted in zip(g.run(*g.grad(cost, *nodes), cost)[:-1], grads, strict=True):
            np.testing.assert_allclose(np.ravel(found), np.ravel(wanted), rtol=rtol, atol=atol)
    return g


_V = [1.0, 2.0, 3.0, 4.0]
_ROWS = [[1.0, 3.0, 2.0], [3.0, 2.0, 1.0]]
_FOUR = ranged(2, 2, 2, 2, start=1)

# id, expression, inputs, value, gradients of the sum (None: not given)
CASES = [
    ("R1", lambda x, y: x + y, [2.0, 2.5], 4.5, [1, 1]),
    ("R2", lambda x, w: x @ w, [ranged(2), ranged(2, 3)], [3, 4, 5], [[3, 12], [0, 0, 0, 1, 1, 1]]),
    (
        "R3",
        lambda x, w: x @ w,
        [ranged(3, 2), ranged(2, 3)],
        ranged(3, 2) @ ranged(2, 3),
        [[3, 12] * 3, [6] * 3 + [9] * 3],
    ),
    ("R4", lambda x, y: x @ y, [ranged(6), ranged(6)], 55, [ranged(6), ranged(6)]),
    ("R5", lambda x, y: x + y, [_V, 1.0], [2, 3, 4, 5], [[1] * 4, 4]),
    ("R6", lambda y, x: y - x, [1.0, _V], [0, -1, -2, -3], [4, [-1] * 4]),
    ("R7", lambda x, y: x * y, [_V, 1.0], _V, [[1] * 4, 10]),
    ("R8", lambda x, y: x / y, [_V, [1.0] * 4], _V, [[1] * 4, [-1, -2, -3, -4]]),
    (
        "R9",
        sym.batched_matmul,
        [np.reshape([*range(1, 13)] * 2, (2, 3, 4)), np.reshape(_V * 2, (2, 4, 1))],
        [30, 70, 110] * 2,
        [np.reshape(_V * 6, (2, 3, 4)), [15, 18, 21, 24] * 2],
    ),
    (
        "R10",
        sym.batched_matmul,
        [ranged(2, 2, 3, start=1), ranged(2, 3, 2, start=13)],
        [94, 100, 229, 244, 508, 532, 697, 730],
        None,
    ),
    ("R13-scalar", lambda a, b: sym.gt(a, b, same=True), [1.0, [0.0, 2.0]], [1, 0], None),
    ("R13-vector", lambda a, b: sym.gt(a, b, same=True), [[0.0, 2.0], 1.0], [0, 1], None),
    (
        "R13-matrix",
        lambda a, b: sym.gt(a, b, same=True),
        [ranged(2, 3), ranged(6)[::-1].reshape(2, 3)],
        [0, 0, 0, 1, 1, 1],
        None,
    ),
    ("R13-bool", lambda a, b: sym.gt(a, b), [ranged(2, 3), ranged(6)[::-1].reshape(2, 3)], [0, 0, 0, 1, 1, 1], None),
    (
        "R14",
        lambda x: -sym.log(sym.softmax(x))[2],
        [[0.1, 0.2, -0.3, 0.4, 0.5]],
        -np.log(1 - 0.8806659736677602),
        [[0.178025447751409, 0.1967485475322529, -0.8806659736677602, 0.24030921861990098, 0.2655827597641975]],
    ),
    (
        "R15",
        sym.softmax,
        [[0.2094, -1, 0.6411, 0, -0.3909]],
        [0.2382105379, 0.0710763674, 0.3668139957, 0.1932055979, 0.1306935011],
        None,
    ),
    ("R16-last", sym.softmax, [_ROWS], [0.09, 0.67, 0.24, 0.67, 0.24, 0.09], None),
    ("R16-first", lambda x: sym.softmax(x, axis=0), [_ROWS], [0.12, 0.73, 0.73, 0.88, 0.27, 0.27], None),
    (
        "R17",
        lambda x, w: sym.softmax(x @ w.T),
        [ranged(2, 3) / 100, ranged(2, 3) * 0.03 - 0.05],
        [0.49932500041, 0.50067499959, 0.49730002624, 0.50269997376],
        None,
    ),
    (
        "R17-log",
        lambda x, w: sym.log_softmax(x @ w.T),
        [ranged(2, 3) / 100, ranged(2, 3) * 0.03 - 0.05],
        [-0.69449809181, -0.69179809181, -0.69856176049, -0.68776176049],
        None,
    ),
    ("R18-vector", lambda x: x[0], [ranged(2)], 0, [[1, 0]]),
    ("R18-row", lambda x: x[0], [ranged(2, 3)], [0, 1, 2], [[1, 1, 1, 0, 0, 0]]),
    ("R18-column", lambda x: x[:, 0], [ranged(2, 3)], [0, 3], [[1, 0, 0, 1, 0, 0]]),
    ("R18-plane", lambda x: x[:, 0], [ranged(2, 3, 4)], [0, 1, 2, 3, 12, 13, 14, 15], [([1] * 4 + [0] * 8) * 2]),
    ("R18-mixed", lambda x: x[0, :, 0], [ranged(2, 3, 4)], [0, 4, 8], [[1, 0, 0, 0] * 3 + [0] * 12]),
    ("R19", lambda x: x[1][2], [ranged(2, 3)], 5, [[0, 0, 0, 0, 0, 1]]),
    ("R20-all", sym.sum, [ranged(2, 3)], 15, [[1] * 6]),
    ("R20-0", lambda x: sym.sum(x, axis=0), [ranged(2, 3)], [3, 5, 7], [[1] * 6]),
    ("R20-1", lambda x: sym.sum(x, axis=1), [ranged(2, 3)], [3, 12], [[1] * 6]),
    ("R21-13", lambda x: sym.sum(x, axis=[1, 3]), [_FOUR], [14, 22, 46, 54], None),
    ("R21-023", lambda x: sym.sum(x, axis=[0, 2, 3]), [_FOUR], [52, 84], None),
    ("R22-13", lambda x: sym.max(x, axis=[1, 3]), [_FOUR], [6, 8, 14, 16], None),
    ("R22-023", lambda x: sym.max(x, axis=[0, 2, 3]), [_FOUR], [12, 16], None),
    ("R22-0", lambda x: sym.max(x, axis=0), [_FOUR], range(9, 17), None),
    ("R24-all", sym.sum, [[[1.0], [2.0]]], 3, None),
    ("R24-1", lambda x: sym.sum(x, axis=1), [[[1.0], [2.0]]], [1, 2], None),
    ("R25-max", lambda x, y: sym.max(x, axis=[1, 2]) + y, [_FOUR, ranged(2, 2, start=1)], [8, 10, 18, 20], None),
    ("R25-sum", lambda x, y: sym.sum(x, axis=[1, 2]) + y, [_FOUR, ranged(2, 2, start=1)], [17, 22, 51, 56], None),
    (
        "R26",
        lambda x: sym.norm(x, axis=0),
        [ranged(3, 3)],
        [6.708203932499369, 8.12403840463596, 9.643650760992955],
        None,
    ),
    ("R27-one", lambda a, b: sym.tensordot(a, b, left=0, right=0), [[2.0], [21.0]], 42, [21, 2]),
    ("R27-two", lambda a, b: sym.tensordot(a, b, left=0, right=0), [[1.0, 2.0], [3.0, 4.0]], 11, [[3, 4], [1, 2]]),
    (
        "R28",
        lambda a, b: sym.tensordot(a, b, left=1, right=0),
        [ranged(2, 2), ranged(2)],
        [1, 3],
        [[0, 1, 0, 1], [2, 4]],
    ),
    ("R29", lambda a, b: sym.tensordot(a, b, left=1, right=1), [ranged(2, 2)] * 2, [1, 3, 3, 13], [[2, 4, 2, 4]] * 2),
    ("R30", lambda a, b: sym.tensordot(a, b, left=[0, 1], right=[0, 1]), [ranged(2, 2)] * 2, 14, [ranged(4)] * 2),
    ("R31", lambda a, b: sym.tensordot(a, b, left=0, right=0), [[2.0, 3.0], [21.0, 22.0]], 108, None),
    (
        "R34-1",
        lambda a, b: sym.broadcast("add", a, b, left=[1]),
        [[100.0, 200.0], [[1.0, 2.0], [3.0, 4.0]]],
        [101, 102, 203, 204],
        [[2, 2], [1] * 4],
    ),
    (
        "R34-0",
        lambda a, b: sym.broadcast("add", a, b, left=[0]),
        [[[100.0, 200.0]], [[1.0, 2.0], [3.0, 4.0]]],
        [101, 202, 103, 204],
        None,
    ),
    (
        "R35-1",
        lambda a, b: sym.broadcast("hadamard_prod", a, b, left=[1]),
        [[10.0, 20.0], [[1.0, 2.0], [3.0, 4.0]]],
        [10, 20, 60, 80],
        None,
    ),
    (
        "R35-0",
        lambda a, b: sym.broadcast("hadamard_prod", a, b, left=[0]),
        [[10.0, 20.0], [[1.0, 2.0], [3.0, 4.0]]],
        [10, 40, 30, 80],
        None,
    ),
    (
        "R37-gte",
        lambda a, b: sym.broadcast("gte", a, b, [1], [0], same=True),
        [ranged(3, 1), ranged(1, 4)],
        [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0],
        None,
    ),
    (
        "R37-lt",
        lambda a, b: sym.broadcast("lt", a, b, [1], [0], same=True),
        [ranged(3, 1), ranged(1, 4)],
        [0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1],
        None,
    ),
    ("R38-1", lambda x: sym.mean(x, axis=1, keepdims=True), [ranged(2, 3, start=1)], [2, 5], None),
    ("R38-0", lambda x: sym.mean(x, axis=0, keepdims=True), [ranged(2, 3, start=1)], [2.5, 3.5, 4.5], None),
    ("R38-all", lambda x: sym.mean(x, keepdims=True), [ranged(2, 3, start=1)], 3.5, None),
    ("R41-matrix", sym.diag_flat, [[[1.0, 2.0], [3.0, 4.0]]], np.diag(_V), None),
    ("R41-vector", sym.diag_flat, [[1.0, 2.0]], np.diag([1.0, 2.0]), None),
    (
        "R43-min",
        sym.min_between,
        [[1000.0, 2, 3, 4], [100.0, 200, 300, 400]],
        [100, 2, 3, 4],
        [[0, 1, 1, 1], [1, 0, 0, 0]],
    ),
    (
        "R43-max",
        sym.max_between,
        [[1000.0, 2, 3, 4], [100.0, 200, 300, 400]],
        [1000, 200, 300, 400],
        [[1, 0, 0, 0], [0, 1, 1, 1]],
    ),
    ("R44", sym.mish, [[-2.5, -2.2, 1.0]], [-0.196816, -0.230336, 0.865098], [[-0.109744, -0.112347, 1.049036]]),
]
_COARSE = {"R14": 1e-9, "R15": 1e-7, "R16-last": 0.06, "R16-first": 0.03, "R17": 1e-9, "R17-log": 1e-9, "R44": 5e-6}


@pytest.mark.parametrize(("name", "build", "arrays", "expected", "grads"), CASES, ids=[case[0] for case in CASES])
def test_value_and_gradients(name, build, arrays, expected, grads):
    """The tolerance is that of the digits that Gorgonia's test gives."""
    check(build, arrays, expected, grads, rtol=_COARSE.get(name, 1e-9))


def test_r11_products_of_four_axes():
    found = check(sym.batched_matmul, [ranged(3, 2, 2, 3, start=1), ranged(3, 2, 3, 2, start=37)],
                  ranged(3, 2, 2, 3, start=1) @ ranged(3, 2, 3, 2, start=37))  # fmt: skip
    values = np.ravel(found.value(found.roots()[0]))
    assert [*values[:4], *values[-2:]] == [238, 244, 589, 604, 7249, 7354]


def test_r12_second_operand_transposed():
    a, b = ranged(2, 4, 3, 9, start=1), ranged(2, 4, 3, 9, start=13)
    product = lambda x, y: sym.batched_matmul(x, y, transpose_b=True)  # noqa: E731
    found = check(product, [a, b], a @ np.swapaxes(b, -1, -2))
    first = [825, 1230, 1635, 2202, 3336, 4470, 3579, 5442, 7305]
    root = found.roots()[0]
    np.testing.assert_allclose(np.ravel(found.value(root))[:9], first)
    grad = found.grad(sym.sum(root), root.operands[0])[0]
    np.testing.assert_allclose(np.asarray(found.value(grad))[0, 0, 0], range(66, 91, 3))


def test_r23_max_passes_the_upstream_gradient_to_the_largest():
    x = ranged(3, 2, start=1)
    check(lambda x: sym.max(x, axis=0), [x], [5, 6], [[0, 0, 0, 0, 0.2, 0.8]], upstream=[0.2, 0.8])
    check(lambda x: sym.max(x, axis=1), [x], [2, 4, 6], [[0, 0.1, 0, 0.3, 0, 0.6]], upstream=[0.1, 0.3, 0.6])


@pytest.mark.parametrize(("shape", "wanted"), [((6, -1), (6, 1)), ((2, -1), (2, 3)), ((-1, 3), (2, 3))])
def test_r32_reshape(shape, wanted):
    assert sym.reshape(Expressions().matrix("x", (3, 2)), shape=shape).shape == wanted


@pytest.mark.parametrize(
    ("shape", "message"), [((-1, -1), "only one size may be -1"), ((4, -1), "6 elements do not fit")]
)
def test_r32_reshape_that_does_not_fit(shape, message):
    with pytest.raises(InputError, match=message):
        sym.reshape(Expressions().matrix("x", (3, 2)), shape=shape)


@pytest.mark.parametrize(("shape", "wanted"), [((2, 1, 3), (6,)), ((1, 1, 1), (1,))])
def test_r33_ravel(shape, wanted):
    assert sym.ravel(Expressions().tensor("x", shape)).shape == wanted


def test_r34_an_axis_that_is_not_there():
    g = Expressions()
    with pytest.raises(InputError, match=r"broadcast add\(a: float32\[1, 2\], b: float32\[2, 2\]\): no axis 2"):
        sym.broadcast("add", g.matrix("a", (1, 2)), g.matrix("b", (2, 2)), left=[2])


@pytest.mark.parametrize(
    ("a", "b"),
    [((12, 1), (12, 11)), ((1, 12), (11, 12)), ((2, 3, 5), (2, 3, 1)), ((2, 1, 5), (2, 3, 5)), ((2, 1, 1), (2, 5, 3))],
)
@pytest.mark.parametrize("name", ["add", "hadamard_prod"])
def test_r36_auto(name, a, b):
    x, y = np.random.default_rng(0).normal(size=a), np.random.default_rng(1).normal(size=b)
    expected = x + y if name == "add" else x * y
    check(lambda x, y: sym.auto(name, x, y), [x, y], expected)


def test_r36_auto_needs_as_many_axes():
    g = Expressions()
    with pytest.raises(InputError, match=r"shapes \(12,\) and \(1, 11\) should have the same number of axes"):
        sym.auto("add", g.vector("a", 12), g.matrix("b", (1, 11)))


@pytest.mark.parametrize(
    ("shape", "axis", "indices", "expected"),
    [((4, 2), 0, [0, 3, 2, 1], [0, 1, 6, 7, 4, 5, 2, 3]), ((2, 3), 1, [0, 2, 1, 1], [0, 2, 1, 1, 3, 5, 4, 4]),
     ((2, 5), 0, [1, 1], [5, 6, 7, 8, 9] * 2)],
)  # fmt: skip
def test_r39_by_indices(shape, axis, indices, expected):
    g = check(lambda x: sym.by_indices(x, x.owner.constant(indices, "int32"), axis=axis), [ranged(*shape)], expected)
    root = g.roots()[0]
    grad = np.asarray(g.value(g.grad(sym.sum(root), g.nodes[0])[0]))
    counts = np.bincount(indices, minlength=shape[axis]).astype(float)
    np.testing.assert_array_equal(grad, np.broadcast_to(counts[:, None] if axis == 0 else counts, shape))


def test_r40_an_index_outside_is_an_error_and_never_another_row():
    """Gorgonia's test expects row 0 in place of row 5 of 4 (a quirk)."""
    g = Expressions()
    x = g.matrix("x", (4, 2), "float64")
    with pytest.raises(InputError, match="index 5 is outside axis 0 of size 4"):
        sym.by_indices(x, g.constant([0, 3, 2, 1, 0, 5, 1], "int32"))
    i = g.vector("i", 2, "int32")
    found = g.let(x, ranged(4, 2)).let(i, [1, 5]).run(sym.by_indices(x, i))
    np.testing.assert_array_equal(found, [[2, 3], [np.nan, np.nan]])


def test_r19_indices_may_be_bound_anew_without_compiling_again():
    g = Expressions()
    x, i = g.matrix("x", (2, 3), "float64"), g.vector("i", 1, "int32")
    row = sym.by_indices(x, i)
    g.let(x, ranged(2, 3))
    assert np.ravel(g.let(i, [0]).run(row)).tolist() == [0, 1, 2]
    assert np.ravel(g.let(i, [1]).run(row)).tolist() == [3, 4, 5]
    assert [program.traces for program in g._programs.values()] == [1]


def test_r41_a_scalar_has_no_diagonal():
    with pytest.raises(InputError, match=r"diag_flat\(x: float32\[\]\): a scalar has no elements"):
        sym.diag_flat(Expressions().scalar("x"))


def test_r42_concat_and_its_inverse():
    g = Expressions()
    a, b = g.tensor("a", (2, 3, 4, 5)), g.tensor("b", (2, 3, 4, 5))
    both = sym.concat(a, b, axis=2)
    assert both.shape == (2, 3, 8, 5)
    first, second = ranged(2, 3, 4, 5).astype("f"), ranged(2, 3, 4, 5, start=120).astype("f")
    g.let(a, first).let(b, second)
    found = np.asarray(g.run(both))
    np.testing.assert_array_equal(found[0, 0].ravel(), [*range(20), *range(120, 140)])
    for part, whole in zip(sym.unconcat(both, 2, 2), (first, second), strict=True):
        np.testing.assert_array_equal(g.value(part), whole)
    with pytest.raises(InputError, match="does not split into 3 equal parts"):
        sym.unconcat(both, 2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_r45_one_hot(dtype):
    g = Expressions()
    node = sym.one_hot(g, 2, 5, dtype)
    assert node.dtype == dtype
    np.testing.assert_array_equal(g.run(node), [0, 0, 1, 0, 0])
    with pytest.raises(InputError, match="5 is not a class of 5"):
        sym.one_hot(g, 5, 5)


def test_r46_nothing_is_repeated_unasked():
    g = Expressions()
    a, b = g.vector("a", 2), g.matrix("b", (2, 2))
    with pytest.raises(
        InputError, match=r"add\(a: float32\[2\], b: float32\[2, 2\]\): shapes \(2,\) and \(2, 2\) differ"
    ):
        a + b
    found = g.let(a, [100, 100]).let(b, [[1, 1], [2, 2]]).run(sym.broadcast("add", a, b, left=[1]))
    np.testing.assert_array_equal(found, [[101, 101], [102, 102]])


def test_r47_backpropagation_gives_the_other_operand_times_the_seed():
    g = Expressions()
    x, w, z, seed = (g.vector(name, 3) for name in ("x", "w", "z", "s"))
    out = x * w
    dx, dw = g.backpropagate([out], [seed], [x, w])
    g.let(x, [1, 2, 3]).let(w, [4, 5, 6]).let(seed, [1, 10, 100])
    found = g.run(dx, dw)
    np.testing.assert_array_equal(found, [[4, 50, 600], [1, 20, 300]])
    assert operation_count(g.graph(dx).simplify().jaxpr) == 1  # one product, and nothing else
    with pytest.raises(InputError, match="no derivative passes from x \\* w to z"):
        g.backpropagate([out], [seed], [z])


def test_r13_comparisons_of_other_shapes_or_dtypes_are_refused():
    g = Expressions()
    a, b, c = g.vector("a", 2), g.vector("b", 4), g.vector("c", 2, "float64")
    with pytest.raises(InputError, match=r"gt\(a: float32\[2\], b: float32\[4\]\): shapes \(2,\) and \(4,\) differ"):
        sym.gt(a, b)
    with pytest.raises(InputError, match=r"gt\(c: float64\[2\], a: float32\[2\]\): float64 and float32 do not mix"):
        sym.gt(c, a)


def test_r18_more_indices_than_axes():
    with pytest.raises(InputError, match=r"slice of x: float32\[2\]: 2 indices for 1 axes"):
        Expressions().vector("x", 2)[:, 0]


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [((0,), (0, 1), "1 axes and 2 axes cannot be paired"), ((0, 0), (0, 1), "an axis of a is named twice"),
     ((2,), (0,), "a has no axis 2"), ((0,), (1,), "axis 0 has size 2 and axis 1 has 3")],
)  # fmt: skip
def test_r30_contractions_that_are_none(left, right, message):
    g = Expressions()
    with pytest.raises(InputError, match=message):
        sym.tensordot(g.matrix("a", (2, 2)), g.matrix("b", (2, 3)), left=left, right=right)
    with pytest.raises(InputError, match="a scalar has no axes to contract"):
        sym.tensordot(g.scalar("c"), g.scalar("d"), left=(), right=())


def _outer(a, b):
    return sym.outer(a, b)


@pytest.mark.parametrize(
    ("build", "arrays", "truth"),
    [(sym.log2, [[0.5, 3.0]], [1 / (np.array([0.5, 3.0]) * np.log(2))]),
     (sym.inverse_sqrt, [[0.5, 3.0]], [-0.5 * np.array([0.5, 3.0]) ** -1.5]),
     (sym.log_sum_exp, [[0.5, 3.0]], [np.exp([0.5, 3.0]) / np.exp([0.5, 3.0]).sum()]),
     (_outer, [[1.0, 2.0], [3.0, 4.0, 5.0]], [[12, 12], [3, 3, 3]])],
    ids=["defect1-log2", "defect2-inverse_sqrt", "defect3-log_sum_exp", "defect4-outer"],
)  # fmt: skip
def test_gradients_that_gorgonia_has_wrong(build, arrays, truth):
    """Section B.3: the derivatives are compared with their formulas."""
    g = Expressions()
    nodes = [g.let(g.vector(f"x{i}", len(a), "float64"), a)._inputs[f"x{i}"] for i, a in enumerate(arrays)]
    for found, wanted in zip(
        g.run(*g.grad(sym.sum(build(*nodes)), *nodes), sym.sum(build(*nodes)))[:-1], truth, strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_keyword_that_no_operation_has():
    with pytest.raises(InputError, match="softmax: no parameter 'axes': did you mean 'axis'"):
        sym.softmax(Expressions().vector("x", 3), axes=0)
    g = Expressions()
    with pytest.raises(InputError, match="no operation 'sofmax': did you mean 'softmax'"):
        g.apply("sofmax", g.vector("x", 3))


def test_double_where_it_is_switched_off():
    with jax.enable_x64(False), pytest.raises(InputError, match="float64 needs jax.config.update"):
        Expressions().scalar("x", "float64")
    assert jnp.float64 == Expressions().scalar("x", "float64").dtype
