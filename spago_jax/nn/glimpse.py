# SPDX-License-Identifier: BSD-2-Clause
"""Looking at a picture a piece at a time: the recurrent body of a visual attention loop."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.core.taps import tap
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.grid_sample import grid_sample


class Glimpse(Module):
    """``s' = tanh(U s + V g + L l)`` with ``l = tanh(A s)`` a place in [-1, 1]^2 and g what is seen there.

    g holds ``scales`` windows of ``size`` x ``size`` samples around l, each twice as wide as the one before, the first
    ``width`` of the picture. The place is learned by gradients through the samples (Jaderberg et al., 2015), where
    Mnih et al. draw it and learn by reinforcement. It is the body of a loop: ``.loop(glimpse(...)).times(6)``, and then
    ``.using("image")``.

    Source: Mnih et al., "Recurrent Models of Visual Attention" (2014); Jaderberg et al. (2015).

    >>> look = Glimpse.init(jax.random.key(0), 16, channels=1, size=5)
    >>> look(jnp.zeros((2, 16)), jnp.ones((2, 1, 28, 28))).shape
    (2, 16)
    """

    place: Linear
    seen: Linear
    where: Linear
    state: Linear
    size: int = static(default=8)
    scales: int = static(default=1)
    width: float = static(default=0.25)

    @classmethod
    def init(
        cls, key: Array, features: int, *, channels: int, size: int = 8, scales: int = 1, width: float = 0.25
    ) -> "Glimpse":
        """Xavier-uniform weights; the first place is the centre.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("Glimpse", features=features, channels=channels, size=size, scales=scales)
        keys = jax.random.split(key, 4)
        return cls(
            place=Linear.init(keys[0], features, 2),
            seen=Linear.init(keys[1], channels * scales * size * size, features),
            where=Linear.init(keys[2], 2, features, bias=False),
            state=Linear.init(keys[3], features, features, bias=False),
            size=size,
            scales=scales,
            width=width,
        )

    def __call__(self, state: Array, image: Array) -> Array:
        """[..., features] and [..., channels, height, width] -> [..., features]."""
        place = tap("place", jnp.tanh(self.place(state)))
        seen = self.look(image, place)
        return jnp.tanh(self.state(state) + self.seen(seen) + self.where(place))

    def look(self, image: Array, place: Array) -> Array:
        """The windows around places [..., 2] (x, y): [..., scales * channels * size * size]."""
        line = jnp.linspace(-1.0, 1.0, self.size) if self.size > 1 else jnp.zeros(1)
        window = jnp.stack(jnp.meshgrid(line, line), axis=-1)
        window = window.reshape((1,) * (place.ndim - 1) + window.shape)
        windows = [
            grid_sample(image, place[..., None, None, :] + window * self.width * 2**i, align_corners=True)
            for i in range(self.scales)
        ]
        return jnp.stack(windows, axis=-4).reshape(*place.shape[:-1], self.seen.weight.shape[1])
