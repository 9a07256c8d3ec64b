"""Layers that are made when shapes are known: every class of spago_jax.nn whose ``init`` takes a size of the input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import spago_jax as sj
from spago_jax import flow
from spago_jax.core import flat
from spago_jax.flow.layer import LayerSpec, layer_classes

KEY = jax.random.key(0)
SEQUENCE = "f32[batch, 5, 4]"
CHANNELS = {"Convolution2d": "f32[batch, 4, 6, 7]", "Convolution1x1": "f32[batch, 4, 7]"}
# Settings after the size; where there are none, 3 units.
ARGUMENTS = {
    "BiRNNCRF": ((3, 3), {}),
    "BroadLearning": ((2,), {"groups": 3, "size": 4, "enhancement": 5}),
    "Convolution1d": ((3, 3), {}),
    "Convolution2d": ((3, (2, 2)), {}),
    "GatedMLP": ((5, 2), {}),
    "LSHAttention": ((), {"key_features": 3, "out_features": 2, "buckets": 4}),
    "MixtureOfExperts": ((5,), {"experts": 3}),
    "MultiHeadAttention": ((2,), {}),
    "NRU": ((3,), {"memory": 8, "heads": 2}),
    "RecursiveEncoder": ((3,), {"max_length": 5}),
    "SyntheticAttention": ((), {"hidden": 3, "out_features": 2, "max_length": 5}),
    **dict.fromkeys(("LinearAttention", "SelfAttention"), ((), {"key_features": 3, "out_features": 2})),
    **dict.fromkeys(("MixerBlock", "SpatialGatingUnit"), ((5,), {})),
    **dict.fromkeys(("BatchNorm", "DeviationBatchNorm", "LayerNorm", "RMSNorm", "ScaleNorm"), ((), {})),
    **dict.fromkeys(("Highway", "LTM", "RefinedLSTM", "RLA", "StarTransformer"), ((), {})),
}
OTHERS = {"CrossAttention", "Glimpse", "RecursiveDecoder"}  # they take more: a memory, a picture, a length
SIZED = [cls for cls in layer_classes().values() if LayerSpec(cls)._size is not None and cls.__name__ not in OTHERS]


def shapes(tree):
    return {name: tuple(leaf.shape) for name, leaf in flat(tree).items()}


@pytest.mark.parametrize("cls", SIZED, ids=lambda cls: cls.__name__)
def test_the_size_of_the_input_is_read_off_the_stream(cls):
    spec, (arguments, options) = CHANNELS.get(cls.__name__, SEQUENCE), ARGUMENTS.get(cls.__name__, ((3,), {}))
    x = jax.ShapeDtypeStruct(tuple(3 if dim == "batch" else dim for dim in sj.spec("x", spec).dims), jnp.float32)

    def by_hand(key):
        layer = cls.init(*([key] if LayerSpec(cls)._keyed else []), 4, *arguments, **options)
        return layer, layer(jnp.zeros(x.shape))

    def in_a_flow(key):
        net = flow.start(flow.layer(cls, *arguments, **options)).tag("layer").build(key, spec)
        return net.layers["layer"], net(jnp.zeros(x.shape))

    (layer, y), (expected, expected_y) = (jax.eval_shape(f, KEY) for f in (in_a_flow, by_hand))
    assert shapes(layer) == shapes(expected)
    assert shapes(y) == shapes(expected_y[0] if isinstance(expected_y, tuple) else expected_y)


def test_layers_of_a_flow_compute_what_they_compute_alone():
    parts = {
        "linear": flow.layer("linear", 4),
        "highway": flow.layer("highway"),
        "birnn": flow.layer("bi_rnn", 2, cell="gru"),
        "convolution": flow.layer("convolution1d", 4, 3),
        "attention": flow.layer("multi_head_attention", 2),
        "lstm": flow.layer("LSTM", 2),  # gives (outputs, final state): the stream is the outputs
    }
    written = flow.start()
    for name, part in parts.items():
        written = written.through(part).tag(name)
    net = written.build(KEY, SEQUENCE)
    xs, lengths = jax.random.normal(KEY, (2, 5, 4)), jnp.array([5, 3])

    def alone(net, x):
        for name in parts:
            layer = net.layers[name]
            x = layer(x) if name in ("linear", "highway") else layer(x, lengths=lengths)
            x = x[0] if isinstance(x, tuple) else x
        return x

    y, noisy, expected = jax.jit(
        lambda net, xs: (
            net(xs, lengths=lengths),
            net(xs.at[1, 3:].set(9.0), lengths=lengths),
            alone(net, xs),
        )
    )(net, xs)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[1, :3], noisy[1, :3])  # what lies beyond a length changes nothing
    assert y.shape == (2, 5, 2)
