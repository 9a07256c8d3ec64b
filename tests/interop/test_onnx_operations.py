"""Every operation of the ONNX table against JAX, with onnxruntime as the oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from run_onnx import check

from spago_jax.compiler import jaxprs
from spago_jax.compiler.ship.arguments import shipment
from spago_jax.compiler.ship.symbolic import structs
from spago_jax.interop.onnx import supported_operations

pytestmark = pytest.mark.oracle

draw = np.random.default_rng(0)
X = draw.normal(size=(3, 5)).astype(np.float32)
Y = draw.normal(size=(3, 5)).astype(np.float32)
UNIT = np.tanh(X)  # within -1 .. 1
POSITIVE = np.abs(X) + 0.1
NUMBERS = draw.integers(-9, 9, (3, 5)).astype(np.int32)
BOOLS = X > 0
EDGES = np.float32([[0.0, -0.0, 1e-8, -1e-8, np.inf], [1e-3, 0.4, 0.6, 20.0, 80.0], [-0.4, -0.6, -20.0, -80.0, -0.999]])
ANGLES = np.float32([0.0, -0.0, 1.0, -1.0, 2.5, -3.0, 1e-30, -1e30, np.inf, -np.inf, np.nan])
F, N, B = "f32[n, m]", "i32[n, m]", "bool[n, m]"

# name: (function, specs, arguments)
UNARY = {
    name: (lambda x, name=name: getattr(lax, name)(x), (F,), (values,))
    for values, names in (
        (X, "abs ceil cos cosh erf erfc exp exp2 floor neg sign sin sinh square tan tanh logistic asinh cbrt atan"),
        (UNIT, "acos asin atanh"),
        (POSITIVE, "log rsqrt sqrt"),
        (POSITIVE + 1, "acosh"),
    )
    for name in names.split()
}
CASES = UNARY | {
    "expm1 near and far": (lax.expm1, (F,), (np.clip(EDGES, -80, 80),)),
    "log1p near and far": (lax.log1p, (F,), (np.where(EDGES < -0.99, 0, EDGES),)),
    "is_finite": (lax.is_finite, (F,), (np.float32([[1, np.inf], [-np.inf, np.nan]]),)),
    "round to even": (lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), (F,), (X * 2 // 0.5 * 0.5,)),
    "round away": (lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), (F,), (X * 2 // 0.5 * 0.5,)),
    "powers": (lambda x: {str(n): lax.integer_pow(x, n) for n in (-3, -1, 0, 2, 3, 5)}, (F,), (X,)),
    "integer powers": (lambda x: x**3, (N,), (NUMBERS,)),
    "pow": (lax.pow, (F, F), (POSITIVE, Y)),
    "arithmetic": (lambda x, y: {"a": x + y, "b": x - y, "c": x * y, "d": x / y}, (F, F), (X, Y)),
    "integers": (
        lambda x, y: {"a": x + y, "b": x - y, "c": x * y, "d": lax.div(x, y), "e": lax.rem(x, y), "f": -x, "g": abs(x)},
        (N, N),
        (NUMBERS, np.where(NUMBERS.T.reshape(3, 5) == 0, 4, NUMBERS.T.reshape(3, 5))),
    ),
    "remainders": (lax.rem, (F, F), (X, Y)),
    "comparisons": (
        lambda x, y: {"a": x < y, "b": x <= y, "c": x > y, "d": x >= y, "e": x == y, "f": x != y},
        (F, F),
        (X, np.where(BOOLS, X, Y)),
    ),
    "truth values": (
        lambda x, y: {"a": x & y, "b": x | y, "c": x ^ y, "d": ~x, "e": jnp.maximum(x, y), "f": jnp.minimum(x, y)},
        (B, B),
        (BOOLS, Y > 0),
    ),
    "bits": (lambda x, y: {"a": x & y, "b": x | y, "c": x ^ y, "d": ~x}, (N, N), (NUMBERS, NUMBERS[::-1])),
    "extremes": (lambda x, y: {"a": jnp.maximum(x, y), "b": jnp.minimum(x, y)}, (F, F), (X, Y)),
    "clamp": (lambda x: lax.clamp(-0.5, x, 0.7), (F,), (X,)),
    "select": (lambda c, x, y: jnp.where(c, x, y), (B, F, F), (BOOLS, X, Y)),
    "select truth values": (lambda c, x, y: jnp.where(c, x > 0, y > 0), (B, F, F), (BOOLS, X, Y)),
    "select of three": (lambda i, x: lax.select_n(i, x, 2 * x, 3 * x), (N, F), (abs(NUMBERS) % 3, X)),
    "casts": (lambda x: {"a": x.astype(int), "b": x.astype(bool), "c": (x > 0).astype(jnp.float32)}, (F,), (3 * X,)),
    "no change": (
        lambda x: lax.optimization_barrier(checkpoint_name(lax.stop_gradient(lax.reduce_precision(x, 8, 23)), "x")),
        (F,),
        (X,),
    ),
    "copies": (lambda x: jnp.array(x, copy=True) + jax.device_put(x), (F,), (X,)),
    "a checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.sin(x))), (F,), (X,)),
    "sizes": (
        lambda x: {"a": x.sum() / x.size, "b": jnp.zeros(x.shape[0] * 2 + 1), "c": jnp.arange(x.shape[1] // 2)},
        (F,),
        (X,),
    ),
    "iota": (lambda x: x + lax.broadcasted_iota(jnp.float32, x.shape, 1) + jnp.arange(5.0), ("f32[n, 5]",), (X,)),
    "broadcast": (lambda x: x[:, None, :, None] + jnp.ones((2, 1, 3)), (F,), (X,)),
    "reshape": (
        lambda x: {"a": x.reshape(-1), "b": x.reshape(x.shape[1], 1, x.shape[0]), "c": x.T.reshape(-1, 1)},
        (F,),
        (X,),
    ),
    "reshape with an order": (lambda x: lax.reshape(x, (5, 3), dimensions=(1, 0)), ("f32[3, 5]",), (X,)),
    "squeeze": (lambda x: jnp.expand_dims(x.sum(1, keepdims=True), 0).squeeze((0, 2)), (F,), (X,)),
    "expand": (lambda x: lax.expand_dims(x, (0, 3)), (F,), (X,)),
    "concatenate": (
        lambda x, y: jnp.concatenate([x, y, jnp.ones((x.shape[0], 2))], 1),
        (F, "f32[n, 3]"),
        (X, Y[:, :3]),
    ),
    "split": (lambda x: jnp.split(x, [1, 3], axis=1), ("f32[n, 5]",), (X,)),
    "flip": (lambda x: jnp.flip(x, (0, 1)), (F,), (X,)),
    "slices": (lambda x: {"a": x[:, 1:4], "b": x[:, ::2], "c": x[:, 4:1:-2], "d": x[..., -1]}, ("f32[n, 5]",), (X,)),
    "fixed slices": (
        lambda x: {"a": lax.slice(x, (0, 1), (3, 5), (2, 3)), "b": lax.slice(x, (1, 0), (2, 5))},
        ("f32[3, 5]",),
        (X,),
    ),
    "slices at free ends": (lambda x: {"a": x[:-1], "b": x[1:], "c": x[-1], "d": x[:, 1:]}, (F,), (X,)),
    "pads": (lambda x: jnp.pad(x, ((1, 2), (0, 3)), constant_values=7.0), (F,), (X,)),
    "negative pads": (lambda x: lax.pad(x, 0.0, ((-1, 2, 0), (1, -2, 0))), ("f32[3, 5]",), (X,)),
    "sums": (lambda x: {"a": x.sum(), "b": x.sum(0), "c": x.prod(1), "d": x.max((0, 1)), "e": x.min(0)}, (F,), (X,)),
    "integer sums": (lambda x: {"a": x.sum(), "c": x.max(1), "d": x.min(0)}, (N,), (NUMBERS,)),
    "any and all": (lambda x: {"a": x.any(1), "b": x.all(0), "c": jnp.all(x)}, (B,), (BOOLS,)),
    "argmax": (lambda x: {"a": x.argmax(1), "b": x.argmin(0), "c": (x > 0).argmax(1)}, (N,), (NUMBERS,)),
    "running sums": (lambda x: {"a": lax.cumsum(x, 1), "b": lax.cumsum(x, 0, reverse=True)}, ("f32[3, 5]",), (X,)),
    "sort": (lambda x: {"a": jnp.sort(x, 1), "b": jnp.argsort(x, 0)}, (N,), (NUMBERS,)),
    "top k": (lambda x: lax.top_k(x, 2), ("f32[n, 5]",), (X,)),
    "matrix products": (
        lambda x, y: {
            "a": x @ y.T,
            "b": jnp.einsum("nm,nm->n", x, y),
            "c": jnp.einsum("nm,km->nk", x, y),
            "d": jnp.einsum("nm,nk->mk", x, y),
            "e": jnp.einsum("nm,nm->", x, y),
            "f": jnp.einsum("n,k->nk", x[:, 0], y[0]),
        },
        (F, F),
        (X, Y),
    ),
    "tensor products": (
        lambda x, y: {
            "a": jnp.einsum("abcd,abed->abce", x, y),
            "b": jnp.einsum("abcd,ecd->abe", x, y[0, :, :, :]),
            "c": jnp.einsum("abcd,abcd->ad", x, x),
            "d": jnp.einsum("abcd,ebcd->ae", x, x),
        },
        ("f32[a, 2, 3, 4]", "f32[a, 2, 3, 4]"),
        draw.normal(size=(2, 5, 2, 3, 4)).astype(np.float32),
    ),
    "integer products": (lambda x: jnp.dot(x, x.T, preferred_element_type=jnp.float32), (N,), (NUMBERS,)),
    "pooling over time": (
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3), (1, 2), "SAME", window_dilation=(1, 1)),
        ("f32[n, 7]",),
        (draw.normal(size=(2, 7)).astype(np.float32),),
    ),
    "a dynamic slice": (
        lambda x, i: lax.dynamic_slice(x, (i, i - 1), (2, 2)),
        ("f32[3, 5]", "i32[]"),
        (X, np.int32(2)),
    ),
    "a dynamic update": (
        lambda x, i: lax.dynamic_update_slice(x, jnp.ones((2, 3)), (i, i - 1)),
        ("f32[3, 5]", "i32[]"),
        (X, np.int32(2)),
    ),
    "rows": (
        lambda x, i: {"a": x[i], "b": x[:, i[:, 0]], "c": jnp.take(x, i, axis=0, mode="clip")},
        (F, "i32[k, 2]"),
        (X, np.int32([[0, 2], [1, -1]])),
    ),
    "elements": (lambda x, i: x[i, i + 1], (F, "i32[k]"), (X, np.int32([2, 0, 1, 1]))),
    "rows beyond the end": (
        lambda x, i: jnp.take(x, i, axis=0, mode="fill"),
        (F, "i32[k]"),
        (X, np.int32([2, 3, -1, -5])),
    ),
    "integer rows beyond the end": (
        lambda x, i: jnp.take(x, i, axis=1, mode="fill", fill_value=-7),
        (N, "i32[k]"),
        (NUMBERS, np.int32([2, 9])),
    ),
    "along an axis": (
        lambda x, i: jnp.take_along_axis(x, i, axis=1),
        ("f32[n, m]", "i32[n, 3]"),
        (X, np.int32([[0, 1, 4], [2, 2, 2], [-1, 0, 3]])),
    ),
    "along an axis with features": (
        lambda x, i: jnp.take_along_axis(x[..., None] * jnp.ones(2), i[..., None], axis=1),
        ("f32[n, m]", "i32[n, 3]"),
        (X, np.int32([[0, 1, 4], [2, 2, 2], [-1, 0, 3]])),
    ),
    "scatters": (
        lambda x, i: {
            "a": x.at[i].set(1.0, mode="clip"),
            "b": x.at[:, i].add(2.0, mode="clip"),
            "c": x.at[i, i].multiply(3.0, mode="clip"),
            "d": x.at[i].min(0.0, mode="clip"),
            "e": x.at[i].max(0.5, mode="clip"),
        },
        (F, "i32[k]"),
        (X, np.int32([2, 0])),
    ),
    "a fixed scatter": (lambda x: x.at[0].set(0.0).at[..., 1].add(1.0), ("f32[3, 5]",), (X,)),
    "scan": (
        lambda x: lax.scan(lambda c, row: (c + row, c * row), jnp.zeros(5), x),
        ("f32[n, 5]",),
        (X,),
    ),
    "scan from the end": (
        lambda x: lax.scan(lambda c, row: (c * 0.5 + row, c.sum()), jnp.ones(5), x, reverse=True),
        ("f32[n, 5]",),
        (X,),
    ),
    "scan over nothing": (
        lambda x: lax.scan(lambda c, _: (c * 1.1, c[0]), x, None, length=4),
        (F,),
        (X,),
    ),
    "scans in scans": (
        lambda x: lax.scan(lambda c, row: lax.scan(lambda d, v: (d + v * x.mean(), d), c, row), 0.0, x),
        (F,),
        (X,),
    ),
    "while": (
        lambda x: lax.while_loop(
            lambda s: (s[0] < x.shape[0]) & (s[1].sum() < 99), lambda s: (s[0] + 1, s[1] + x[s[0]] ** 2), (0, x[0])
        ),
        (F,),
        (X,),
    ),
    "cond": (
        lambda x: {
            "a": lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x),
            "b": lax.cond(x[0, 0] < 0, jnp.sin, lambda x: x, x),
        },
        (F,),
        (X,),
    ),
    "switch": (
        lambda x, i: lax.switch(i, [jnp.sin, lambda x: x * x, lambda x: x], x),
        (F, "i32[]"),
        (X, np.int32(1)),
    ),
    "the last of a switch": (
        lambda x, i: lax.switch(i, [jnp.sin, lambda x: x * x, lambda x: x], x),
        (F, "i32[]"),
        (X, np.int32(7)),
    ),
    "maxima with NaN": (
        lambda x: {
            "a": x.max(1),
            "b": x.min(0),
            "c": x.max(),
            "d": x.argmax(1),
            "e": x.argmin(0),
            "f": jnp.maximum(x, 0),
        },
        (F,),
        (np.where(np.arange(15).reshape(3, 5) % 7 == 3, np.nan, X).astype(np.float32),),
    ),
    "a softmax with NaN": (
        lambda x: {"a": jax.nn.softmax(x, -1), "b": jax.nn.log_softmax(x, 0), "c": jax.nn.logsumexp(x, -1)},
        (F,),
        (np.where(np.arange(15).reshape(3, 5) == 3, np.nan, X).astype(np.float32),),
    ),
    "pooling with NaN": (
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3), (1, 2), "SAME"),
        ("f32[n, 5]",),
        (np.where(np.arange(15).reshape(3, 5) == 8, np.nan, X).astype(np.float32),),
    ),
    "stack": (lambda x, y: {"a": jnp.stack([x, y], 1), "b": jnp.stack([x, y, x], -1)}, (F, F), (X, Y)),
    "unstack": (lambda x: jnp.unstack(x, axis=1), ("f32[n, 5]",), (X,)),
    "tile": (lambda x: {"a": jnp.tile(x, (2, 1, 3)), "b": jnp.tile(x, 2)}, (F,), (X,)),
    "angles": (jnp.arctan2, ("f32[n, 1]", "f32[1, m]"), (ANGLES[:, None], ANGLES[None])),
    "a gradient": (jax.grad(lambda x: (jnp.tanh(x @ x.T) * jnp.exp(-x.sum())).sum()), (F,), (X,)),
}


def positional(function, count):
    """With the parameters x, y, z."""
    if count == 1:
        return lambda x: function(x)
    return (lambda x, y: function(x, y)) if count == 2 else (lambda x, y, z: function(x, y, z))


@pytest.mark.parametrize("name", sorted(CASES))
def test_operation(name, tmp_path):
    function, specs, arguments = CASES[name]
    calls = [dict(zip("xyz", arguments, strict=False))]
    check(tmp_path / "m.onnx", positional(function, len(specs)), (), tuple(specs), calls)


def primitives(closed, found):
    for eqn in closed.jaxpr.eqns:
        found.add(eqn.primitive.name)
        for body in jaxprs.subprograms(eqn).values():
            primitives(body, found)
    return found


def test_every_operation_of_the_table_is_tested():
    found = set()
    for function, specs, _ in CASES.values():
        shipped = shipment(positional(function, len(specs)), specs)
        primitives(jaxprs.trace(shipped.call, {}, *structs(shipped, {}))[0], found)
    listed = {name for group, names in supported_operations().items() if group != "calls" for name in names}
    others = {"conv_general_dilated", "reduce_window_sum"}  # in test_onnx_models
    unreached = {"copy_p"}  # the name that newer versions of JAX have for copy
    assert listed - found - others - unreached == set()


def of_numbers(x, y):
    """What every type of number has."""
    low = x.dtype.type(-np.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min)
    return {
        "least": jnp.minimum(x, y), "most": jnp.maximum(x, y), "row": x.max(1), "column": x.min(0), "sum": x.sum(1),
        "product": x.prod(0), "place": x.argmax(1), "sorted": jnp.sort(x, 1), "order": jnp.argsort(x, 1),
        "top": lax.top_k(x, 2), "sofar": jnp.cumsum(x, 1), "held": jnp.clip(x, 1, 3), "padded": jnp.pad(x, 1),
        "dot": lax.dot(x, y.T), "chosen": jnp.where(x > y, x, y), "less": x < y, "same": x == y, "minus": -x,
        "stacked": jnp.stack([x, y], 1), "tiled": jnp.tile(x, (1, 2)), "beyond": jnp.take(x, jnp.array([0, 9]), axis=0),
        "sign": jnp.sign(x), "window": lax.reduce_window(x, low, lax.max, (1, 3), (1, 1), "VALID"),
    }  # fmt: skip


def of_whole_numbers(x, y):
    """What overflows, and divides by 0 and by -1."""
    return {**of_numbers(x, y), "quotient": lax.div(x, y), "rest": lax.rem(x, y), "floor": x // y, "modulo": x % y}


def of_floats(x, y):
    """What becomes another type at its edges."""
    names = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "bool", "float16", "float32"]
    finite = {"finite": jnp.isfinite(x), "log": jnp.log1p(jnp.abs(x)), "angle": jnp.arctan2(x, y)}
    return {**of_numbers(x, y), **finite, "cast": {name: x.astype(name) for name in names}}


def of_truth_values(x, y):
    """Truth values in order, as JAX has them: False before True."""
    return {
        "a": x < y, "b": x <= y, "c": x > y, "d": x >= y, "e": x == y, "f": x.max(1), "g": x.min(0), "h": x.argmax(1),
        "i": jnp.sort(x, 1), "j": jnp.argsort(x, 1), "k": lax.top_k(x, 2), "l": x.any(0), "m": x.sum(1), "n": x @ y.T,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "float32", "bool"])
def test_every_type_is_loaded_and_computed_as_jax_does(dtype, tmp_path):
    """Runtimes lack operations for some types, and do other things at their edges."""
    draw = np.random.default_rng(0)
    kind = np.dtype(dtype).kind
    x, y = (draw.integers(0 if kind in "ub" else -9, 2 if kind == "b" else 9, (3, 5)).astype(dtype) for _ in range(2))
    function = of_truth_values
    if kind == "f":
        big = 6e4 if dtype == "float16" else 5e9
        function, x[0], y[1] = of_floats, (np.nan, np.inf, -np.inf, -0.0, big), (0.5, np.nan, -big, 300.7, -np.inf)
        x[2, :2] = 2.0**15, 2.0**31 if dtype == "float32" else 7.0
    elif kind != "b":
        info = np.iinfo(dtype)
        function, x[0, :3], y[0, :3] = of_whole_numbers, (info.min, info.max, info.min), (info.max, 0, -1 % info.max)
        if kind == "i":
            y[0, 2] = y[1, 1] = -1
    short = {"bool": "bool"}.get(dtype, dtype.replace("uint", "u").replace("int", "i").replace("float", "f"))
    calls = [{"x": x, "y": y}]
    with np.errstate(all="ignore"):
        tolerance = 1e-2 if dtype == "float16" else 1e-5
        check(tmp_path / "m.onnx", positional(function, 2), (), (f"{short}[n, 5]",) * 2, calls, atol=tolerance)


@pytest.mark.parametrize("name", ["class", "lambda", "None", "maxima", "d"])
def test_a_dimension_is_called_by_any_word(name, tmp_path):
    def function(x):
        return {
            "a": jnp.zeros(2 * x.shape[0] + 1),
            "b": x[jnp.maximum(x.shape[0] - 2, 0)],
            "c": x.reshape(-1),
        }

    check(tmp_path / "m.onnx", function, (), (f"f32[{name}, 5]",), [{"x": X}])
