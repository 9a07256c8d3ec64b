# SPDX-License-Identifier: BSD-2-Clause
"""Residual connections: where the normalisation stands, or a gain in its place."""

from typing import Any

import jax.numpy as jnp

from spago_jax.core import Array, Module, param
from spago_jax.core.tree import PyTree
from spago_jax.ops.linear import as_float


class PreNorm(Module):
    """``y = x + f(norm(x))``: [..., features], kept.

    Source: Xiong et al. (2020); spaGO nn/rc, whose PreNorm says so and computes ``x + norm(f(x))``.

    >>> from spago_jax.nn import LayerNorm, Linear
    >>> PreNorm(function=Linear(weight=jnp.eye(2)), norm=LayerNorm.init(2))(jnp.array([1.0, 3.0])).round(3)
    Array([0., 4.], dtype=float32)
    """

    function: Any
    norm: Any

    def __call__(self, x: Array, *args: Any, **options: Any) -> Array:
        """Any shape that both keep; what else is given goes to ``f``."""
        return x + _first(self.function(self.norm(x), *args, **options))


class PostNorm(Module):
    """``y = norm(x + f(x))``: [..., features], kept.

    Source: Vaswani et al. (2017); spaGO nn/rc.

    >>> from spago_jax.nn import LayerNorm, Linear
    >>> PostNorm(function=Linear(weight=jnp.eye(2)), norm=LayerNorm.init(2))(jnp.array([1.0, 3.0])).round(3)
    Array([-1.,  1.], dtype=float32)
    """

    function: Any
    norm: Any

    def __call__(self, x: Array, *args: Any, **options: Any) -> Array:
        """Any shape that both keep; what else is given goes to ``f``."""
        return self.norm(x + _first(self.function(x, *args, **options)))


class ReZero(Module):
    """``y = x + gain f(x)`` with one trained number that starts at zero: [..., features], kept.

    Source: Bachlechner et al. (2020); spaGO nn/rc.

    >>> from spago_jax.nn import Linear
    >>> ReZero.init(Linear(weight=jnp.eye(2)))(jnp.array([1.0, 3.0]))
    Array([1., 3.], dtype=float32)
    """

    function: Any
    gain: Array = param(decay=False)

    @classmethod
    def init(cls, function: Module) -> "ReZero":
        """A gain of zero: the layer is the identity at first."""
        return cls(function=function, gain=jnp.zeros(()))

    def __call__(self, x: Array, *args: Any, **options: Any) -> Array:
        """Any shape that ``f`` keeps; what else is given goes to it."""
        x = as_float(x, self)
        return x + self.gain.astype(x.dtype) * _first(self.function(x, *args, **options))


def _first(output: PyTree) -> Array:
    """A recurrent layer returns its outputs and a state: the outputs count."""
    return output[0] if isinstance(output, tuple) else output
