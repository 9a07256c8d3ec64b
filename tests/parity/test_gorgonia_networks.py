"""Gorgonia's own numbers for its neural-network operations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spago_jax.compiler import symbolic as sym
from spago_jax.compiler.symbolic import Expressions
from spago_jax.errors import InputError


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def steps(*shape, start, step):
    return (start + step * np.arange(np.prod(shape))).reshape(shape)


def inputs(g, **arrays):
    nodes = []
    for name, array in arrays.items():
        array = np.asarray(array)
        nodes.append(g.tensor(name, array.shape, array.dtype))
        g.let(nodes[-1], array)
    return nodes


@pytest.mark.parametrize(
    ("x", "w", "expected", "atol"),
    [
        (np.reshape([-2.1714, 0, 0, -0.4233, 0, -1.2849], (2, 3)), np.reshape([0.3, 0, 1, 0.7, 0, 1], (3, 2)),
         [0.17429, 0.82571, 1, 0], 1e-12),
        (np.reshape([-3.1437, -0.5651, 0, -0.7925, 0, -0.5319, -0.0313, -1.1569, 0], (3, 3)),
         np.reshape([0, 0.21744996, 0.78255, 0, 0.76594996, 0.23404998, 0.48434997, 0, 0.51565], (3, 3)),
         [1, 0, 0, 0.45735168, 0.5426483, 0, 0.64763314, 0, 0.3523669], 1e-7),
        (np.full((6, 2), 0.5), np.full((2, 6), 0.5), np.full(36, 1 / 6), 1e-12),
    ],
    ids=["R50", "R51", "R52"],
)  # fmt: skip
def test_sparsemax(x, w, expected, atol):
    g = Expressions()
    a, b = inputs(g, x=x, w=w)
    np.testing.assert_allclose(np.ravel(g.run(sym.sparsemax(a @ b))), expected, atol=atol)


def test_sparsemax_gradient_is_that_of_finite_differences():
    g = Expressions()
    (x,) = inputs(g, x=np.array([0.3, -0.1, 0.9, 0.2]))
    y = sym.sum(sym.sparsemax(x) * g.constant(np.array([1.0, 2.0, -3.0, 0.5])))
    (dx,) = g.grad(y, x)
    found = np.asarray(g.run(dx))
    base = np.array([0.3, -0.1, 0.9, 0.2])
    for i in range(4):
        ends = [float(g.let(x, base + sign * 1e-6 * np.eye(4)[i]).run(y)) for sign in (1, -1)]
        assert found[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("image", "pad", "stride", "expected"),
    [
        (np.repeat(np.arange(5.0), 5).reshape(5, 5), 1, 1,
         [2, 3, 3, 3, 2, 6, 9, 9, 9, 6, 12, 18, 18, 18, 12, 18, 27, 27, 27, 18, 14, 21, 21, 21, 14]),
        (np.arange(35.0).reshape(7, 5), 0, 2, [54, 72, 144, 162, 234, 252]),
    ],
    ids=["R53", "R54"],
)  # fmt: skip
def test_convolution(image, pad, stride, expected):
    g = Expressions()
    x, k = inputs(g, x=image[None, None], k=np.ones((1, 1, 3, 3)))
    np.testing.assert_allclose(np.ravel(g.run(sym.conv2d(x, k, pad=pad, stride=stride))), expected)


def test_convolution_in_one_dimension_equals_numpy():
    g = Expressions()
    signal, kernel = np.arange(7.0) ** 2, np.array([1.0, -2.0, 0.5])
    x, k = inputs(g, x=signal[None, None], k=kernel[None, None])
    np.testing.assert_allclose(np.ravel(g.run(sym.conv1d(x, k))), np.correlate(signal, kernel, "valid"))


def test_r55_im2col():
    g = Expressions()
    (x,) = inputs(g, x=np.arange(50.0).reshape(1, 2, 5, 5))
    found = np.asarray(g.run(sym.im2col(x, kernel=3, pad=1)))
    assert found.shape == (1, 5, 5, 18)
    assert found[0, 0, 0, :9].tolist() == [0, 0, 0, 0, 0, 1, 0, 5, 6]


def test_r56_max_pooling_of_everything():
    g = Expressions()
    (x,) = inputs(g, x=np.arange(16.0).reshape(1, 1, 4, 4))
    pooled = sym.max_pool2d(x, kernel=4)
    assert g.run(pooled).item() == 15
    assert float(g.run(sym.mean(sym.square(pooled - 1.0)))) == 196


def test_r57_max_pooling_with_wide_padding():
    g = Expressions()
    (x,) = inputs(g, x=np.arange(50.0).reshape(1, 2, 5, 5))
    found = np.asarray(g.run(sym.max_pool2d(x, kernel=3, pad=2)))
    assert found.shape == (1, 2, 7, 7)
    assert found[0, 0].tolist() == [[min(j, 4) + 5 * min(i, 4) for j in range(7)] for i in range(7)]


def test_r58_max_pooling_padded_on_two_sides():
    """Their 32 by 32 table begins as NumPy's normal numbers of seed 0 do."""
    table = np.random.RandomState(0).randn(32, 32)
    g = Expressions()
    (x,) = inputs(g, x=table[None, None])
    found = np.ravel(g.run(sym.max_pool2d(x, kernel=2, pad=(1, 0, 1, 0), stride=2)))
    np.testing.assert_allclose(found[:3], [1.7640524, 0.978738, 2.2408931], atol=1e-7)


