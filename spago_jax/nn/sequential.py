# SPDX-License-Identifier: BSD-2-Clause
"""Layers in sequence."""

from collections.abc import Iterable
from typing import Any

from spago_jax.core import Array, Module, Rng, child, param
from spago_jax.core.call import accepted
from spago_jax.errors import InputError


class Sequential(Module):
    """``y = layer_n(... layer_1(x))``: [..., in] -> [..., out] of the layers.

    ``lengths`` and ``rng`` go to those layers that take them, each with an ``rng`` of its own. A layer that returns a
    tuple, as a recurrent one does, hands on its first element. Source: spaGO nn/stack.

    >>> from spago_jax.nn import Activation, Linear
    >>> double = Linear(weight=2 * jnp.eye(2))
    >>> Sequential((double, Activation.init("relu"), double))(jnp.array([-1.0, 1.0]))
    Array([0., 4.], dtype=float32)
    """

    layers: tuple[Any, ...] = param(default=())

    @classmethod
    def init(cls, layers: Iterable[Module]) -> "Sequential":
        """The layers in order.

        Raises:
            InputError: for something that is not a layer.
        """
        layers = tuple(layers)
        for place, layer in enumerate(layers):
            if not isinstance(layer, Module) or not callable(layer):
                raise InputError(
                    f"Sequential: layer {place} is {type(layer).__name__}, expected a Module with __call__; "
                    "for a plain function write a Module, or use Activation.init(name)"
                )
        return cls(layers=layers)

    def __call__(self, x: Array, lengths: Array | None = None, *, rng: Rng | None = None) -> Any:
        """The last layer's output."""
        for place, layer in enumerate(self.layers):
            options = {} if lengths is None else {"lengths": lengths}
            x = layer(x, **accepted(layer, rng=child(rng, place), **options))
            if isinstance(x, tuple):
                x = x[0]
        return x
