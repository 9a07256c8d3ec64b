"""nn.convolution, nn.convolution1d, nn.convolution2d: kernels and biases one for each pair of channels."""

import jax.numpy as jnp

from spago.activations import gradient_tolerance, our_activation
from spago.golden import Case
from spago.registry import Computation, golden
from spago.shapes import column
from spago_jax.nn import Activation, Convolution1d, Convolution2d


@golden("nn.convolution", "nn.convolution2d")
def convolution2d(case: Case) -> Computation:
    """The inputs are the channels; the biases of an output add up over the channels that its mask keeps."""
    config, name = case.config, case.config["activation"]

    def function(params, inputs):
        weight, bias, mask = _kernels(params, config)
        layer = Convolution2d(
            weight=weight,
            bias=bias,
            strides=(config["x_stride"], config["y_stride"]),
            groups=weight.shape[0] if config.get("depthwise") else 1,
            mask=mask,
        )
        return list(Activation.init(our_activation(name))(layer(jnp.stack(inputs))))

    return Computation(function, gradient_tolerance=gradient_tolerance(name))


@golden("nn.convolution1d")
def convolution1d(case: Case) -> Computation:
    """The columns of the inputs are the steps; a step's features are the rows of all channels, one under the other."""
    config, name = case.config, case.config["activation"]
    rows = config["kernel_x"]

    def function(params, inputs):
        weight, bias, mask = _kernels(params, config)
        layer = Convolution1d(
            weight=weight.reshape(weight.shape[0], -1, weight.shape[-1]),
            bias=bias,
            padding="valid",
            stride=config["y_stride"],
            groups=weight.shape[0] if config.get("depthwise") else 1,
            mask=None if mask is None else tuple(keep for keep in mask for _ in range(rows)),
        )
        ys = Activation.init(our_activation(name))(layer(jnp.concatenate(inputs).T))
        return [column(y) for y in ys.T]

    return Computation(function, gradient_tolerance=gradient_tolerance(name))


def _kernels(params, config):
    """[out, in, rows, columns], [out], and the mask; with one input a group where it is depth-wise."""
    outs, ins = config["output_channels"], 1 if config.get("depthwise") else config["input_channels"]
    kernels = jnp.stack([params[f"K.{place}"] for place in range(outs * ins)])
    biases = jnp.stack([params[f"B.{place}"].reshape(()) for place in range(outs * ins)]).reshape(outs, ins)
    mask = None if not config.get("mask") else tuple(bool(keep) for keep in config["mask"])
    kept = jnp.array([place for place in range(ins) if mask is None or mask[place]])
    return kernels.reshape(outs, ins, *kernels.shape[1:]), biases[:, kept].sum(axis=1), mask
