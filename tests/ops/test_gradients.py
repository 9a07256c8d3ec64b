# SPDX-License-Identifier: BSD-2-Clause
"""Every operation of ``ops/``: its derivative against central differences in float64, and eagerly against jax.grad.

A new operation fails ``test_every_operation_is_here`` until it has a case, or a reason for having none.
"""

import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spago_jax import eager, ops
from spago_jax.core import Rng

RNG = np.random.default_rng(0)


def n(*shape):
    """Numbers that are not near a kink of the piecewise functions (0, 0.5, 2.5, ...)."""
    return RNG.uniform(0.1, 0.4, shape) * RNG.choice([-1.0, 1.0], shape)


def p(*shape):
    """Positive numbers that sum to 1."""
    x = RNG.uniform(0.5, 1.5, shape)
    return x / x.sum(axis=-1, keepdims=True)


IDS, L = np.array([2, 0]), np.array([3, 2])
TAGS = np.array([[0, 2, 1], [1, 1, 0]])

# name: (arguments, options). Float arrays are differentiated, everything else is a setting.
CASES = {
    **{name: ((n(2, 3),), {}) for name in (
        "gelu", "gelu_tanh", "identity", "fast_sigmoid", "hard_sigmoid_keras", "elu", "celu", "selu", "positive_elu",
        "leaky_relu", "softplus", "threshold", "softmax", "log_softmax", "zero_one_quantization",
        "norm2_quantization", "one_hot_quantization", "sparsemax", "sparsemax_threshold", "sparsemax_loss", "norm",
        "gelu_10", "quick_gelu", "relu_squared",
        "reverse_by_length", "max_over_time",
    )},
    "soft_shrink": ((n(2, 3),), {"lambd": 0.05}),
    "swish_b": ((n(2, 3), n(1, 1)), {}),
    "safe_sqrt": ((p(2, 3),), {}),
    "standardize": ((n(2, 3),), {"eps": 1e-5}),
    "affine": ((n(2), (n(2, 3), n(4, 3)), (n(2, 1), n(4, 1))), {}),
    "bilinear": ((n(2, 3), n(4, 2), n(4, 3)), {}),
    "biaffine": ((n(2, 3), n(2), n(3), n(1), n(4, 2), n(4, 3)), {}),
    "rotate_right": ((n(2, 3),), {"steps": 1}),
    "split_last": ((n(2, 4),), {"chunks": 2}),
    "attention_weights": ((n(3, 2), n(4, 2)), {}),
    "scaled_dot_product_attention": ((n(2, 3, 2), n(2, 3, 2), n(2, 3, 4)), {"causal": True, "lengths": L}),
    "weighted_sum": ((p(3, 4), n(4, 2)), {}),
    "linear_attention": ((n(3, 2), n(4, 2), n(4, 3)), {}),
    "over": ((n(3), n(2, 3)), {}),
    "conv1d": ((n(2, 5, 3), n(4, 3, 3), n(4)), {"lengths": np.array([5, 3])}),
    "conv2d": ((n(2, 5, 6), n(3, 2, 2, 2), n(3)), {}),
    "grid_sample": ((n(1, 3, 4), n(2, 2, 2)), {}),
    "log_partition": ((n(2, 3, 3), n(4, 4)), {"lengths": L}),
    "sequence_score": ((n(2, 3, 3), TAGS, n(4, 4)), {"lengths": L}),
    "log_likelihood": ((n(2, 3, 3), TAGS, n(4, 4)), {"lengths": L}),
    "marginals": ((n(2, 3, 3), n(4, 4)), {"lengths": L}),
    "path_probabilities": ((n(2, 3, 3), TAGS, n(4, 4)), {"lengths": L}),
    "viterbi": ((n(2, 3, 3), n(4, 4)), {"lengths": L}),  # the score of the best path
    "dropout": ((n(2, 3),), {"rate": 0.5, "rng": Rng.seed(0)}),
    "take_rows": ((n(4, 3), IDS), {}),
    "gru_step": ((n(2, 9), n(2, 3), n(9, 3)), {}),
    "gru_scan": ((n(3, 2, 4), [(n(9, 4), n(9, 3), n(9)) for _ in range(2)], (n(2, 3), n(2, 3))), {
        "lengths": L, "reverses": (False, True),
    }),
    "matmul": ((n(2, 3), n(4, 3)), {}),
    "product_over_rows": ((n(5, 2), n(5, 3)), {}),
    "linear": ((n(2, 3), n(4, 3), n(4)), {}),
    "read": ((n(2, 3), p(2)), {}),
    "cross_entropy": ((n(2, 3), IDS), {"label_smoothing": 0.1}),
    "masked_mean": ((n(2, 3), p(2, 3)), {}),
    "weighted_cross_entropy": ((n(2, 3), IDS, p(3)), {}),
    "focal": ((n(2, 3), IDS), {}),
    "weighted_focal": ((n(2, 3), IDS, p(3)), {}),
    "perplexity": ((n(2, 3), IDS), {}),
    "negative_log_likelihood": ((p(2, 3), p(2, 3)), {}),
    "binary_cross_entropy": ((n(2, 3), p(2, 3)), {}),
    "mse": ((n(2, 3), n(2, 3)), {}),
    "mae": ((n(2, 3), n(2, 3)), {}),
    "distance": ((n(2, 3),), {"target": 1.0}),
    "scaled_policy_gradient": ((n(2, 3), n(2, 3)), {}),
    "zero_padding": ((n(2, 3, 2),), {"lengths": L}),
    "merge": ((n(2, 3), n(2, 3)), {"how": "prod"}),
    "max_pool2d": ((RNG.permutation(24).reshape(4, 6) * 0.1,), {"rows": 2, "columns": 3}),
    "ridge": ((n(5, 2), n(5, 1)), {"penalty": 0.1}),
    "push": ((n(2, 3, 2), n(2, 2)), {}),
    **{name: ((n(2, 3, 2), np.array([[True, True, False], [True, True, True]])), {}) for name in (
        "pool_first", "pool_last", "pool_max", "pool_mean", "pool_mean_sqrt", "pool_weighted_mean",
    )},
    "linear_attention_scan": ((p(4, 2, 3), n(4, 2, 3), n(4, 2, 3), n(2, 3, 3), p(2, 3)), {}),
}  # fmt: skip

