"""cuDNN's LSTM. Oracles: JAX's reference of cuDNN's equations and weight layout; our kernel; on a GPU cuDNN itself.

Without a GPU, JAX cannot ask cuDNN how much memory a call needs: the lowering tests answer that question themselves.
"""

import functools
from types import SimpleNamespace

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import normal
from jax.experimental import rnn
from jax.interpreters import mlir

import spago_jax as sj
from spago_jax.nn import LSTM, BiRNN
from spago_jax.ops import lstm, lstm_cudnn
from spago_jax.ops.lstm_cudnn import cudnn_fits, lstm_by_cudnn, packed, use_cudnn

BATCH, TIME, IN, OUT = 4, 6, 3, 5
LENGTHS = np.array([4, 6, 0, 1])


def arguments(directions):
    """Inputs, parameters, first states."""

    def each(*shape, seed):
        return tuple(0.7 * normal(*shape, seed=seed + number) for number in range(directions))

    weights = (each(4 * OUT, IN, seed=10), each(4 * OUT, OUT, seed=20), each(4 * OUT, seed=30))
    return normal(TIME, BATCH, IN), *weights, each(BATCH, OUT, seed=40), each(BATCH, OUT, seed=50)


def mixed(tree):
    return sum(jnp.sum(jnp.cos(1.0 + jnp.arange(x.size)).reshape(x.shape) * x) for x in jax.tree.leaves(tree))


def close(found, expected, tolerance=2e-5):
    helpers.close(found, expected, tolerance)


@pytest.fixture
def by_reference(monkeypatch):
    """JAX's reference in the place of the calls of cuDNN."""

    def reference(lengths, options, x, hidden, cell, weights):
        parts = rnn.unpack_lstm_weights(weights, options[0], options[1], options[2], options[4])
        return rnn.lstm_ref(x, hidden, cell, *parts, lengths, *options[:5])

    def forward(x, hidden, cell, weights, lengths, *options):
        results = reference(lengths, options, x, hidden, cell, weights)
        return results, (x, hidden, cell, weights, lengths, results[0], jnp.zeros(3))

    def backward(*options, residuals, gradients):
        *floats, lengths, y, reserve = residuals
        return *jax.vjp(functools.partial(reference, lengths, options), *floats)[1](gradients), None

    monkeypatch.setattr(rnn, "lstm_fwd", forward)
    monkeypatch.setattr(rnn, "lstm_bwd", backward)


@pytest.mark.parametrize(
    ("reverses", "lengths"), [((False,), LENGTHS), ((True,), LENGTHS), ((False, True), LENGTHS), ((False, True), None)]
)
def test_layout_masks_directions_and_gradients_are_those_of_our_kernel(by_reference, reverses, lengths):
    given = arguments(len(reverses))
    if lengths is not None:  # what lies beyond is zero, as the driver hands it over
        given = (np.where((np.arange(TIME)[:, None] < lengths)[..., None], given[0], 0), *given[1:])

    @functools.partial(jax.jit, static_argnums=0)
    def run(kernel, *given):
        def loss(*given):
            out = kernel(reverses, *given, lengths)
            return mixed(out), out

        (_, out), grads = jax.value_and_grad(loss, tuple(range(6)), has_aux=True)(*given)
        return out, grads

    (out, grads), (expected, expected_grads) = run(lstm_by_cudnn, *given), run(lstm._by_columns, *given)
    close(out, expected)
    close(grads[1:], expected_grads[1:], 1e-4)
    real = np.ones((TIME, BATCH), bool) if lengths is None else np.arange(TIME)[:, None] < lengths
    close(grads[0][real], expected_grads[0][real], 1e-4)


def test_vmap_and_the_derivatives_of_the_gradient(by_reference):
    given = arguments(1)

    def total(kernel, x):
        return mixed(kernel((False,), x, *given[1:], LENGTHS)) ** 2

    def second(kernel, x, along):
        gradient = jax.grad(functools.partial(total, kernel))
        of_rows = jax.vmap(gradient)(jnp.stack([x, 2 * x]))
        forward_over_reverse = jax.jvp(gradient, (x,), (along,))[1]
        twice = jax.grad(lambda x: jnp.vdot(gradient(x), along))(x)
        return of_rows, forward_over_reverse, twice

    real = (np.arange(TIME)[:, None] < LENGTHS)[..., None]
    x, along = given[0] * real, normal(TIME, BATCH, IN, seed=1) * real
    found, expected = (
        jax.jit(second, static_argnums=0)(kernel, x, along) for kernel in (lstm_by_cudnn, lstm._by_columns)
    )
    for mine, other in zip(found, expected, strict=True):
        close(mine * real, other * real, 1e-3)


