# SPDX-License-Identifier: BSD-2-Clause
"""An activation as a layer."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.errors import InputError, did_you_mean
from spago_jax.ops.activations import ACTIVATIONS, OPTIONS, parse_activation
from spago_jax.ops.linear import as_float


class Activation(Module):
    """One of the 26 activations of ``ops.activations``, ``y = f(x)``: [...] -> [...], or a vector a position.

    ``options`` are its constants, such as the ``alpha`` of ``elu``; the ``beta`` of ``swish_b`` alone is trained.
    Source: spaGO nn/activation.

    >>> Activation.init("LeakyReLU", negative_slope=0.5)(jnp.array([-2.0, 2.0]))
    Array([-1.,  2.], dtype=float32)
    """

    name: str = static(default="identity")
    options: tuple[tuple[str, float], ...] = static(default=())
    beta: Array | None = param(decay=False, default=None)

    @classmethod
    def init(cls, name: str, **options: float) -> "Activation":
        """An activation by name (``leaky_relu`` or ``LeakyReLU``) with those constants that are not the default.

        Raises:
            InputError: for an unknown name or option, with the nearest.
        """
        name = parse_activation(name)
        for option in options:
            if not OPTIONS[name]:
                raise InputError(f"activation {name!r} has no options, and {option!r} was given")
            if option not in OPTIONS[name]:
                raise InputError(f"activation {name!r} has no option {option!r}: {did_you_mean(option, OPTIONS[name])}")
        if name == "swish_b":
            return cls(name=name, beta=jnp.asarray(float(options.get("beta", 1.0)), jnp.float32))
        return cls(name=name, options=tuple((key, float(value)) for key, value in options.items()))

    def __call__(self, x: Array) -> Array:
        """Any shape; softmax, log_softmax and sparsemax work on the last axis."""
        function = ACTIVATIONS[self.name]
        x = as_float(x, self)
        if self.beta is not None:
            return function(x, self.beta.astype(x.dtype))
        return function(x, **dict(self.options))