# What has no derivative of its own to check, and why.
NONE = {
    "by_batch": "a placement, in test_layout and test_together",
    "two_rows": "a padding", "running_shares": "a score that is shown, in test_flair",
    "allowed_matrix": "booleans", "some_steps": "a padding", "same_steps": "a slice",
    "length_mask": "booleans", "attention_mask": "booleans", "flash_fits": "a question",
    "accumulation_dtype": "a dtype", "float_dtype": "a dtype", "as_float": "a cast", "banned_transitions": "booleans",
    "check_rate": "a check", "check_lengths": "a check", "check_padding": "a check",
    "parse_activation": "a name", "activation": "a name",
    "parse_merge": "a name", "merged_features": "a size", "lstm_zero_state": "zeros", "fofe_decode": "not for tracing",
    "sinusoidal_positions": "of integers", "axial_positions": "of integers", "fofe_encode": "of integers",
    "lstm_update": "with the LSTM layer, in the conformance suite", "lstm_scan": "the same", "lstm_columns": "the same",
    "lstm_by_cudnn": "in test_lstm_cudnn", "cudnn_fits": "a question", "packed": "in test_lstm_cudnn",
    "gru_columns": "as gru_scan, and both forms in test_recurrence",
    "band": "attention over bands, in test_attention_bands", "unband": "the same", "band_pays": "a question",
    "rotate": "in test_encoder_oracle, with ModernBERT", "rotary_angles": "of integers",
    "int8_product": "whole numbers have none", "vocabulary_cross_entropy": "in test_vocabulary_loss, with PyTorch",
    "loop": "a part of the kernels", "at": "the same", "empty": "the same", "put": "the same", "filled": "the same",
    "product": "the same", "transposed": "the same", "states_before": "the same", "flat_columns": "the same",
    "input_gradient": "the same",
    "scan_recurrence": "with every cell, in the conformance suite", "scan_bidirectional": "the same",
    "lasso_admm": "an iteration with thresholds; held against its optimality conditions with the layer that uses it",
}  # fmt: skip


def operations():
    found = {}
    for module in pkgutil.iter_modules(ops.__path__):
        source = importlib.import_module(f"spago_jax.ops.{module.name}")
        for name, function in vars(source).items():
            ours = getattr(function, "__module__", None) == source.__name__ and not inspect.isclass(function)
            if callable(function) and ours and not name.startswith("_"):
                found[name] = function
    return found


OPERATIONS = operations()


def test_every_operation_is_here():
    assert set(OPERATIONS) == set(CASES) | set(NONE)


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype == np.float64


def total(outputs):
    """A scalar that gives each output number a weight of its own."""
    leaves = [leaf for leaf in jax.tree.leaves(outputs) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return sum(jnp.sum(leaf * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)) for leaf in leaves)


@pytest.mark.parametrize("name", sorted(CASES))
def test_against_central_differences(name):
    arguments, options = CASES[name]
    leaves, tree = jax.tree.flatten(arguments)
    places = [i for i, leaf in enumerate(leaves) if is_float(leaf)]

    with jax.enable_x64(True):

        def function(*values):
            new = list(leaves)
            for place, value in zip(places, values, strict=True):
                new[place] = value
            return total(OPERATIONS[name](*jax.tree.unflatten(tree, new), **options))

        values = [jnp.asarray(leaves[place]) for place in places]
        gradients = jax.jit(jax.grad(function, tuple(range(len(values)))))(*values)
        compiled = jax.jit(function)
        for turn, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
            for _ in range(3):  # three random directions
                along = RNG.normal(size=value.shape)
                ends = []
                for step in (1e-6, -1e-6):
                    moved = list(values)
                    moved[turn] = value + step * along
                    ends.append(float(compiled(*moved)))
                slope = (ends[0] - ends[1]) / 2e-6
                assert float(jnp.vdot(gradient, along)) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", sorted(CASES))
def test_eagerly_against_jax_grad(name):
    arguments, options = CASES[name]
    arguments = jax.tree.map(lambda x: x.astype(np.float32) if is_float(x) else x, arguments)
    live = jax.tree.map(lambda x: eager.Var(x) if x.dtype == np.float32 else x, arguments)
    outputs = getattr(eager.ops, name)(*live, **options)
    floats = [y for y in jax.tree.leaves(outputs) if jnp.issubdtype(y.dtype, jnp.floating)]
    eager.backward(*floats, grads=[jnp.cos(jnp.arange(y.value.size, dtype=y.dtype)).reshape(y.shape) for y in floats])
    leaves, tree = jax.tree.flatten(arguments)
    places = [i for i, leaf in enumerate(leaves) if leaf.dtype == np.float32]

    def function(values):
        new = list(leaves)
        for place, value in zip(places, values, strict=True):
            new[place] = value
        return total(OPERATIONS[name](*jax.tree.unflatten(tree, new), **options))

    expected = jax.jit(jax.grad(function))([jnp.asarray(leaves[place]) for place in places])
    for var, grad in zip([v for v in jax.tree.leaves(live) if isinstance(v, eager.Var)], expected, strict=True):
        np.testing.assert_allclose(var.grad, grad, rtol=1e-5, atol=1e-6)