def test_the_packed_weights_are_read_by_jax_as_what_they_were():
    _, inputs, weights, biases, _, _ = arguments(2)
    found = rnn.unpack_lstm_weights(packed(inputs, weights, biases), IN, OUT, 1, True)
    close(found, tuple(dict(enumerate(parts)) for parts in (inputs, weights, biases, np.zeros_like(biases))), 0)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """JAX can trace and lower for a GPU: it is told what cuDNN would tell it about sizes and descriptors."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(rnn.gpu_rnn, "compute_rnn_workspace_reserve_space_sizes", lambda *_: (16, 8), raising=False)
    library, restore = SimpleNamespace(build_rnn_descriptor=lambda *_: b"descriptor"), []
    for primitive, lowering, own in (
        (rnn.rnn_fwd_p, rnn.gpu_rnn._rnn_fwd_lowering, rnn.gpu_rnn.cudnn_rnn_lowering),
        (rnn.rnn_bwd_p, rnn.gpu_rnn._rnn_bwd_lowering, rnn.gpu_rnn.cudnn_rnn_bwd_lowering),
    ):
        mlir.register_lowering(primitive, functools.partial(lowering, library, "cu"), platform="cuda")
        restore.append((primitive, own))
    yield
    for primitive, own in restore:
        mlir.register_lowering(primitive, own, platform="cuda")


def calls(function, *given, platform):
    """How often the lowered program calls cuDNN, forward and backward."""
    text = jax.jit(function).trace(*given).lower(lowering_platforms=(platform,)).as_text()
    return text.count("@cudnn_rnn_ffi("), text.count("@cudnn_rnn_bwd_ffi(")


def layer(bidirectional=False, dtype=np.float32):
    made = (BiRNN if bidirectional else LSTM).init(jax.random.key(0), IN, OUT)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), made)


def loss(model, xs, lengths):
    return mixed(model(xs, lengths))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_one_traced_program_calls_cudnn_on_cuda_and_our_kernel_elsewhere(as_on_a_gpu, bidirectional):
    model, xs = layer(bidirectional), normal(BATCH, TIME, IN)
    forward = lambda model, xs, lengths: model(xs, lengths)  # noqa: E731
    gradient = jax.grad(loss)
    assert calls(forward, model, xs, LENGTHS, platform="cuda") == (1, 0)
    assert calls(gradient, model, xs, LENGTHS, platform="cuda") == (1, 1)
    for platform in ("cpu", "tpu"):
        assert calls(gradient, model, xs, LENGTHS, platform=platform) == (0, 0)
    with use_cudnn(False):
        assert calls(gradient, model, xs, LENGTHS, platform="cuda") == (0, 0)


def test_the_program_with_a_choice_runs_here_by_our_kernel(as_on_a_gpu):
    model, xs = layer(), normal(BATCH, TIME, IN)
    function = jax.jit(jax.grad(loss))
    found = function(model, xs, LENGTHS)
    with use_cudnn(False):
        close(found, function(model, xs, LENGTHS))


def test_cudnn_is_not_taken_where_it_does_not_fit(as_on_a_gpu):
    gradient = jax.grad(loss)
    assert calls(gradient, layer(dtype=jnp.bfloat16), normal(BATCH, TIME, IN), LENGTHS, platform="cuda") == (0, 0)
    xs, inputs, weights, biases, hiddens, cells = arguments(2)
    parameters = (inputs, weights, biases)
    assert cudnn_fits((False, True), xs, parameters, (hiddens, cells))
    assert not cudnn_fits((False, False), xs, parameters, (hiddens, cells))
    assert not cudnn_fits((False, True), xs[:0], parameters, (hiddens, cells))
    assert not cudnn_fits((False, True), xs, parameters, (hiddens, (cells[0], cells[1][:, :2])))
    assert not cudnn_fits((False, True), xs, parameters, (hiddens, [c.astype(np.float64) for c in cells]))


def test_what_is_exported_never_calls_cudnn(as_on_a_gpu, tmp_path):
    model, xs = layer(), normal(BATCH, TIME, IN)
    folder = sj.export(lambda model, xs: {"ys": model(xs)[0]}, tmp_path / "program", model, xs, name="layer")
    assert not any(b"cudnn_rnn" in file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize(
    ("asked", "tf32"), [(None, False), ("highest", False), ("high", True), ("tensorfloat32", True)]
)
def test_tensorfloat32_is_for_those_who_ask(asked, tf32):
    with jax.default_matmul_precision(asked) if asked else use_cudnn(True):
        assert rnn._lstm_cudnn_allow_tf32(lstm_cudnn._precision()) is tf32


@pytest.mark.gpu
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("form", ["forward", "reverse", "bidirectional"])
def test_cudnn_computes_what_our_kernel_computes(form, lengths):
    if jax.default_backend() != "gpu":
        pytest.skip("needs an NVIDIA GPU")
    model, xs = layer(form == "bidirectional"), normal(BATCH, TIME, IN)
    options = {"reverse": True} if form == "reverse" else {}

    def total(model, xs):
        out = model(xs, lengths, **options)
        return mixed(out), out

    run = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))
    assert "cudnn_rnn_bwd" in run.lower(model, xs).as_text()
    (_, out), grads = run(model, xs)
    with use_cudnn(False), jax.default_matmul_precision("highest"):
        (_, expected), expected_grads = run(model, xs)
    close(out, expected, 1e-4)
    close(grads, expected_grads, 1e-3)
