# SPDX-License-Identifier: BSD-2-Clause
"""The broad learning system: random features, and an output layer in closed form."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.initializers import blocks, gain, xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation as function_of
from spago_jax.ops.activations import parse_activation
from spago_jax.ops.dropout import check_rate, dropout
from spago_jax.ops.ridge import lasso_admm, ridge


class BroadLearning(Module):
    """``y = f_o(W [z; h] + b)``, ``z = f_z(W_z x + b_z)``, ``h = f_h(W_h z + b_h)``: [..., in] -> [..., out].

    ``features`` (W_z, all groups in one matrix of [groups * size, in]) and ``enhancement`` (W_h) stay as they were
    drawn, or are trained like any layer; :meth:`fit` finds W for a set of examples at once. Source: Chen and Liu,
    "Broad Learning System" (2018); spaGO v0.7.0 nn/bls.

    >>> xs = jnp.linspace(-1.0, 1.0, 50)[:, None]
    >>> model = BroadLearning.init(jax.random.key(0), 1, 1, groups=4, size=3, enhancement=20)
    >>> fitted = model.fit(xs, jnp.sin(3.0 * xs), penalty=1e-3)
    >>> bool(jnp.abs(fitted(xs) - jnp.sin(3.0 * xs)).max() < 0.05)
    True
    """

    features: Linear
    enhancement: Linear
    output: Linear
    activations: tuple[str, str, str] = static(default=("identity", "tanh", "identity"))
    groups: int = static(default=1)
    rates: tuple[float, float] = static(default=(0.0, 0.0))

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        out_features: int,
        *,
        groups: int,
        size: int,
        enhancement: int,
        feature_activation: str = "identity",
        enhancement_activation: str = "tanh",
        output_activation: str = "identity",
        feature_dropout: float = 0.0,
        enhancement_dropout: float = 0.0,
    ) -> "BroadLearning":
        """Xavier-uniform weights, biases of zeros, those of features and enhancement uniform in (-1, 1).

        Args:
            key: of the weights.
            in_features: of an input.
            out_features: of an output.
            groups: of features.
            size: of a group.
            enhancement: how many enhancement nodes.
            feature_activation: f_z.
            enhancement_activation: f_h.
            output_activation: f_o.
            feature_dropout: the share of z that training drops.
            enhancement_dropout: the share of h that training drops.

        Raises:
            InputError: for a size below 1, an unknown activation, or a rate outside [0, 1).
        """
        check_sizes(
            "BroadLearning",
            in_features=in_features,
            out_features=out_features,
            groups=groups,
            size=size,
            enhancement=enhancement,
        )
        names = tuple(map(parse_activation, (feature_activation, enhancement_activation, output_activation)))
        keys = jax.random.split(key, 5)
        wide = groups * size
        weight = blocks(keys[0], groups, lambda k: xavier_uniform(k, (size, in_features), gain(names[0])))
        hidden = Linear.init(keys[1], wide, enhancement, activation=names[1])
        return cls(
            features=Linear(weight=weight, bias=jax.random.uniform(keys[2], (wide,), minval=-1.0)),
            enhancement=hidden.replace(bias=jax.random.uniform(keys[3], (enhancement,), minval=-1.0)),
            output=Linear.init(keys[4], wide + enhancement, out_features),
            activations=(names[0], names[1], names[2]),
            groups=groups,
            rates=(
                check_rate(feature_dropout, "feature_dropout"),
                check_rate(enhancement_dropout, "enhancement_dropout"),
            ),
        )

    def __call__(self, x: Array, *, rng: Rng | None = None) -> Array:
        """[..., in] -> [..., out]."""
        return function_of(self.activations[2])(self.output(self.nodes(x, rng=rng)))

    def nodes(self, x: Array, *, rng: Rng | None = None) -> Array:
        """``[z; h]``, what the output layer sees: [..., in] -> [..., groups * size + enhancement]."""
        z = function_of(self.activations[0])(self.features(x))
        z = dropout(z, self.rates[0], child(rng, "features"))
        h = function_of(self.activations[1])(self.enhancement(z))
        return jnp.concatenate([z, dropout(h, self.rates[1], child(rng, "enhancement"))], axis=-1)

    def fit(self, xs: Array, ys: Array, *, penalty: float = 1e-3, rng: Rng | None = None) -> "BroadLearning":
        """The model with the output weights of the least ``|W [z; h] - y|^2 + penalty |W|^2``.

        As in spaGO, the output's bias and activation have no part in it: leave the bias at zero and the activation at
        identity. It is one traced computation, also under ``jax.jit``.

        Args:
            xs: [..., in].
            ys: [..., out], the desired outputs.
            penalty: more than zero.
            rng: for dropout while fitting.

        Raises:
            InputError: where the examples do not fit each other, or for a penalty that is not more than zero.
        """
        if xs.shape[:-1] != ys.shape[:-1] or ys.shape[-1] != self.output.weight.shape[0]:
            raise InputError(
                f"xs have shape {tuple(xs.shape)} and ys {tuple(ys.shape)}, expected [..., "
                f"{self.features.weight.shape[1]}] and [..., {self.output.weight.shape[0]}] with the same leading axes"
            )
        nodes = self.nodes(xs, rng=rng)
        weight = ridge(nodes.reshape(-1, nodes.shape[-1]), ys.reshape(-1, ys.shape[-1]).astype(nodes.dtype), penalty)
        return self.replace(output=self.output.replace(weight=weight.T.astype(self.output.weight.dtype)))

    def fit_features(self, xs: Array, *, penalty: float = 1e-3, iterations: int = 100) -> "BroadLearning":
        """The model with each group's feature weights replaced by sparse ones that rebuild the inputs from it.

        A group's W_z is the ADMM solution of ``(W_z x + b_z)' W ~ x'``, without the activation. spaGO copies it
        transposed into a matrix of the same shape, which scrambles it; this does not.

        Args:
            xs: [..., in].
            penalty: of the absolute values of the weights.
            iterations: of ADMM.

        Raises:
            InputError: for a penalty that is not more than zero.
        """
        flat = xs.reshape(-1, xs.shape[-1])
        size = self.features.weight.shape[0] // self.groups
        codes = self.features(flat).reshape(-1, self.groups, size).swapaxes(0, 1)
        weight = jnp.concatenate([lasso_admm(code, flat.astype(code.dtype), penalty, iterations) for code in codes])
        return self.replace(features=self.features.replace(weight=weight.astype(self.features.weight.dtype)))
