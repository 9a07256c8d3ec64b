# SPDX-License-Identifier: BSD-2-Clause
"""The shuffling recurrent network, in one direction and in both."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.nn.recurrent.base import Recurrent
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.masks import length_mask
from spago_jax.ops.recurrence import scan_bidirectional, scan_recurrence


class Shuffle(Recurrent):
    """The hidden part of the shuffling network: [..., time, in] -> [..., time, hidden] and the final state.

        h = relu(b + rotate(h)),  b = F(x) sigmoid(G x)

    ``rotate`` moves each number one place on, the last to the front. F is ``layers``, affine ones with ``norms`` (which
    may be none) and a relu after each but the last; G, ``gate``, may be None. Nothing in the recurrence is learned.
    Source: Rotman and Wolf (2020); spaGO nn/recurrent/srnn.

    >>> eye = Linear(weight=jnp.eye(2))
    >>> ys, state = Shuffle(layers=(eye,))(jnp.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    >>> ys
    Array([[1., 0.],
           [0., 1.],
           [1., 0.]], dtype=float32)
    """

    layers: tuple[Linear, ...]
    norms: tuple[LayerNorm, ...] = ()
    gate: Linear | None = None

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        layers: int = 2,
        layer_features: int | None = None,
        gate: bool = True,
        norm: bool = True,
    ) -> "Shuffle":
        """Xavier-uniform weights, biases of zeros.

        Args:
            key: the randomness.
            in_features: size of an input.
            out_features: size of the hidden state.
            layers: hidden layers of F.
            layer_features: their size; None: ``out_features``.
            gate: whether there is G.
            norm: whether each hidden layer of F is layer-normalised.

        Raises:
            InputError: for a size below 1.
        """
        wide = out_features if layer_features is None else layer_features
        check_sizes("Shuffle", in_features=in_features, out_features=out_features, layers=layers, layer_features=wide)
        keys = jax.random.split(key, layers + 2)
        sizes = [in_features] + [wide] * layers
        hidden = [Linear.init(keys[i], sizes[i], sizes[i + 1], activation="relu") for i in range(layers)]
        return cls(
            layers=(*hidden, Linear.init(keys[-2], wide, out_features)),
            norms=tuple(LayerNorm.init(wide) for _ in range(layers)) if norm else (),
            gate=Linear.init(keys[-1], in_features, out_features) if gate else None,
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.layers[0].weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of the hidden state."""
        return self.layers[-1].weight.shape[0]

    def project(self, xs: Array) -> Array:
        """``b``: [..., in] -> [..., hidden]."""
        x = jnp.asarray(xs)
        for number, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            x = jax.nn.relu(self.norms[number](x) if self.norms else x)
        b = self.layers[-1](x)
        return b if self.gate is None else b * fast_sigmoid(self.gate(jnp.asarray(xs)))

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input; all of it is elementwise."""
        new = jax.nn.relu(z + jnp.roll(state, 1, axis=-1)).astype(state.dtype)
        return new, new


class SRNN(Recurrent):
    """Shuffling recurrent network: [..., time, in] -> [..., time, out] and the final state [..., hidden].

        h = relu(b + rotate(h)),  b = F(x) sigmoid(G x),  y = O h + o

    ``hidden`` is the recurrence (see ``Shuffle``), ``output`` the affine layer O. Source: Rotman and Wolf, "Shuffling
    recurrent neural networks" (2020); spaGO nn/recurrent/srnn (whose v0.7.0 loses the state between steps).

    >>> rnn = SRNN.init(jax.random.key(0), 3, 2, hidden=8)
    >>> ys, state = rnn(jnp.ones((5, 3)))
    >>> ys.shape, state.shape
    ((5, 2), (8,))
    """

    hidden: Shuffle
    output: Linear

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        hidden: int | None = None,
        layers: int = 2,
        layer_features: int | None = None,
        gate: bool = True,
    ) -> "SRNN":
        """Xavier-uniform weights, biases of zeros; see ``Shuffle.init``. ``hidden`` is ``out_features`` if None.

        Raises:
            InputError: for a size below 1.
        """
        hidden = out_features if hidden is None else hidden
        check_sizes("SRNN", in_features=in_features, out_features=out_features, hidden=hidden)
        first, second = jax.random.split(key)
        return cls(
            hidden=Shuffle.init(first, in_features, hidden, layers=layers, layer_features=layer_features, gate=gate),
            output=Linear.init(second, hidden, out_features),
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.hidden.in_features

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.output.weight.shape[0]

    def initial_state(self, lead: tuple[int, ...], dtype) -> Array:
        """Zeros: [*lead, hidden]."""
        return self.hidden.initial_state(lead, dtype)

    def project(self, xs: Array) -> Array:
        """``b``: [..., in] -> [..., hidden]."""
        return self.hidden.project(xs)

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input."""
        state, _ = self.hidden.step(state, z)
        return state, self.output(state)

    def run(self, xs: Array, initial: Array | None, lengths: Array | None, *, reverse: bool):
        """The recurrence over time-major inputs, and the outputs of all steps in one product."""
        hidden, final = scan_recurrence(
            self.hidden, xs.swapaxes(0, 1), lengths=lengths, initial=initial, reverse=reverse
        )
        ys = self.output(hidden.swapaxes(0, 1))
        if lengths is not None:
            ys = jnp.where(length_mask(lengths, xs.shape[0]).T[..., None], ys, jnp.zeros((), ys.dtype))
        return ys, final


class BiSRNN(Module):
    """Shuffling recurrent network in both directions: [..., time, in] -> [..., time, out] and both final states.

        y = norm(O [f; g] + o)          (f forwards, g backwards, with the same parameters)

    Source: Rotman and Wolf, "Shuffling recurrent neural networks" (2020); spaGO nn/recurrent/srnn ``BiModel``.

    >>> rnn = BiSRNN.init(jax.random.key(0), 3, 2, hidden=8)
    >>> ys, (first, last) = rnn(jnp.ones((5, 3)))
    >>> ys.shape, first.shape
    ((5, 2), (8,))
    """

    hidden: Shuffle
    output: Linear
    norm: LayerNorm

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        hidden: int | None = None,
        layers: int = 2,
        layer_features: int | None = None,
        gate: bool = True,
    ) -> "BiSRNN":
        """Xavier-uniform weights, biases of zeros; see ``Shuffle.init``. ``hidden`` is ``out_features`` if None.

        Raises:
            InputError: for a size below 1.
        """
        size = out_features if hidden is None else hidden
        check_sizes("BiSRNN", in_features=in_features, out_features=out_features, hidden=size)
        first, second = jax.random.split(key)
        return cls(
            hidden=Shuffle.init(
                first, in_features, size, layers=layers, layer_features=layer_features, gate=gate, norm=False
            ),
            output=Linear.init(second, 2 * size, out_features, activation="relu"),
            norm=LayerNorm.init(out_features),
        )

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.output.weight.shape[0]

    def __call__(
        self, xs: Array, lengths: Array | None = None, *, initial: tuple[Array, Array] | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        """[..., time, in], int[...] -> outputs (zero beyond the lengths) and both final states."""
        (first, second), states = scan_bidirectional(self.hidden, self.hidden, xs, lengths=lengths, initial=initial)
        ys = self.norm(self.output(jnp.concatenate([first, second], axis=-1)))
        if lengths is not None:
            ys = jnp.where(length_mask(lengths, ys.shape[-2])[..., None], ys, jnp.zeros((), ys.dtype))
        return ys, states