def test_r59_average_pooling():
    g = Expressions()
    (x,) = inputs(g, x=np.arange(16.0).reshape(1, 1, 4, 4))
    pooled = sym.average_pool2d(x, kernel=2)
    np.testing.assert_allclose(np.ravel(g.run(pooled)), [2.5, 3.5, 4.5, 6.5, 7.5, 8.5, 10.5, 11.5, 12.5])
    assert float(g.run(sym.mean(sym.square(pooled - 1.0)))) == pytest.approx(53.583333333333336)


def test_average_pooling_divides_by_the_area_of_the_window():
    """Gorgonia divides by the width of the image (defect 6), which its own test cannot see at width 4."""
    g = Expressions()
    image = np.random.default_rng(0).normal(size=(1, 1, 5, 5))
    (x,) = inputs(g, x=image)
    pooled = sym.average_pool2d(x, kernel=2)
    expected = np.lib.stride_tricks.sliding_window_view(image[0, 0], (2, 2)).mean((2, 3))
    np.testing.assert_allclose(np.asarray(g.run(pooled))[0, 0], expected)
    (dx,) = g.grad(sym.sum(pooled), x)
    np.testing.assert_allclose(np.asarray(g.run(dx))[0, 0, :2, :2], [[0.25, 0.5], [0.5, 1.0]])
    row = sym.average_pool1d(sym.reshape(x, shape=(1, 5, 5)), 2)
    np.testing.assert_allclose(g.run(row)[0], (image[0, 0, :, 1:] + image[0, 0, :, :-1]) / 2)
    (dglobal,) = g.grad(sym.sum(sym.global_average_pool2d(x)), x)  # defect 10: theirs has none
    np.testing.assert_allclose(np.ravel(g.run(dglobal)), 1 / 25)


def normalised(g, x_shape, x_start, x_step, channels, fc_rows):
    """Batch normalisation, flattened, and a product with a matrix: the net of Gorgonia's tests."""
    size = int(np.prod(x_shape[1:]))
    x, scale, bias, fc = inputs(
        g, x=steps(*x_shape, start=x_start, step=x_step), scale=steps(channels, start=0.3, step=0.3),
        bias=steps(channels, start=0.2, step=0.2), fc=steps(fc_rows, size, start=0.3, step=0.3),
    )  # fmt: skip
    flat = lambda y: sym.reshape(y, shape=(x_shape[0], size))  # noqa: E731
    return x, scale, bias, fc, flat


BATCH = {
    "R60": ((3, 2), 0.5, 0.01, 2, 3, [-0.24108325, -0.53038315, -0.81968305, 0.3, 0.66, 1.02, 0.84108325, 1.85038315,
            2.85968305], [0.468, 0.477], 0.10036, [0.9, 1.2], 0.0),
    "R62": ((2, 2, 2, 2), 0.1, 2, 2, 2, [-1.32898231, -3.89005187, 9.41906587, 23.50013543], [9.99, 17.19],
            71.07142857, [7.8, 12.6], 0.36115753),
    "R63": ((2, 3, 2, 2), 0.1, 2, 3, 2, [-4.91129913, -13.11268793, 28.35606958, 71.11745838], [13.59, 20.79, 27.99],
            153.35714286, None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCH)
def test_batch_normalisation(name):
    shape, start, step, channels, rows, output, mean, variance, bias_grad, scale_grad = BATCH[name]
    g = Expressions()
    x, scale, bias, fc, flat = normalised(g, shape, start, step, channels, rows)
    out = flat(sym.batch_norm(x, scale, bias)) @ fc.T
    running = 0.9 * sym.batch_mean(x), 0.9 * sym.batch_variance(x) + 0.1  # from mean 0 and variance 1
    d_scale, d_bias = g.grad(sym.mean(out), scale, bias)
    y, m, v, ds, db = g.run(out, *running, d_scale, d_bias)
    np.testing.assert_allclose(np.ravel(y), output, atol=2e-8)
    np.testing.assert_allclose(m, mean, atol=1e-8)
    np.testing.assert_allclose(v, variance, atol=1e-8)
    if bias_grad:
        np.testing.assert_allclose(db, bias_grad, atol=1e-8)
        np.testing.assert_allclose(ds, scale_grad, atol=1e-8)


EVALUATED = {
    "R61": ("R60", [0.31553312, 0.70721279, 1.09889245, 0.34280479, 0.76857405, 1.19434331, 0.37007647, 0.82993532,
            1.28979416]),
    "R62": ("R62", [-0.13753229, -0.98063410, 9.91220707, 24.73813535]),
}  # fmt: skip


@pytest.mark.parametrize("name", EVALUATED)
def test_batch_normalisation_by_running_statistics_after_a_step_of_adam(name):
    case, expected = EVALUATED[name]
    shape, start, step, channels, rows, *_ = BATCH[case]
    g = Expressions()
    x, scale, bias, fc, flat = normalised(g, shape, start, step, channels, rows)
    mean, variance = g.vector("mean", channels, "float64"), g.vector("variance", channels, "float64")
    g.let(mean, np.zeros(channels)).let(variance, np.ones(channels))
    out = flat(sym.batch_norm(x, scale, bias)) @ fc.T
    g.set(mean, 0.1 * mean + 0.9 * sym.batch_mean(x))
    g.set(variance, 0.1 * variance + 0.9 * sym.batch_variance(x))
    trained = [fc, scale, bias]
    grads = list(g.run(*g.grad(sym.mean(out), *trained)))
    values = [jnp.asarray(g.value(node)) for node in trained]
    grads[1] = jnp.where(
        jnp.abs(grads[1]) < 1e-12, 0, grads[1]
    )  # exactly 0 but for rounding, which Adam would scale up
    updates, _ = optax.adam(0.02).update(grads, optax.adam(0.02).init(values))
    for node, value in zip(trained, optax.apply_updates(values, updates), strict=True):
        g.let(node, value)
    out = flat(sym.batch_norm_with(x, scale, bias, mean, variance)) @ fc.T
    np.testing.assert_allclose(np.ravel(g.run(out)), expected, atol=2e-8)


def test_r64_statistics_of_another_shape_or_dtype():
    g = Expressions()
    x, scale, bias = g.matrix("x", (3, 2)), g.vector("scale", 2), g.vector("bias", 2)
    wide, double = g.matrix("running_mean", (2, 2)), g.vector("running_variance", 2, "float64")
    with pytest.raises(InputError, match=r"running_mean has shape \(2, 2\), expected \(2,\)"):
        sym.batch_norm_with(x, scale, bias, wide, scale)
    with pytest.raises(InputError, match="float32 and float64 do not mix"):
        sym.batch_norm_with(x, scale, bias, scale, double)


GROUPS = {
    "R65": ((2, 20, 2, 2), 0.1, 2, 2, [4385.90022272, 10064.55595514] * 2, 7225.22808893,
            [51, 55.8, 60.6, 65.4], [-79.3960427, -67.5451112], [0.14554566, 0.10756983, 0.06959400, 0.03161817]),
    "R66": ((3, 2), 0.5, 5, 3, [0.3, 0.66, 1.02] * 3, 0.66, None, None, [0, 0]),
    "R67": ((2, 20, 2, 3), 0.1, 2, 2, [9841.67348602, 22618.00544377] * 2, 16229.83946489, None, None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_group_normalisation(name):
    shape, start, step, rows, output, mean, bias_grad, scale_grad, input_grad = GROUPS[name]
    g = Expressions()
    x, scale, bias, fc, flat = normalised(g, shape, start, step, shape[1], rows)
    out = flat(sym.group_norm(x, scale, bias, groups=2)) @ fc.T
    cost = sym.mean(out)
    y, total, dx, ds, db = g.run(out, cost, *g.grad(cost, x, scale, bias))
    np.testing.assert_allclose(np.ravel(y), output, rtol=1e-11, atol=1e-8)
    np.testing.assert_allclose(total, mean, rtol=1e-11)
    for found, wanted in ((db, bias_grad), (ds, scale_grad), (dx, input_grad)):
        if wanted is not None:
            np.testing.assert_allclose(np.ravel(found)[: len(wanted)], wanted, atol=2e-8)


CTC = {
    "R68": ((4, 4, 4), -1.428742987863855, -11.42994390,
            [0.8016031529, 1.0100501671, 0.2185981872, 1.0304545340, 0.8424139271]),
    "R69": ((4, 3, 5), None, -8.27245792718313,
            [0.8016031529, 1.0100501671, 0.2185981872, 1.0304545340, 1.0408107742]),
}  # fmt: skip


@pytest.mark.parametrize("name", CTC)
def test_ctc(name):
    """Gorgonia's gradient is by the logits behind a log-softmax: that by the log-probabilities plus exp of them."""
    shape, mean, total, gradient = CTC[name]
    scores = np.arange(np.prod(shape)).reshape(shape) / 100
    g = Expressions()
    lp, targets, sizes, target_sizes = inputs(
        g, lp=scores, targets=np.full((shape[1], 4), 2, np.int32), sizes=np.full(shape[1], 4, np.int32),
        target_sizes=np.full(shape[1], 2, np.int32),
    )  # fmt: skip
    loss = sym.ctc_loss(lp, targets, sizes, target_sizes, reduction="sum")
    assert float(g.run(loss)) == pytest.approx(total, abs=5e-9)
    if mean is not None:
        assert float(g.run(sym.ctc_loss(lp, targets, sizes, target_sizes))) == pytest.approx(mean, abs=1e-12)
    (d,) = g.grad(loss, lp)
    np.testing.assert_allclose(np.ravel(np.exp(scores) + g.run(d))[:5], gradient, atol=2e-10)


def test_ctc_of_log_probabilities_equals_optax():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 3, 5))
    targets, sizes, target_sizes = rng.integers(1, 5, (3, 3)), np.array([6, 5, 4]), np.array([3, 2, 0])
    g = Expressions()
    x, t, n, m = inputs(g, x=logits, t=targets.astype("i4"), n=sizes.astype("i4"), m=target_sizes.astype("i4"))
    found = g.run(sym.ctc_loss(sym.log_softmax(x), t, n, m, reduction="sum"))
    padding = (np.arange(6)[None] >= sizes[:, None]).astype(float)
    label_padding = (np.arange(3)[None] >= target_sizes[:, None]).astype(float)
    wanted = optax.ctc_loss(np.moveaxis(logits, 0, 1), padding, targets, label_padding)
    assert float(found) == pytest.approx(float(jnp.sum(wanted)), rel=1e-6)


@pytest.mark.parametrize(("p", "kept", "size"), [(0.2, 3, 1.25), (0.5, 2, 2.0)])
def test_r70_dropout_and_its_right_gradient(p, kept, size):
    """Gorgonia divides the gradient by p (defect 5); its numbers of the forward pass are right."""
    g = Expressions()
    x, draws = inputs(g, x=np.ones(5), draws=np.array([0, 0.2, 0.5, 0.8, 1.0]))
    out = sym.dropout_by(x, draws, p=p)
    y, dx = g.run(out, *g.grad(sym.mean(out), x))
    np.testing.assert_allclose(y, [size] * kept + [0] * (5 - kept))
    np.testing.assert_allclose(dx, [size / 5] * kept + [0] * (5 - kept))


def test_r71_slices_batch_normalisation_and_concatenation():
    g = Expressions()
    x, scale, bias, w = inputs(
        g, x=steps(4, 2, 2, 2, start=0.1, step=2), scale=steps(2, start=-0.05, step=3),
        bias=steps(2, start=-0.05, step=3), w=steps(2, 8, start=-0.05, step=3),
    )  # fmt: skip
    halves = [sym.reshape(sym.batch_norm(x[s], scale, bias), shape=(2, 8)) @ w.T for s in (slice(2, 4), slice(0, 2))]
    out = sym.concat(*halves, axis=0)
    y, dx, ds = g.run(out, *g.grad(sym.mean(out), x, scale))
    np.testing.assert_allclose(np.ravel(y), [17.60594568, 27.88259311, 389.78119124, 936.30454380] * 2, atol=1e-8)
    np.testing.assert_allclose(ds, [3.61157533] * 2, atol=1e-8)
    np.testing.assert_allclose(np.ravel(dx)[:3], [0.00497246, 0.00078513, -0.00340221], atol=1e-8)


def test_r72_upsampling():
    g = Expressions()
    image = np.arange(200.0).reshape(1, 5, 5, 8)
    (x,) = inputs(g, x=image)
    np.testing.assert_array_equal(g.run(sym.upsample2d(x, scale=2)), image.repeat(2, 2).repeat(2, 3))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda x, k: sym.max_pool2d(x, kernel=9),
            "impossible height: 5 with padding 0 \\+ 0 is less than the kernel's 9",
        ),
        (lambda x, k: sym.conv2d(x, k), "the filter takes 3 channels, not 2"),
        (lambda x, k: sym.conv2d(x, k, stride=0), "kernel and stride must be above 0"),
        (lambda x, k: sym.dropout(x, 1.0), "p must be from 0 up to 1, not 1.0"),
    ],
)
def test_windows_that_do_not_fit(build, message):
    g = Expressions()
    with pytest.raises(InputError, match=message):
        build(g.tensor("x", (1, 2, 5, 5)), g.tensor("k", (1, 3, 3, 3)))


def test_binary_cross_entropy_at_certainty():
    g = Expressions()
    p, t = inputs(g, p=np.array([0.0, 1.0, 0.25]), t=np.array([0.0, 1.0, 1.0]))
    np.testing.assert_allclose(g.run(sym.binary_xent(p, t)), [0, 0, np.log(4)])
